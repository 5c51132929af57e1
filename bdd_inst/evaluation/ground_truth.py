"""What predictions are scored against: images, classes and labeled objects as flat columns.

Columns keep half a million objects in a few arrays, and every protocol reads the same ones. Boxes in this room are COCO's
``x, y, width, height`` (float64), because that is what the COCO figures are defined on, to the last bit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats.dicts import XYXY_ABS
from bdd_inst.formats.usable import refuse_nothing_usable


@dataclass
class GroundTruth:
    """Labeled images. ``N`` images, ``M`` objects, ``K`` classes.

    ``image_ids``, ``category_ids`` are the file's own; every other column speaks of images and classes by position.

    Attributes:
        image: M int64, position of the object's image.
        category: M int64, position of its class.
        boxes: M,4 float64 ``x, y, w, h`` in pixels.
        area: M float64, pixels; decides small, medium and large.
        crowd: M bool, COCO's ``iscrowd``: a region that excuses any number of detections inside it.
        ignored: M bool, the BDD100K flag: matched detections count neither way. COCO's protocol sees them as crowds.
        masks: M entries: compressed RLE with str counts, COCO polygons (lists of floats), or None.
        attributes: M dicts (``occluded``, ``truncated``, ...), possibly empty.
        label_files: where images have label maps, a PNG (or None) each.
        numbered: True where the file has no image ids, and ``image_ids`` just count from 1.
    """

    image_ids: list
    file_names: list[str]
    sizes: np.ndarray
    class_names: list[str]
    category_ids: list[int]
    image: np.ndarray
    category: np.ndarray
    boxes: np.ndarray
    area: np.ndarray
    crowd: np.ndarray
    ignored: np.ndarray
    masks: list
    attributes: list[dict] = field(default_factory=list)
    image_attributes: list[dict] = field(default_factory=list)
    source: str = ""
    rule: str = ""
    numbered: bool = False
    label_files: list[str | None] = field(default_factory=list)
    problems: ProblemLog = field(default_factory=ProblemLog)

    def __len__(self) -> int:
        return len(self.image)

    @property
    def has_masks(self) -> bool:
        """True where at least one object has a mask, so masks can be scored."""
        return any(mask is not None for mask in self.masks)

    def fingerprint(self) -> str:
        """A short hash of everything that scores: images, classes, boxes, areas, flags and masks."""
        made = hashlib.sha256(
            json.dumps([self.image_ids, self.class_names, self.category_ids], default=str).encode()
        )
        for column in (
            self.sizes,
            self.image,
            self.category,
            self.boxes,
            self.area,
            self.crowd,
            self.ignored,
        ):
            made.update(np.ascontiguousarray(column).tobytes())
        for mask in self.masks:
            made.update(json.dumps(mask, default=str).encode())
        return made.hexdigest()[:16]

    def image_index(self) -> dict:
        """The file's image id -> position."""
        return {image_id: i for i, image_id in enumerate(self.image_ids)}

    def rle(self, index: int) -> dict | None:
        """The object's mask as compressed RLE with bytes counts (what the C code takes), or None."""
        return to_rle(self.masks[index], *self.sizes[self.image[index]])

    def take(self, keep: np.ndarray) -> GroundTruth:
        """The same images and classes with only the objects of ``keep`` (M bool or positions)."""
        chosen = np.flatnonzero(keep) if keep.dtype == bool else keep
        columns = {
            name: getattr(self, name)[chosen]
            for name in ("image", "category", "boxes", "area", "crowd", "ignored")
        }
        lists = {
            name: [getattr(self, name)[i] for i in chosen] if getattr(self, name) else []
            for name in ("masks", "attributes")
        }
        same = {
            name: getattr(self, name)
            for name in ("image_ids", "file_names", "sizes", "class_names", "category_ids")
        }
        rest = {
            name: getattr(self, name)
            for name in (
                "image_attributes",
                "source",
                "rule",
                "numbered",
                "label_files",
                "problems",
            )
        }
        return GroundTruth(**same, **columns, **lists, **rest)


def to_rle(segmentation: Any, height: int, width: int) -> dict | None:
    """COCO polygons, uncompressed or compressed RLE -> compressed RLE with bytes counts; None stays None."""
    if segmentation is None:
        return None
    height, width = int(height), int(width)
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        if isinstance(counts, list):
            return coco_mask.frPyObjects(
                {"size": list(segmentation["size"]), "counts": counts}, height, width
            )
        return {
            "size": list(segmentation["size"]),
            "counts": counts.encode() if isinstance(counts, str) else counts,
        }
    if len(segmentation) == 0:
        return coco_mask.encode(np.zeros((height, width), np.uint8, order="F"))
    return coco_mask.merge(
        coco_mask.frPyObjects(
            [np.asarray(p, float).ravel().tolist() for p in segmentation], height, width
        )
    )


