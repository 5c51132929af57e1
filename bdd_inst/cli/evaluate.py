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
import contextlib
import sys
from pathlib import Path

from bdd_inst.base.errors import DataError
from bdd_inst.cli.common import (
    add_model_options,
    config_of,
    guarded,
    import_own,
    make_parser,
    progress,
    show_problems,
)
from bdd_inst.evaluation import files, tables
from bdd_inst.evaluation.label_map import read_threshold
from bdd_inst.evaluation.protocols import PROTOCOLS, EvaluationResult
from bdd_inst.report.html import write_report
from bdd_inst.report.paper import write_paper_tables


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
        "--images", metavar="DIR", help="folder of pictures, where labels do not say their sizes"
    )
    add_model_options(parser)
    add_scoring(parser)
    return parser


def add_scoring(parser: argparse.ArgumentParser) -> None:
    """How to score, and where the figures go."""
    parser.add_argument(
        "--protocol", choices=PROTOCOLS, help="default: coco (with --config: TEST.PROTOCOL)"
    )
    parser.add_argument(
        "--max-detections",
        type=int,
        default=100,
        metavar="N",
        help="detections a picture and class that count",
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
    if options.max_detections < 1:
        parser.error("--max-detections must be 1 or more")
    return options


def evaluate_files(options: argparse.Namespace) -> int:
    """Files against files."""
    import_own(options)
    if options.run and not Path(options.run).is_dir():
        raise DataError(f"{options.run}: no such run folder")
    chosen, source = read_threshold(options.label_threshold)
    outcome = files.outcome_of_files(
        options.ground_truth,
        options.predictions,
        options.protocol or "coco",
        options.images,
        scores=options.scores,
        max_detections=options.max_detections,
        label_maps=options.label_maps,
        label_threshold=chosen,
        threshold_source=source,
    )
    folder = Path(options.output or "evaluation")
    leave(outcome, folder, options, options.images)
    return 0


def leave(
    outcome: EvaluationResult, folder: Path, options: argparse.Namespace, images: str | None = None
) -> None:
    """Files into the folder, the table onto the screen."""
    if not options.no_report:
        outcome.analyse()
    outcome.write(folder)
    write_paper_tables(outcome.metrics, folder)
    print(tables.summary(outcome.metrics))
    compared = files.compare_with(outcome, options.compare, images) if options.compare else None
    if compared:
        print(tables.comparison(*compared))
    if not options.no_report:
        title = f"Evaluation of {Path(outcome.results.source).name}"
        print(
            f"\nreport: {write_report(outcome, folder, title=title, images=images, run_folder=options.run, comparison=compared)}"
        )
    print(f"figures: {folder / 'metrics.json'}")


def evaluate_model(options: argparse.Namespace) -> int:
    """A config's model on each of its test sets; several sets get a folder each."""
    from bdd_inst.data.loader import build_test_loader, load_datasets
    from bdd_inst.datasets.own import folder_name
    from bdd_inst.evaluation.build import build_evaluator
    from bdd_inst.inference.dataset import predict_outputs
    from bdd_inst.inference.predictor import load_model

    cfg = config_of(options)
    if not cfg.DATASETS.TEST:
        raise DataError(
            f"{options.config or options.weights}: DATASETS.TEST is empty; name a data set to evaluate on"
        )
    folder = Path(options.output or cfg.OUTPUT_DIR)
    model = load_model(cfg)
    chosen, source = read_threshold(options.label_threshold)
    for name in cfg.DATASETS.TEST:
        dicts, metadata, problems = load_datasets(cfg, [name], False)
        show_problems(problems, f"{name}:")
        place = folder / folder_name(name) if len(cfg.DATASETS.TEST) > 1 else folder
        if options.protocol:
            cfg.merge_from_list(["TEST.PROTOCOL", options.protocol])
        evaluator = build_evaluator(
            cfg, name, dicts, metadata, place, label_threshold=chosen, threshold_source=source
        )
        with kept_when_interrupted(evaluator, place):
            for given, output in progress(
                predict_outputs(model, build_test_loader(cfg, dicts)), len(dicts), "pictures"
            ):
                evaluator.process([given], [output])
        metrics = evaluator.evaluate()
        if chosen is None and "label_map" in metrics:
            chosen, source = (
                metrics["label_map"]["threshold"],
                name,
            )  # later sets are scored at the first one's choice
        evaluator.outcome.results.source = str(cfg.MODEL.WEIGHTS)
        leave(evaluator.outcome, place, options)
    return 0


@contextlib.contextmanager
def kept_when_interrupted(evaluator, folder: Path):
    """Write the detections so far when Ctrl-C or SIGTERM ends the block; figures of a part would be read as those of the whole."""
    try:
        yield
    except KeyboardInterrupt:
        if getattr(evaluator, "parts", None):
            file = evaluator.write_partial(folder)
            print(f"{file} holds the {len(evaluator.parts)} pictures so far", file=sys.stderr)
        raise


def main(arguments: list[str] | None = None) -> int:
    """Parse and score; the exit status."""
    options = parse(arguments)
    of_files = bool(options.ground_truth)
    return guarded(lambda: evaluate_files(options) if of_files else evaluate_model(options))


if __name__ == "__main__":
    sys.exit(main())
