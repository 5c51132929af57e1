"""COCO ground truth and results files, read strictly: what is not right is refused by name, never scored differently in silence.

The usual tools take unknown picture ids, missing scores, masks of another size or ids as strings without a word and return some
other number. Here each is one readable line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.evaluation.ground_truth import GroundTruth, GroundTruthBuilder
from bdd_inst.evaluation.rle_check import check_rles
from bdd_inst.formats.json_files import decode
from bdd_inst.images.finder import PictureFinder

Id = int | str
LONGEST = 1 << 20  # pixels along a side; what is longer is a broken number


class ImageRow(msgspec.Struct, gc=False):
    """One entry of ``images``."""

    id: Id
    file_name: str = ""
    width: int | None = None
    height: int | None = None
    attributes: dict[str, Any] | None = None


class CategoryRow(msgspec.Struct, gc=False):
    """One entry of ``categories``."""

    id: int
    name: str


class AnnotationRow(msgspec.Struct, gc=False):
    """One entry of ``annotations``."""

    image_id: Id
    category_id: int
    id: Id | None = None
    bbox: list[float] | None = None
    area: float | None = None
    iscrowd: int | bool | None = 0
    segmentation: Any = None
    ignored: bool | int | None = False
    attributes: dict[str, Any] | None = None


class TruthFile(msgspec.Struct, gc=False):
    """The top of a COCO instances file."""

    images: list[ImageRow]
    categories: list[CategoryRow]
    annotations: list[AnnotationRow] = []


class ResultRow(msgspec.Struct, gc=False):
    """One entry of a COCO results file. ``segmentation`` stays a dict: it is handed on as it is."""

    image_id: Id
    category_id: int
    score: float
    bbox: tuple[float, float, float, float] | None = None
    segmentation: dict[str, Any] | None = None
    file_name: str | None = None
    category_name: str | None = None


def read_truth(path: str | Path, images: str | Path | None = None) -> GroundTruth:
    """A COCO instances file as ground truth; ``images`` is the folder of pictures, for sizes that the file does not say.

    Raises:
        DataError: unreadable or mistyped JSON, ids that repeat or lead nowhere, boxes and masks that are not ones.
    """
    path = Path(path)
    content = decode(path, TruthFile, "a COCO instances file (images, categories, annotations)")
    categories = sorted(content.categories, key=lambda c: c.id)
    builder = GroundTruthBuilder(
        [c.name for c in categories], [c.id for c in categories], str(path)
    )
    refuse_repeats([c.id for c in categories], path, "categories")
    refuse_repeats([c.name for c in categories], path, "category names")
    position = {c.id: k for k, c in enumerate(categories)}
    of_image: dict[Id, list[AnnotationRow]] = {image.id: [] for image in content.images}
    refuse_repeats([image.id for image in content.images], path, "pictures")
    note_repeats(builder, content.annotations)
    for n, row in enumerate(content.annotations, 1):
        if row.image_id not in of_image:
            raise DataError(
                f"{path}: annotation {name_of(row, n)}: its image_id {row.image_id!r} is not among the file's pictures"
            )
        if row.category_id not in position:
            raise DataError(
                f"{path}: annotation {name_of(row, n)}: its category_id {row.category_id} is not among the file's categories"
            )
        of_image[row.image_id].append(row)
    check_sizes(content.images, path, images)
    check_runs(content, path)
    for image in sorted(content.images, key=lambda i: (isinstance(i.id, str), i.id)):
        builder.picture(image.id, image.file_name, image.height, image.width, image.attributes)
        for row in of_image[image.id]:
            add_row(
                builder,
                row,
                position[row.category_id],
                f"{path}: annotation {name_of(row, 0)} of picture {image.id}",
            )
    return builder.build()


def name_of(row: AnnotationRow, number: int) -> str:
    """How messages call an annotation: its id, else its place in the file."""
    return f"id {row.id}" if row.id is not None else f"number {number}"


def add_row(builder: GroundTruthBuilder, row: AnnotationRow, category: int, where: str) -> None:
    """One annotation into the builder; a missing box is taken from the mask, a missing area from mask or box."""
    mask = check_segmentation(row.segmentation, builder.sizes[-1], where)
    box = row.bbox
    if box is None:
        if mask is None:
            raise DataError(f"{where}: it has neither bbox nor segmentation")
        box = builder.mask_box(mask)
    if len(box) != 4 or not np.isfinite(box).all() or box[2] < 0 or box[3] < 0:
        raise DataError(f"{where}: its bbox {box} is not [x, y, width >= 0, height >= 0]")
    if row.area is not None and not (np.isfinite(row.area) and row.area >= 0):
        raise DataError(f"{where}: its area {row.area} is not a size")
    attributes = row.attributes or {}
    ignored = bool(row.ignored or attributes.get("ignored", False))
    crowd = bool(row.iscrowd)
    builder.add(
        category,
        box=box,
        mask=mask,
        area=row.area,
        crowd=crowd,
        ignored=ignored,
        attributes=attributes,
    )


def check_sizes(rows: list[ImageRow], path: Path, images: str | Path | None) -> None:
    """Read the sizes that are missing from the pictures below ``images``; DataError for one that no picture has."""
    finder = PictureFinder(images) if images is not None else None
    for row in rows:
        if finder is not None and not (row.width and row.height) and row.file_name:
            row.width, row.height = finder.size(row.file_name)
        if any(side is not None and not 0 < side <= LONGEST for side in (row.width, row.height)):
            raise DataError(
                f"{path}: picture {row.id!r}: its size of {row.width}x{row.height} is that of no picture"
            )


def check_runs(content: TruthFile, path: Path) -> None:
    """DataError for the first compressed RLE that does not cover exactly its picture; other shapes are checked one by one later."""
    rows = [
        (n, row) for n, row in enumerate(content.annotations, 1) if is_compressed(row.segmentation)
    ]
    pictures = {image.id: (image.height or 0, image.width or 0) for image in content.images}
    sizes = np.array([pictures[row.image_id] for _, row in rows], np.int64).reshape(-1, 2)
    check_rles(
        [row.segmentation for _, row in rows],
        sizes,
        lambda i: f"{path}: annotation {name_of(rows[i][1], rows[i][0])}",
    )


def is_size(value: Any) -> bool:
    """Whether this is an RLE's ``[height, width]``."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(side) is int and 0 <= side <= LONGEST for side in value)
    )


