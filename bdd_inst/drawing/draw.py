"""Images of labels, of predictions, and of both side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np

from bdd_inst.drawing import text
from bdd_inst.drawing.colors import VERDICTS
from bdd_inst.drawing.matching import with_verdicts
from bdd_inst.drawing.objects import DrawnObjects, from_fields, from_record, gather
from bdd_inst.drawing.paint import Style, paint

__all__ = [
    "DrawnObjects",
    "Style",
    "caption",
    "draw_instances",
    "draw_objects",
    "from_dataset_dict",
    "from_instances",
    "side_by_side",
]

READABLE = (
    900  # small images grow by a whole number to about this long a side, so that names can be read
)
WORDS = {"confused": "wrong class"}


def draw_instances(
    image: np.ndarray,
    *,
    boxes: object = None,
    masks: object = None,
    classes: Sequence[int] | None = None,
    scores: Sequence[float] | None = None,
    names: Sequence[str] = (),
    colors: Sequence[Sequence[int]] | None = None,
    crowd: Sequence[bool] | None = None,
    style: Style | None = None,
) -> np.ndarray:
    """A copy of the image with objects drawn in.

    Args:
        image: H,W,3 uint8, BGR.
        boxes: N,4 x1,y1,x2,y2 (list, array, tensor or Boxes); taken from the masks where absent.
        masks: anything :func:`bdd_inst.drawing.regions.to_regions` reads, or None.
        classes: N 0-based class indices; all 0 where absent.
        scores: N in 0..1, or None.
        names: class names by index.
        colors: RGB by class index; a fixed palette where absent.
        crowd: N bool; these are drawn gray.
        style: how; see :class:`Style`.

    Returns:
        H,W,3 uint8, BGR.

    Raises:
        DataError: lengths differ, or a mask does not fit the image.
    """
    objects = gather(
        image.shape[:2],
        boxes=boxes,
        masks=masks,
        classes=classes,
        scores=scores,
        names=names,
        colors=colors,
        crowd=crowd,
    )
    return draw_objects(image, objects, style)


def draw_objects(
    image: np.ndarray, objects: DrawnObjects, style: Style | None = None
) -> np.ndarray:
    """A copy of H,W,3 uint8 BGR with gathered objects drawn in.

    Args:
        image: H,W,3 uint8 BGR.
        objects: gathered for an image of this size.
        style: None takes the default one.

    Returns:
        H,W,3 uint8 BGR, a new array.
    """
    return paint(image, objects, style or Style())


def from_dataset_dict(
    image: np.ndarray, record: dict, metadata: object = None, style: Style | None = None
) -> np.ndarray:
    """The image (H,W,3 uint8 BGR) with the annotations of its Detectron2 standard dict; crowds and ignored ones gray.

    ``metadata`` (a catalog entry or a dict) gives ``thing_classes`` and ``thing_colors``.
    """
    height, width = image.shape[:2]
    return draw_objects(
        image, from_record({**record, "height": height, "width": width}, metadata), style
    )


def from_instances(
    image: np.ndarray,
    instances: object,
    metadata: object = None,
    *,
    score_threshold: float = 0.0,
    style: Style | None = None,
) -> np.ndarray:
    """The image (H,W,3 uint8 BGR) with Instances of its size: predictions above a score, or ``gt_*`` fields.

    Args:
        image: H,W,3 uint8 BGR.
        instances: Instances of ``image_size`` (H, W), on any device.
        metadata: a catalog entry or a dict with ``thing_classes`` and ``thing_colors``.
        score_threshold: predictions below it are left out.
        style: None takes the default one.

    Returns:
        H,W,3 uint8 BGR, a new array.
    """
    return draw_objects(image, from_fields(instances, metadata, score_threshold), style)


def side_by_side(
    image: np.ndarray,
    labels: DrawnObjects,
    predictions: DrawnObjects,
    *,
    verdicts: bool = False,
    iou: float = 0.5,
    title: str = "",
    style: Style | None = None,
) -> np.ndarray:
    """Labels at the left, predictions at the right, a caption over each and a key of colors below.

    Args:
        image: H,W,3 uint8 BGR.
        labels, predictions: gathered objects (:func:`gather`, :func:`from_record`, :func:`from_fields`).
        verdicts: color by what became of each object: matched, missed, false, confused (another class there) or
            ignored; judged at ``iou`` (mask IoU where both have masks, else box IoU).
        title: stands before the left caption, e.g. the file name.
        style: None takes the default one.

    Returns:
        H',W',3 uint8 BGR.
    """
    style = style or Style()
    if verdicts:
        labels, predictions = with_verdicts(labels, predictions, iou)
        style = Style(**{**style.__dict__, "color_by": "verdict"})
    panels = []
    for objects, name in ((labels, "Ground truth"), (predictions, "Predictions")):
        canvas, objects = enlarge(image, objects)
        words = f"{name}: {count(len(objects))}"
        panels.append(
            caption(
                draw_objects(canvas, objects, style),
                f"{title}  ·  {words}" if title and not panels else words,
            )
        )
    height = max(p.shape[0] for p in panels)
    panels = [
        cv2.copyMakeBorder(p, 0, height - p.shape[0], 0, 0, cv2.BORDER_CONSTANT) for p in panels
    ]
    gap = np.full((height, 6, 3), 255, np.uint8)
    whole = np.hstack([panels[0], gap, panels[1]])
    entries = verdict_legend(labels, predictions) if verdicts else class_key(labels, predictions)
    if not entries:
        return whole
    return np.vstack(
        [
            whole,
            text.strip(
                whole.shape[1], f"IoU {iou:g}" if verdicts else "", entries, font_size(panels[0])
            ),
        ]
    )


def caption(image: np.ndarray, words: str) -> np.ndarray:
    """The image under a dark strip that says ``words``.

    Args:
        image: H,W,3 uint8 BGR.
        words: one line.

    Returns:
        H + strip,W,3 uint8 BGR.
    """
    return np.vstack([text.strip(image.shape[1], words, (), font_size(image)), image])


def enlarge(
    image: np.ndarray, objects: DrawnObjects, factor: int = 0
) -> tuple[np.ndarray, DrawnObjects]:
    """Image and objects grown together; ``factor`` 0: as a small image needs for its names to be readable (at most 8).

    Args:
        image: H,W,3 uint8 BGR.
        objects: gathered for an image of this size.
        factor: whole; 0 chooses.

    Returns:
        Both, ``factor`` times as large.
    """
    factor = factor or int(np.clip(round(READABLE / max(*image.shape[:2], 1)), 1, 8))
    if factor == 1:
        return image, objects
    return cv2.resize(
        image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC
    ), objects.enlarged(factor)


def font_size(image: np.ndarray) -> int:
    """Height in pixels of the caption strips' letters for an image H,W,3 uint8."""
    return int(np.clip(round((image.shape[0] * image.shape[1]) ** 0.5 / 55), 11, 40))


def count(number: int) -> str:
    """``1 object``, ``20 objects``.

    Args:
        number: of objects.

    Returns:
        The number with its noun.
    """
    return f"{number} object" if number == 1 else f"{number} objects"


def class_key(*sides: DrawnObjects) -> list[tuple[str, tuple[int, int, int]]]:
    """Name and color of every class that occurs, in class order."""
    found = {c: side for side in sides for c in side.classes}
    return [(side.name(c), side.colors[c]) for c, side in sorted(found.items())]


def verdict_legend(
    labels: DrawnObjects, predictions: DrawnObjects
) -> list[tuple[str, tuple[int, int, int]]]:
    """Each verdict with its number (matched, confused and ignored as seen from the predictions)."""
    numbers = Counter(predictions.verdicts) | Counter(
        {"missed": (labels.verdicts or []).count("missed")}
    )
    return [
        (f"{numbers[v]} {WORDS.get(v, v)}", color) for v, color in VERDICTS.items() if numbers[v]
    ]
