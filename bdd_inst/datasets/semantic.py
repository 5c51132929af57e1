"""Data sets of label maps: pairs of images and masks in two folders, and BDD100K's semantic segmentation."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from bdd_inst.base import vocabulary
from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.layout import MissingDataError
from bdd_inst.datasets.splits import SHARES, split_names
from bdd_inst.formats.json_files import read_lines
from bdd_inst.images import png_kinds
from bdd_inst.images.finder import ImageFinder
from bdd_inst.images.names import image_stem
from bdd_inst.images.size import read_size

BACKGROUND = "background"
# Width to height of a mask may differ from its image's by this share and still be the same image, scaled and rounded.
SAME_SHAPE = 0.03


def load_pairs(
    images: str | os.PathLike,
    masks: str | os.PathLike,
    classes: Sequence[str] = (BACKGROUND, "person"),
    *,
    colors: Mapping[str, Sequence[int]] | str | os.PathLike | None = None,
    ignore: str | os.PathLike | None = None,
    split: str | None = None,
    listing: str | os.PathLike | None = None,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
) -> DatasetRecords:
    """Images and masks that go together by name without ending (and without ``_mask``, ``_label``, ``_gt`` or the like).

    Args:
        images: folder of images; masks: folder of their masks: black and white (0/255), class numbers (0, 1, ..., 255 is ignored)
            in gray or palette PNGs, or colors with a table.
        classes: what the values 0, 1, ... mean.
        colors: of color-coded masks: class name to ``(r, g, b)``, or a CSV file ``name,r,g,b``; it then names the classes too.
            Other colors are ignored pixels.
        ignore: folder of black and white masks of pixels that count nowhere.
        split: ``train``, ``val``, ``test`` by :func:`splits.split_names`; None takes all. ``listing``, ``shares`` and ``seed`` go to it.

    Images without mask, masks without image, broken files and sizes that do not go together are left out and counted. A mask of
    the image's proportions but another size is scaled to it (nearest pixel) and counted.

    Raises:
        DataError: no such folder, masks of no kind that we know, or nothing that goes together.
    """
    problems = ProblemLog()
    by_stem, mask_of = by_name(images), by_name(masks)
    band_of = by_name(ignore) if ignore is not None else {}
    names = matched(by_stem, mask_of, problems)
    if not names:
        raise DataError(f"{masks}: no mask has the name of an image in {images}")
    if colors is not None:
        table = color_table(colors)
        classes, encoding = list(table), {rgb: n for n, rgb in enumerate(table.values())}
    else:
        encoding = encoding_of([Path(mask_of[n]) for n in names], Path(masks))
    if split is not None:
        names = split_names(
            names, split, listing=Path(listing) if listing else None, shares=shares, seed=seed
        )
    dicts = []
    for name in names:
        record = pair(by_stem[name], mask_of[name], problems)
        if record is None:
            continue
        record |= {"image_id": name, "sem_seg_values": encoding}
        if name in band_of:
            record["sem_seg_ignore_file"] = band_of[name]
        dicts.append(record)
    metadata = {"image_root": str(images), "label_root": str(masks)} | known_of(classes)
    return DatasetRecords(dicts, metadata, problems)


ENDINGS = ("_mask", "_masks", "_label", "_labels", "_gt", "-mask", "-label", "_seg", "_train_id")


def known_of(classes: Sequence[str]) -> dict:
    """The metadata of label maps whose values 0, 1, ... mean ``classes``."""
    return {
        "stuff_classes": list(classes),
        "thing_classes": [name for name in classes if name != BACKGROUND],
        "evaluator_type": "sem_seg",
        "mask_rule": "pixels",
    }


def matched(images: dict[str, str], masks: dict[str, str], problems: ProblemLog) -> list[str]:
    """The names that both have, sorted; the others are counted."""
    for stem in sorted(masks.keys() - images.keys()):
        problems.add("missing-image", masks[stem], "a mask without its image")
    for stem in sorted(images.keys() - masks.keys()):
        problems.add("image-without-labels", images[stem], "an image without its mask")
    return sorted(images.keys() & masks.keys())


def by_name(place: str | os.PathLike) -> dict[str, str]:
    """Name below the folder without ending -> path; of masks without what says that they are masks."""
    folder, out = ImageFinder(place), {}
    for name in folder.names():
        # A mask may be called after its image with the suffix: 1.jpg.png.
        stem = image_stem(str(Path(name).with_suffix("")))
        for ending in ENDINGS:
            stem = stem.removesuffix(ending)
        out[stem] = str(folder.find(name))
    return out


def encoding_of(masks: Sequence[Path], folder: Path) -> str | None:
    """How the values of masks are to be read: ``binary``, or None for class numbers.

    Raises:
        DataError: masks of another kind.
    """
    if any(path.suffix.lower() != ".png" for path in masks):
        return "binary"  # lossy formats can hold nothing else
    try:
        kind = png_kinds.kind_of(list(masks), folder)
    except DataError as error:
        raise DataError(f"{error}; for color-coded masks give a table of colors") from None
    if kind == "bitmask":
        raise DataError(f"{folder}: these are BDD100K bitmasks; load them as bdd100k_ins_seg")
    return "binary" if kind == "binary-masks" else None


def color_table(colors: Mapping[str, Sequence[int]] | str | os.PathLike) -> dict[str, tuple]:
    """Class name -> ``(r, g, b)`` in the order of the class numbers.

    Raises:
        DataError: a file that is no such table.
    """
    if isinstance(colors, Mapping):
        return {str(name): tuple(int(v) for v in rgb) for name, rgb in colors.items()}
    lines = read_lines(colors)
    try:
        rows = [row for row in csv.reader(lines) if row]
        rows = rows[1:] if rows and not rows[0][1].strip().isdigit() else rows
        table = {row[0].strip(): tuple(int(v) for v in row[1:4]) for row in rows}
        if not table or any(len(c) != 3 or min(c) < 0 or max(c) > 255 for c in table.values()):
            raise ValueError("rows are name, r, g, b with numbers from 0 to 255")
    except (ValueError, IndexError, csv.Error) as error:
        raise DataError(f"{colors}: no table of colors ({error})") from None
    return table


def pair(image: str, mask: str, problems: ProblemLog) -> dict | None:
    """The dict of one pair; None, counted, where it cannot be used."""
    try:
        height, width = read_size(image)
        mask_height, mask_width = read_size(mask)
    except DataError as error:
        problems.add("unreadable-file", image, str(error))
        return None
    record = {"file_name": image, "height": height, "width": width, "sem_seg_file_name": mask}
    if (mask_width, mask_height) != (width, height):
        sizes = f"the image is {width}x{height}, its mask {mask_width}x{mask_height}"
        if abs(mask_width * height / (mask_height * width) - 1) > SAME_SHAPE:
            problems.add("wrong-size-image", image, f"{sizes}; left out")
            return None
        problems.add("scaled-mask", image, f"{sizes}; the mask is scaled to it")
        record["sem_seg_scaled"] = True
    return record


def load_bdd100k_sem_seg(root: str | os.PathLike, split: str) -> DatasetRecords:
    """BDD100K's semantic segmentation: 19 classes, 255 ignored; masks ``labels/sem_seg/masks/<split>/*.png``, images of the 10K set.

    Raises:
        MissingDataError: masks or images are not there.
    """
    base = Path(root) / "bdd100k"
    images, masks = base / "images" / "10k" / split, base / "labels" / "sem_seg" / "masks" / split
    if not images.is_dir() or not masks.is_dir():
        raise MissingDataError(f"bdd100k_sem_seg_{split}", root, [images, masks], "bdd100k")
    loaded = load_pairs(images, masks, vocabulary.BDD100K_SEM_SEG)
    for record in loaded.dicts:
        record["sem_seg_values"] = (
            None  # a map of classes 0 and 255 alone is no black and white mask
        )
    return loaded
