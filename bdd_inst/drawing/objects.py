"""What is drawn on one image: boxes, regions, classes, scores, names and colors, gathered from any kind of source."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.drawing import text
from bdd_inst.drawing.colors import IGNORED, VERDICTS, Color, class_colors, instance_color
from bdd_inst.drawing.fonts import drawable
from bdd_inst.drawing.regions import Region, to_regions
from bdd_inst.structures import BoxMode

log = logging.getLogger(__name__)


@dataclass
class DrawnObjects:
    """What is drawn on one image: N boxes (N,4 x1,y1,x2,y2), regions, class indices, scores, and marks.

    ``crowd`` N bool: drawn gray (crowds and ignored objects). ``verdicts`` N keys of ``VERDICTS`` for ``color_by="verdict"``.
    """

    boxes: np.ndarray
    regions: list[Region | None]
    classes: list[int]
    scores: list[float] | None
    names: Sequence[str]
    colors: list[Color] = field(default_factory=list)
    crowd: list[bool] | None = None
    verdicts: list[str] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def enlarged(self, factor: int) -> DrawnObjects:
        """The same objects for the image ``factor`` times as large."""
        return replace(
            self,
            boxes=self.boxes * factor,
            regions=[r and r.enlarged(factor) for r in self.regions],
        )

    def name(self, index: int) -> str:
        """A class's name, or its index where it has none or no font has its letters."""
        if not 0 <= index < len(self.names):
            return f"class {index}"
        shown = drawable(text.clean(self.names[index]))
        if shown is None:
            log_undrawable(tuple(self.names))
        return shown or f"class {index}"

    def label(self, i: int, with_score: bool = True) -> str:
        """``car 97%``; a class without a name shows its index."""
        name = self.name(self.classes[i])
        if self.crowd and self.crowd[i]:
            name += " (ignored)"
        score = self.scores[i] if with_score and self.scores is not None else None
        return text.clean(
            name if score is None or not np.isfinite(score) else f"{name} {100 * score:.0f}%"
        )

    def color(self, i: int, color_by: str) -> Color:
        """RGB of object ``i``."""
        if color_by == "verdict" and self.verdicts:
            return VERDICTS[self.verdicts[i]]
        if self.crowd and self.crowd[i]:
            return IGNORED
        if color_by == "instance":
            return instance_color(i)
        return self.colors[self.classes[i]]


def gather(
    size: tuple[int, int],
    *,
    boxes=None,
    masks=None,
    classes=None,
    scores=None,
    names=(),
    colors=None,
    crowd=None,
) -> DrawnObjects:
    """Arguments of :func:`draw_instances` for an image of ``size`` (H, W), checked and in one form.

    Args:
        size: (height, width) of the image.
        boxes: N,4 x1, y1, x2, y2 in pixels: Boxes, tensor, array or list; rows of NaN take the mask's.
        masks: N, in any form that :func:`bdd_inst.drawing.regions.to_regions` takes, or None.
        classes: N indices; all 0 where not given.
        scores: N, or None.
        names: of the classes.
        colors: R, G, B by class, or None.
        crowd: N flags, or None.

    Returns:
        In one form, ready to be drawn.

    Raises:
        DataError: lengths differ, or a mask does not fit the image.
    """
    regions = None if masks is None else to_regions(masks, *size)
    rows = (
        None
        if boxes is None
        else array(getattr(boxes, "tensor", boxes)).astype(np.float64).reshape(-1, 4)
    )
    number = len(rows) if rows is not None else len(regions or ())
    for name, values in (
        ("masks", regions),
        ("classes", classes),
        ("scores", scores),
        ("crowd", crowd),
    ):
        if values is not None and len(values) != number:
            raise DataError(f"cannot draw: {number} boxes but {len(values)} {name}")
    if regions is None:
        regions = [None] * number
    around = np.array([r.box if r else (np.nan,) * 4 for r in regions], np.float64).reshape(-1, 4)
    rows = around if rows is None else np.where(np.isnan(rows).all(1, keepdims=True), around, rows)
    indices = [0] * number if classes is None else [int(c) for c in array(classes)]
    return DrawnObjects(
        rows,
        regions=regions,
        classes=indices,
        scores=None if scores is None else [float(s) for s in array(scores)],
        names=tuple(names),
        colors=class_colors([*names, *[""] * (max(indices, default=-1) + 1 - len(names))], colors),
        crowd=None if crowd is None else [bool(c) for c in array(crowd)],
    )


def array(values: object) -> np.ndarray:
    """Lists, arrays and tensors of any shape, dtype and device as an array."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def from_record(record: dict, metadata: object = None) -> DrawnObjects:
    """The annotations of a Detectron2 standard dict (``height`` and ``width`` must be there).

    Args:
        record: ``annotations``, ``height`` and ``width``.
        metadata: a catalog entry or a dict with ``thing_classes`` and ``thing_colors``.

    Returns:
        Its objects; crowds and ignored ones are marked.
    """
    names, colors = names_and_colors(metadata)
    annotations = record.get("annotations") or []
    boxes = [
        BoxMode.convert(list(a["bbox"]), a.get("bbox_mode", BoxMode.XYXY_ABS), BoxMode.XYXY_ABS)
        for a in annotations
    ]
    masks = [a.get("segmentation") or None for a in annotations]
    return gather(
        (record["height"], record["width"]),
        boxes=boxes,
        masks=masks,
        classes=[a["category_id"] for a in annotations],
        crowd=[
            bool(a.get("iscrowd") or (a.get("attributes") or {}).get("ignored"))
            for a in annotations
        ],
        names=names,
        colors=colors,
    )


def from_fields(
    instances: object, metadata: object = None, score_threshold: float = 0.0
) -> DrawnObjects:
    """Instances with ``pred_*`` and ``scores``, or with ``gt_*``; predictions below ``score_threshold`` are left out.

    Args:
        instances: Instances of ``image_size`` (H, W), on any device.
        metadata: a catalog entry or a dict with ``thing_classes`` and ``thing_colors``.
        score_threshold: predictions below it are left out.

    Returns:
        Its objects.
    """
    names, colors = names_and_colors(metadata)
    prefix = "pred_" if instances.has("pred_boxes") else "gt_"
    fields = instances.get_fields()
    scores = fields.get("scores")
    if scores is not None and score_threshold > 0:
        return from_fields(instances[scores >= score_threshold], metadata)
    return gather(
        tuple(instances.image_size),
        boxes=fields[f"{prefix}boxes"],
        masks=fields.get(f"{prefix}masks"),
        classes=fields[f"{prefix}classes"],
        scores=scores,
        names=names,
        colors=colors,
    )


def names_and_colors(metadata: object) -> tuple[Sequence[str], Sequence | None]:
    """``thing_classes`` and ``thing_colors`` of a catalog entry, of a dict, or of nothing."""
    get = (
        metadata.get
        if isinstance(metadata, dict)
        else lambda key, default: getattr(metadata, key, default)
    )
    return get("thing_classes", ()) or (), get("thing_colors", None)


@functools.lru_cache(64)
def log_undrawable(names: tuple[str, ...]) -> None:
    """Which classes are drawn by their numbers because no font has their letters; said once for each vocabulary."""
    found = [f"{i} {n}" for i, n in enumerate(names) if drawable(text.clean(n)) is None]
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    log.warning(
        "no font of this machine has the letters of some classes; they are drawn by number: %s%s. "
        "A font of the script, e.g. one of Noto's, mends it",
        ", ".join(found[:8]),
        more,
    )
