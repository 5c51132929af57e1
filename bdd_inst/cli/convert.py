"""Any label format into any other: BDD100K (Scalabel JSON of every generation, bitmasks), COCO, Detectron2 dicts, masks, overlays.

Examples:
    bdd-inst convert --input labels/ins_seg/polygons/ins_seg_train.json --to coco --output ins_seg_train_coco.json
    bdd-inst convert --input labels/ins_seg/polygons/ins_seg_val.json --to bitmask --output bitmasks/val
    bdd-inst convert --input instances_val2017.json --to scalabel --output val.json --categories person
    bdd-inst convert --input ann/ --images img/ --to overlay --output images/

What the source kind is, is told from its content. Outlines become masks by --raster: the official BDD100K rule (every touched pixel) or
COCO's fill. Scores of predictions that become bitmasks go to OUTPUT.json beside the folder, where evaluate.py finds them. An interrupted
run goes on where it stopped when it is started again with the same arguments.
"""

from __future__ import annotations

import argparse
import sys

from bdd_inst import formats
from bdd_inst.base.errors import printable
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
from bdd_inst.formats.table import kinds

MADE_BY = {
    "official": "masks by the official BDD100K rule",
    "coco": "masks by COCO's rule",
    "pixels": "masks as the source has them",
}


def add_source(parser: argparse.ArgumentParser) -> None:
    """The options that say what is read, and how."""
    parser.add_argument(
        "--input",
        required=True,
        metavar="PATH",
        help="label file, folder, or pattern such as 'labels/*_person.png'",
    )
    add_kind(parser)
    parser.add_argument(
        "--images",
        metavar="DIR",
        help="folder of the images: for their sizes, for overlays, for paths in dicts",
    )
    parser.add_argument(
        "--bitmasks",
        metavar="DIR",
        help="folder of bitmasks with the masks of the labels in --input",
    )
    parser.add_argument(
        "--class-attribute",
        metavar="NAME",
        help="the attribute of VIA's regions that is their class, where there are several",
    )
    add_values(parser)


def build_parser() -> argparse.ArgumentParser:
    """Every option of the command."""
    parser = make_parser("convert", __doc__)
    add_source(parser)
    parser.add_argument(
        "--to",
        required=True,
        metavar="TARGET",
        help=f"what to write: {', '.join(kinds('write'))}, overlay, or a target of your --import",
    )
    parser.add_argument(
        "--output",
        required=True,
        metavar="PATH",
        help="file, or folder for bitmask, label-map, binary-masks, yolo and overlay; panoptic writes NAME.json and NAME/",
    )
    add_raster(parser)
    parser.add_argument(
        "--masks",
        choices=("auto", "polygons", "rle"),
        default="auto",
        help="form of masks in coco and dicts",
    )
    parser.add_argument(
        "--prefer",
        choices=("paths", "rle"),
        default="paths",
        help="which counts where a label has outlines and a mask",
    )
    parser.add_argument(
        "--categories", metavar="A,B,...", help="only these, with ids from 1 in this order"
    )
    add_processes(parser)
    add_import_option(parser)
    parser.add_argument(
        "--strict", action="store_true", help="exit 1 when anything had to be skipped"
    )
    return parser


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.to not in (*kinds("write"), "overlay") and not options.imports:
        parser.error(
            f"--to {options.to}: no such target; there are {', '.join(kinds('write'))}, overlay"
        )
    if options.to == "overlay" and not options.images:
        parser.error("--to overlay needs --images, the folder of images to draw on")
    if options.workers is not None and options.workers < 1:
        parser.error("--workers must be 1 or more")
    return options


def overlay_writer() -> type:
    """Imported when it is asked for: drawing needs more than conversion does."""
    from bdd_inst.drawing.overlay import OverlayTarget

    return OverlayTarget


def work(options: argparse.Namespace) -> int:
    """Read, convert, say what was skipped; 1 with ``--strict`` where anything was."""
    from tqdm import tqdm

    import_own(options)
    labels = formats.read(
        options.input,
        kind=options.kind,
        images=options.images,
        bitmasks=options.bitmasks,
        class_attribute=options.class_attribute,
        values=options.values,
    )
    for note in labels.notes:
        print(f"{labels.kind}: {printable(note)}", file=sys.stderr)
    with tqdm(unit=" images", disable=None, dynamic_ncols=True) as bar:
        done = formats.write(
            labels,
            options.output,
            to=options.to,
            raster=options.raster,
            masks=options.masks,
            prefer=options.prefer,
            categories=[c.strip() for c in options.categories.split(",")]
            if options.categories
            else None,
            images=options.images,
            workers=options.workers,
            progress=bar.update,
            writer=overlay_writer() if options.to == "overlay" else None,
        )
    show_problems(done.skipped, "skipped or assumed:")
    show_problems(done.lost, f"lost, because {options.to} has no word for it:")
    resumed = f", {done.resumed} chunks from the interrupted run" if done.resumed else ""
    print(
        f"{labels.kind} -> {options.to}: {done.images} images, {done.instances} instances; {MADE_BY[done.rule]}{resumed}"
    )
    print(done.path)
    return 1 if options.strict and done.skipped else 0


def main(arguments: list[str] | None = None) -> int:
    """Parse and convert; the exit status."""
    options = parse(arguments)
    return guarded(lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
