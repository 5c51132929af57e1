"""Check a data set: every problem by code, file and instance; counts; with --output an HTML page with statistics and sample images.

Examples:
    bdd-inst check --dataset bdd100k_ins_seg_train bdd100k_ins_seg_val --output check/
    bdd-inst check --input labels/det_20/det_val.json --images images/100k/val
    bdd-inst check --input train.json val.json --images images/train images/val

Several splits are also searched for images that they share. Exits 1 when there are errors (not for warnings and notes).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bdd_inst import formats
from bdd_inst.base.errors import printable
from bdd_inst.base.locks import FolderLock
from bdd_inst.checks.run import CheckResult, Split, check
from bdd_inst.checks.sources import split_of_dataset
from bdd_inst.checks.table import finding_lines, statistics_lines, write_csv
from bdd_inst.cli.common import (
    add_import_option,
    add_kind,
    add_values,
    guarded,
    import_own,
    make_parser,
    progress,
)
from bdd_inst.datasets.catalog import DatasetCatalog, MetadataCatalog
from bdd_inst.formats.records import LabelSet


def build_parser() -> argparse.ArgumentParser:
    """Every option of the command."""
    parser = make_parser("check", __doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--dataset",
        nargs="+",
        metavar="NAME",
        help="data sets of the catalog, e.g. bdd100k_ins_seg_train",
    )
    source.add_argument(
        "--input", nargs="+", metavar="PATH", help="label files or folders of any kind, one a split"
    )
    parser.add_argument(
        "--images",
        nargs="+",
        metavar="DIR",
        help="folders of the images: one for all inputs, or one for each",
    )
    add_kind(parser)
    add_values(parser)
    parser.add_argument("--output", metavar="DIR", help="write problems.csv and data.html there")
    parser.add_argument(
        "--config",
        metavar="YAML",
        default="Base-MaskRCNN-FPN.yaml",
        help="whose model and sizes the page shows",
    )
    parser.add_argument(
        "--samples",
        type=int,
        default=6,
        metavar="N",
        help="images on the page shown as the model sees them (default 6)",
    )
    parser.add_argument(
        "--no-decode",
        action="store_true",
        help="look at image headers only: faster, finds no truncated or doubled ones",
    )
    parser.add_argument(
        "--examples",
        type=int,
        default=1,
        metavar="N",
        help="cases shown for each problem (default 1)",
    )
    add_import_option(parser)
    return parser


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.images and options.dataset:
        parser.error("--images goes with --input; data sets know their images")
    if options.images and len(options.images) not in (1, len(options.input)):
        parser.error(
            f"{len(options.images)} folders of images for {len(options.input)} inputs; give one, or one for each"
        )
    if options.samples < 0 or options.examples < 0:
        parser.error("--samples and --examples must be 0 or more")
    return options


def splits_of(options: argparse.Namespace) -> list[Split]:
    """The splits that the command names."""
    if options.dataset:
        return [
            split_of_dataset(n, DatasetCatalog.get(n), MetadataCatalog.get(n).as_dict())
            for n in options.dataset
        ]
    images = [Path(folder) for folder in options.images or ()] or [None]
    images = images * len(options.input) if len(images) == 1 else images
    names = [Path(path).name for path in options.input]
    names = names if len(set(names)) == len(names) else options.input
    inputs = zip(names, options.input, images, strict=True)
    return [Split(name, read(path, folder, options), folder) for name, path, folder in inputs]


def read(path: str, folder: Path | None, options: argparse.Namespace) -> LabelSet:
    """The labels as their file says them: sizes from the images would hide those that disagree. YOLO's cannot be read without."""
    found = formats.inspect(path, options.kind, named=bool(options.values))
    images = folder if found.kind == "yolo" else None
    return formats.read_truth(found, images=images, values=options.values)


def show(result: CheckResult, examples: int) -> None:
    """The statistics of each split, then the table of problems."""
    for split in result.splits:
        print(f"{printable(split.name)}  ({split.labels.kind})")
        print("\n".join(f"  {line}" for line in statistics_lines(split)))
        for note in split.labels.notes:
            print(f"  note: {printable(note)}")
        print()
    print("\n".join(finding_lines(result.findings, examples)))


def work(options: argparse.Namespace) -> int:
    """Check, print the findings, and write the page where one is asked for; 1 where labels are wrong."""
    import_own(options)
    result = check(splits_of(options), decode=not options.no_decode, progress=progress)
    show(result, options.examples)
    if options.output:
        from bdd_inst.report.data_page import write_page

        folder = Path(options.output)
        with FolderLock(folder):
            write_csv(result.findings, folder / "problems.csv")
            page = write_page(result, folder, config=options.config, samples=options.samples)
        print(f"\n{page}")
    return 1 if result.failed else 0


def main(arguments: list[str] | None = None) -> int:
    """Parse and check; the exit status."""
    options = parse(arguments)
    return guarded(lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