def is_compressed(segmentation: Any) -> bool:
    """Whether this looks like a compressed RLE of a possible size."""
    return (
        isinstance(segmentation, dict)
        and isinstance(segmentation.get("counts"), str)
        and is_size(segmentation.get("size"))
    )


def check_segmentation(segmentation: Any, size: tuple[int, int], where: str) -> Any:
    """Polygons or an RLE that the picture can hold; None for nothing there."""
    if segmentation is None or (isinstance(segmentation, list) and not segmentation):
        return None
    if isinstance(segmentation, dict):
        own, counts = segmentation.get("size"), segmentation.get("counts")
        if not is_size(own) or not isinstance(counts, (str, list)):
            raise DataError(
                f"{where}: its segmentation is not an RLE (size [height, width] and counts)"
            )
        if size != (0, 0) and tuple(own) != tuple(size):
            raise DataError(
                f"{where}: its RLE is for height x width {own[0]}x{own[1]}, but the picture is {size[0]}x{size[1]}"
            )
        if isinstance(counts, list) and (
            not all(isinstance(c, int) and c >= 0 for c in counts) or sum(counts) != own[0] * own[1]
        ):
            raise DataError(f"{where}: its RLE counts do not cover the picture")
        return segmentation
    polygons = segmentation if isinstance(segmentation, list) else [None]
    for polygon in polygons:
        good = isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0
        if not good or not all(
            isinstance(v, (int, float)) and not isinstance(v, bool) for v in polygon
        ):
            raise DataError(
                f"{where}: its polygon is not a list of three points or more [x1, y1, x2, y2, ...]"
            )
    return segmentation


def refuse_repeats(ids: list, path: Path, what: str) -> None:
    """DataError where an id comes twice."""
    if len(set(ids)) != len(ids):
        seen: set = set()
        repeated = next(i for i in ids if i in seen or seen.add(i))
        raise DataError(f"{path}: two {what} have the id {repeated!r}; the scores would mix them")


def note_repeats(builder: GroundTruthBuilder, rows: list[AnnotationRow]) -> None:
    """Annotation ids that repeat are counted (they are renumbered, so every object still counts once)."""
    ids = [row.id for row in rows if row.id is not None]
    repeated = len(ids) - len(set(ids))
    if repeated:
        builder.problems.add(
            "repeated-annotation-id",
            builder.source,
            "annotation ids repeat; every object is counted",
            count=repeated,
        )
