"""Binary masks for segmentation: one PNG an image, 0 background, 1 the category.

Examples:
    bdd-inst make-masks --input instances_train2017.json --category person --output masks/person
    bdd-inst make-masks --input instances_val2017.json --category person,dog --output masks      person 1, dog 2
    bdd-inst make-masks --input labels/ins_seg/polygons/ins_seg_val.json --category pedestrian --output masks/val

Each PNG has its image's base name. Of several categories, the one named first keeps the pixels that they share. Images without the
category get a mask of zeros. An interrupted run goes on where it stopped when it is started again with the same arguments.
"""

from __future__ import annotations

import argparse
import sys

from bdd_inst import formats
from bdd_inst.cli.common import (
    add_import_option,
    add_kind,
    add_processes,
    add_raster,
    add_values,
    guarded,
    import_own,
    make_parser,
    show_problems,
)
from bdd_inst.formats.class_masks import CROWDS, write_class_masks


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("make-masks", __doc__)
    parser.add_argument(
        "--input",
        required=True,
        metavar="PATH",
        help="COCO JSON, or any other label file or folder",
    )
    add_kind(parser)
    parser.add_argument(
        "--images",
        metavar="DIR",
        help="folder of the images, where the labels do not say their sizes",
    )
    parser.add_argument(
        "--category",
        required=True,
        action="append",
        metavar="NAME[,NAME...]",
        help="value 1, 2, ... in this order",
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="folder for the PNGs")
    parser.add_argument(
        "--crowds",
        choices=CROWDS,
        default="class",
        help="what crowd regions become; void is 255 (default: class)",
    )
    add_raster(parser)
    add_values(parser)
    add_processes(parser)
    add_import_option(parser)
    options = parser.parse_args(arguments)
    options.category = [
        name.strip() for names in options.category for name in names.split(",") if name.strip()
    ]
    if not options.category:
        parser.error("--category names no category")
    if options.workers is not None and options.workers < 1:
        parser.error("--workers must be 1 or more")
    return options


def work(options: argparse.Namespace) -> int:
    """Read labels, write their masks, say what was skipped; 1 with ``--strict`` where anything was."""
    from tqdm import tqdm

    import_own(options)
    labels = formats.read(
        options.input, kind=options.kind, images=options.images, values=options.values
    )
    with tqdm(unit=" images", disable=None, dynamic_ncols=True) as bar:
        done = write_class_masks(
            labels,
            options.output,
            options.category,
            crowds=options.crowds,
            raster=options.raster,
            images=options.images,
            workers=options.workers,
            progress=bar.update,
        )
    show_problems(done.skipped, "skipped or assumed:")
    show_problems(done.lost, "overlaps:")
    values = ", ".join(f"{value} {name}" for value, name in enumerate(options.category, start=1))
    resumed = f", {done.resumed} chunks from the interrupted run" if done.resumed else ""
    print(f"{done.images} masks (0 background, {values}){resumed}")
    print(done.path)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Parse and write masks; the exit status."""
    options = parse(arguments)
    return guarded(lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
