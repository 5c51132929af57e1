"""Draw labels, predictions, or both side by side, for one image or thousands.

    bdd-inst visualize --dataset synthetic_bdd_val --output out
    bdd-inst visualize --ground-truth labels/ins_seg_val.json --images images/10k/val --output out --limit 50
    bdd-inst visualize --dataset synthetic_bdd_val --predictions run/predictions.json --verdicts --output out

Labels and predictions may be in any format that bdd-inst convert reads. What is skipped is counted and named.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
from pathlib import Path

from bdd_inst.base.errors import DataError
from bdd_inst.base.output_paths import refuse_overlap
from bdd_inst.cli import common as cli


def build_parser() -> argparse.ArgumentParser:
    """Every option of the command."""
    parser = cli.make_parser("visualize", __doc__)
    parser.add_argument("--dataset", metavar="NAME", help="a data set of the catalog")
    parser.add_argument(
        "--ground-truth", type=cli.path, metavar="GT", help="a label file or folder of any format"
    )
    parser.add_argument(
        "--images",
        type=cli.path,
        metavar="DIR",
        help="the folder of the images that the files name",
    )
    parser.add_argument(
        "--predictions",
        type=cli.path,
        metavar="RESULTS",
        help="COCO results, Scalabel JSON or a bitmask folder",
    )
    parser.add_argument(
        "--output", type=cli.path, required=True, metavar="DIR", help="where the drawn images go"
    )
    add_drawing(parser)
    return parser


def add_drawing(parser: argparse.ArgumentParser) -> None:
    """Which images, and how they are drawn."""
    parser.add_argument(
        "--limit", type=cli.number(1, 10**9), metavar="N", help="draw the first N images only"
    )
    parser.add_argument(
        "--shuffle",
        type=int,
        metavar="SEED",
        help="take the images in a random order that SEED fixes",
    )
    parser.add_argument(
        "--show",
        choices=("both", "labels", "predictions"),
        default="both",
        help="side by side, or one alone",
    )
    parser.add_argument(
        "--score-threshold",
        type=cli.number(0, 1, float),
        default=0.5,
        metavar="S",
        help="least score shown (0.5)",
    )
    parser.add_argument(
        "--verdicts",
        action="store_true",
        help="color by what was matched, missed, false or of the wrong class",
    )
    parser.add_argument(
        "--iou",
        type=cli.number(0.01, 1, float),
        default=0.5,
        metavar="T",
        help="what counts as matched (0.5)",
    )
    parser.add_argument(
        "--no-boxes", action="store_true", help="no boxes around objects that have masks"
    )
    cli.add_drawing(parser, workers=8)
    cli.add_import_option(parser)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    check(parser, options)
    return options


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse combinations that mean nothing."""
    if options.dataset and options.ground_truth:
        parser.error("give --dataset or --ground-truth, not both")
    if not (options.dataset or options.ground_truth or options.predictions):
        parser.error("nothing to draw: give --dataset, --ground-truth or --predictions")
    if not options.dataset and not options.images:
        parser.error("--images is needed: the folder of the images")
    if options.show == "predictions" and not options.predictions:
        parser.error("--show predictions needs --predictions")
    if options.verdicts and not (options.predictions and (options.dataset or options.ground_truth)):
        parser.error("--verdicts needs labels and --predictions")


def run(options: argparse.Namespace) -> int:
    """Draw; 1 where not a single image came out."""
    from bdd_inst.base.errors import ProblemLog
    from bdd_inst.base.locks import FolderLock
    from bdd_inst.drawing.paint import Style
    from bdd_inst.report.album import AlbumOptions, fill_album, write_index

    cli.import_own(options)
    problems = ProblemLog()
    refuse_overlap(options.output, options.images, options.ground_truth, options.predictions)
    entries, class_table, number, logs = collect(options, problems)
    if options.shuffle is not None:
        entries = list(entries)
        random.Random(options.shuffle).shuffle(entries)
    if options.limit:
        entries, number = (
            itertools.islice(entries, options.limit),
            min(options.limit, number or options.limit),
        )
    style = Style(color_by=options.color_by, show_boxes=not options.no_boxes)
    page = AlbumOptions(
        options.show,
        verdicts=options.verdicts,
        iou=options.iou,
        score_threshold=options.score_threshold,
        style=style,
    )
    with FolderLock(Path(options.output)):
        pages = fill_album(
            entries,
            options.output,
            class_table=class_table,
            options=page,
            problems=problems,
            workers=options.workers,
        )
        drawn = list(cli.progress(pages, number, "images"))
        for log in logs:
            problems.merge(log)
        cli.show_problems(problems, "skipped or noted:")
        if not drawn:
            raise DataError(
                "no image was drawn" + ("" if problems else ": there are none in what was given")
            )
        print(f"{len(drawn)} images: {write_index(options.output, drawn, title(options))}")
    return 0


def title(options: argparse.Namespace) -> str:
    """What the index page is called."""
    names = (options.dataset, options.ground_truth, options.predictions)
    return " and ".join(Path(name).name for name in names if name)


def collect(options: argparse.Namespace, problems):
    """Annotated images, class words, how many there are where that is known, and the logs of the files that are read on the way."""
    from bdd_inst import formats
    from bdd_inst.datasets import catalog
    from bdd_inst.images.finder import ImageFinder
    from bdd_inst.report import annotated_images as sources

    images = ImageFinder(options.images) if options.images else None
    found = formats.read(options.predictions) if options.predictions else None
    labels = (
        formats.read(options.ground_truth, images=options.images) if options.ground_truth else None
    )
    number = None
    if options.dataset:
        records, metadata = (
            catalog.DatasetCatalog.get(options.dataset),
            catalog.MetadataCatalog.get(options.dataset),
        )
        class_table = sources.ClassTable(
            metadata.thing_classes,
            metadata.get("thing_colors"),
            metadata.get("thing_dataset_id_to_contiguous_id"),
        )
        problems.merge(metadata.get("problems") or type(problems)())
        entries, number = (
            sources.from_records(records, class_table, metadata.get("image_root")),
            len(records),
        )
    else:
        given = labels or found
        ids = dict(zip(given.category_ids or (), itertools.count()))
        class_table = sources.ClassTable(given.categories or (), ids=ids)
        make = sources.from_label_set if labels else sources.from_predictions
        entries = make(given, images, class_table, problems)
    if found and (options.dataset or labels):
        entries = sources.with_predictions(entries, found, class_table, problems)
    return entries, class_table, number, [side.problems for side in (labels, found) if side]


def main(arguments: list[str] | None = None) -> int:
    """Parse, draw, say where the images are."""
    options = parse(arguments)
    return cli.guarded(lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
