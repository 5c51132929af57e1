"""Score predictions: a results file against labels, or a model on a config's test sets.

Examples:
    bdd-inst evaluate --ground-truth instances_val.json --predictions results.json --output output/eval
    bdd-inst evaluate --ground-truth labels/ins_seg/bitmasks/val --predictions predictions/ --protocol both
    bdd-inst evaluate --ground-truth 'labels/*_clothes.png' --predictions predicted_maps/
    bdd-inst evaluate --weights output/demo/model_final.pth --output output/eval
    bdd-inst evaluate --config bdd_maskrcnn.yaml --output output/eval MODEL.WEIGHTS output/model_final.pth

Writes metrics.json, report.html (open it in a browser), analysis.json, PR curves and tables for a paper to --output.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bdd_inst.base.errors import DataError
from bdd_inst.base.locks import FolderLock
from bdd_inst.cli.common import (
    add_model_options,
    add_values,
    config_of,
    guarded,
    import_own,
    make_parser,
    show_problems,
)
from bdd_inst.datasets.catalog import unreported
from bdd_inst.evaluation import files, tables
from bdd_inst.evaluation.build import ScoringOptions
from bdd_inst.evaluation.evaluation_result import EvaluationResult
from bdd_inst.evaluation.label_map import read_threshold
from bdd_inst.evaluation.protocols import PROTOCOLS
from bdd_inst.report.evaluation_files import (
    Comparison,
    write_metrics_of_sets,
    write_result_files,
    write_test_files,
)


def build_parser() -> argparse.ArgumentParser:
    """Every option of the command."""
    parser = make_parser("evaluate", __doc__)
    parser.add_argument(
        "--ground-truth",
        metavar="GT",
        help="COCO JSON, Scalabel JSON (BDD100K) or a bitmask folder",
    )
    parser.add_argument(
        "--predictions",
        metavar="RESULTS",
        help="COCO results JSON, Scalabel JSON with scores or a bitmask folder",
    )
    parser.add_argument(
        "--scores",
        metavar="JSON",
        help="scores of predicted bitmasks (default: the JSON in that folder or beside it)",
    )
    parser.add_argument(
        "--images", metavar="DIR", help="folder of images, where labels do not say their sizes"
    )
    add_values(parser)
    add_model_options(parser)
    add_scoring(parser)
    return parser


def add_scoring(parser: argparse.ArgumentParser) -> None:
    """How to score, and where the figures go."""
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        help=f"{', '.join(PROTOCOLS)}, or one of --import (default: coco; with --config TEST.PROTOCOL)",
    )
    parser.add_argument(
        "--max-detections",
        type=int,
        default=100,
        metavar="N",
        help="detections an image and class that count",
    )
    parser.add_argument(
        "--label-maps",
        action="store_true",
        help="score masks as label maps too (done of itself for label map PNGs)",
    )
    parser.add_argument(
        "--label-threshold", default="auto", metavar="T", help="score from which instances enter a label map: a number, a metrics.json "
        "whose choice is taken over, or auto: the best on the first set",
    )  # fmt: skip
    parser.add_argument(
        "--compare",
        metavar="RESULTS",
        help="a second results file: differences with bootstrap intervals",
    )
    parser.add_argument(
        "--run",
        metavar="DIR",
        help="the training run's folder, for the report's training curves and provenance",
    )
    parser.add_argument("--no-report", action="store_true", help="figures and curves only")
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="where the figures go (default: evaluation, or the config's OUTPUT_DIR)",
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY VALUE", help="config keys to override, with --config"
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = build_parser()
    options = parser.parse_intermixed_args(arguments)
    model = bool(options.config or options.weights)
    if model == bool(options.ground_truth or options.predictions):
        parser.error("give either --ground-truth and --predictions, or --config or --weights")
    if not model and not (options.ground_truth and options.predictions):
        parser.error("--ground-truth and --predictions go together")
    if options.overrides and not model:
        parser.error(f"unexpected {' '.join(options.overrides)}; KEY VALUE pairs go with --config")
    for name in ("scores", "images"):
        if model and getattr(options, name):
            parser.error(f"--{name} goes with --predictions: a model's data sets know their images")
    if options.protocol and options.protocol not in PROTOCOLS and not options.imports:
        parser.error(f"--protocol {options.protocol}: there are {', '.join(PROTOCOLS)}")
    if options.max_detections < 1:
        parser.error("--max-detections must be 1 or more")
    return options


def scoring_options(options: argparse.Namespace) -> ScoringOptions:
    """The switches of the command, the same for files and for models."""
    threshold, source = read_threshold(options.label_threshold)
    return ScoringOptions(
        protocol=options.protocol,
        max_detections=options.max_detections,
        label_maps=options.label_maps,
        label_threshold=threshold,
        threshold_source=source,
    )


def evaluate_files(options: argparse.Namespace) -> int:
    """Files against files."""
    scoring = scoring_options(options)
    outcome = files.result_of_files(
        options.ground_truth,
        options.predictions,
        scoring.protocol or "coco",
        options.images,
        scores=options.scores,
        max_detections=scoring.max_detections,
        label_maps=scoring.label_maps,
        label_threshold=scoring.label_threshold,
        threshold_source=scoring.threshold_source,
        values=options.values,
    )
    folder = Path(options.output or "evaluation")
    with FolderLock(folder):
        report = not options.no_report
        if report:
            outcome.analyze()
        outcome.write(folder)
        print(tables.summary(outcome.metrics))
        page = write_result_files(
            outcome,
            folder,
            f"Evaluation of {Path(outcome.results.source).name}",
            images=options.images,
            run_folder=options.run,
            comparison=compared(outcome, options),
            report=report,
        )
        show_files(page, folder)
    return 0


def evaluate_weights(options: argparse.Namespace) -> int:
    """A config's model on each of its test sets; several sets get a folder each."""
    from bdd_inst.evaluation.augmentation import augmentation_lines, compare_with_one_view
    from bdd_inst.evaluation.evaluate_model import evaluate_model, load_test_sets
    from bdd_inst.inference.predictor import load_model

    cfg = config_of(options)
    if not cfg.DATASETS.TEST:
        raise DataError(
            f"{options.config or options.weights}: DATASETS.TEST is empty; name a data set to evaluate on"
        )
    folder = Path(options.output or cfg.OUTPUT_DIR)
    scoring = scoring_options(options)
    with FolderLock(folder):
        model = load_model(cfg)
        sets = load_test_sets(cfg)
        for test in sets:
            show_problems(unreported(test.problems, [test.name]), f"{test.name}:")
        report = not options.no_report
        shown = cfg.TEST.PICTURES if report else 0
        results = evaluate_model(model, cfg, sets, folder, options=scoring, images_shown=shown)
        if cfg.TEST.AUG.ENABLED:
            compare_with_one_view(results, model, cfg, scoring)
        print(tables.summary_of_sets({result.test.name: result.metrics for result in results}))
        for result in results:
            for line in augmentation_lines(result.metrics):
                print(line)
            page = write_test_files(
                result,
                cfg,
                str(cfg.MODEL.WEIGHTS),
                run_folder=options.run,
                comparison=compared(result.outcome, options),
                report=report,
            )
            show_files(page, result.folder)
        write_metrics_of_sets(results, folder)
    return 0


def compared(outcome: EvaluationResult, options: argparse.Namespace) -> Comparison | None:
    """The comparison with ``--compare``, printed."""
    if not options.compare:
        return None
    comparison = files.compare_with(outcome, options.compare, options.images)
    print(tables.comparison(*comparison))
    return comparison


def show_files(page: Path | None, folder: Path) -> None:
    """What there is to open."""
    if page is not None:
        print(f"\nreport: {page}")
    print(f"figures: {folder / 'metrics.json'}")


def main(arguments: list[str] | None = None) -> int:
    """Parse and score; the exit status."""
    options = parse(arguments)
    return guarded(lambda: work(options))


def work(options: argparse.Namespace) -> int:
    """Score what the options name."""
    if options.run and not Path(options.run).is_dir():
        raise DataError(f"{options.run}: no such run folder")
    if options.ground_truth:
        import_own(options)
        return evaluate_files(options)
    return evaluate_weights(options)


if __name__ == "__main__":
    sys.exit(main())