def from_dataset_dicts(
    dicts: Sequence[dict], metadata: Any = None, *, source: str = ""
) -> GroundTruth:
    """Detectron2's standard dicts (the whole data set) as ground truth.

    Args:
        dicts: contract 1; ``category_id`` counts from 0.
        metadata: an object or mapping with ``thing_classes`` and perhaps ``thing_dataset_id_to_contiguous_id``.
        source: what messages call this data set.

    Raises:
        DataError: two images of one id, a class beyond ``thing_classes``, an image without size.
    """
    get = reader(metadata)
    names = list(get("thing_classes") or default_names(dicts))
    contiguous = get("thing_dataset_id_to_contiguous_id")
    ids = {position: dataset for dataset, position in contiguous.items()} if contiguous else {}
    builder = GroundTruthBuilder(
        names,
        [ids.get(i, i + 1) for i in range(len(names))],
        source or str(get("name") or "data set"),
    )
    for record in dicts:
        name, attributes = str(record.get("file_name", "")), record.get("attributes")
        builder.image(
            record["image_id"], name, record.get("height"), record.get("width"), attributes
        )
        for annotation in record.get("annotations", ()):
            add_annotation(builder, annotation)
    built = builder.build()
    built.rule = str(get("mask_rule") or "")
    if any("label_file" in record for record in dicts):
        built.label_files = [record.get("label_file") for record in dicts]
    return built


def add_annotation(builder: GroundTruthBuilder, annotation: dict) -> None:
    """One entry of ``annotations`` of a dataset dict."""
    attributes = annotation.get("attributes") or {}
    box = np.asarray(annotation["bbox"], float).copy()
    if int(annotation.get("bbox_mode", XYXY_ABS)) == XYXY_ABS:
        box[2:] -= box[:2]
    builder.add(
        annotation["category_id"],
        box=box,
        mask=annotation.get("segmentation"),
        area=annotation.get("area"),
        crowd=bool(annotation.get("iscrowd", 0)),
        ignored=bool(attributes.get("ignored", False)),
        attributes=attributes,
    )


def reader(metadata: Any) -> Callable[[str], Any]:
    """``get(name)`` on a mapping, on an object with attributes, or on None."""
    if metadata is None:
        return lambda name: None
    if isinstance(metadata, dict):
        return metadata.get
    return lambda name: getattr(metadata, name, None)


def default_names(dicts: Sequence[dict]) -> list[str]:
    """Class names by number where the data set names none."""
    most = max((a["category_id"] for d in dicts for a in d.get("annotations", ())), default=-1)
    return [str(i) for i in range(most + 1)]


class GroundTruthBuilder:
    """Takes images and their objects one by one and ends in a :class:`GroundTruth`."""

    def __init__(self, class_names: Sequence[str], category_ids: Sequence[int], source: str):
        self.class_names, self.category_ids, self.source = (
            list(class_names),
            list(category_ids),
            source,
        )
        self.image_ids: list = []
        self.file_names: list[str] = []
        self.sizes: list[tuple[int, int]] = []
        self.image_attributes: list[dict] = []
        self.rows: list[tuple] = []
        self.boxes: list = []
        self.masks: list = []
        self.attributes: list[dict] = []
        self.problems = ProblemLog()
        self.seen: set = set()

    def image(
        self,
        image_id: Any,
        file_name: str,
        height: int | None,
        width: int | None,
        attributes: dict | None = None,
    ) -> None:
        """Open the next image; objects added from now on are its own."""
        if image_id in self.seen:
            raise DataError(
                f"{self.source}: two images have the id {image_id!r}; give every image an id of its own"
            )
        self.seen.add(image_id)
        self.image_ids.append(image_id)
        self.file_names.append(file_name)
        self.sizes.append((int(height or 0), int(width or 0)))
        self.image_attributes.append(attributes or {})

    def add(
        self,
        category: int,
        *,
        box: Any,
        mask: Any,
        area: float | None,
        crowd: bool,
        ignored: bool,
        attributes: dict,
    ) -> None:
        """One object of the open image; ``box`` x, y, w, h; ``area`` None means: of the mask, else of the box."""
        where = f"{self.source}: image {self.image_ids[-1]}, object {len(self.rows) + 1}"
        if not 0 <= category < len(self.class_names):
            raise DataError(
                f"{where}: class {category} but the data set names {len(self.class_names)} classes"
            )
        if mask is not None and self.sizes[-1] == (0, 0) and not isinstance(mask, dict):
            raise DataError(
                f"{where}: a polygon needs the image's height and width, which are missing"
            )
        if area is None:
            area = (
                float(coco_mask.area(to_rle(mask, *self.sizes[-1])))
                if mask is not None
                else float(box[2] * box[3])
            )
        self.rows.append((len(self.image_ids) - 1, category, area, crowd, ignored))
        self.boxes.append(box)
        self.masks.append(mask)
        self.attributes.append(attributes)

    def mask_box(self, mask: Any) -> list[float]:
        """The tight box x, y, w, h of a mask of the open image."""
        return coco_mask.toBbox(to_rle(mask, *self.sizes[-1])).tolist()

    def build(self) -> GroundTruth:
        """All of it as columns. DataError where every object of the source had to be left out."""
        if not self.rows:
            refuse_nothing_usable(self.source, self.problems)
        image, category, area, crowd, ignored = (
            (list(c) for c in zip(*self.rows, strict=True)) if self.rows else ([], [], [], [], [])
        )
        return GroundTruth(
            image_ids=self.image_ids,
            file_names=self.file_names,
            sizes=np.asarray(self.sizes, np.int64).reshape(-1, 2),
            class_names=self.class_names,
            category_ids=self.category_ids,
            image=np.asarray(image, np.int64),
            category=np.asarray(category, np.int64),
            boxes=np.asarray(self.boxes, np.float64).reshape(-1, 4),
            area=np.asarray(area, np.float64),
            crowd=np.asarray(crowd, bool),
            ignored=np.asarray(ignored, bool),
            masks=self.masks,
            attributes=self.attributes,
            image_attributes=self.image_attributes,
            source=self.source,
            problems=self.problems,
        )
