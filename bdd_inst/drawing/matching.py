"""Which predictions found which labels, for images that show what went right and wrong (COCO's greedy rule, one threshold)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pycocotools import mask as coco_mask

from bdd_inst.drawing.objects import DrawnObjects
from bdd_inst.masks import run_lengths


def with_verdicts(
    labels: DrawnObjects, predictions: DrawnObjects, iou: float = 0.5
) -> tuple[DrawnObjects, DrawnObjects]:
    """Both sides with ``verdicts``.

    Predictions choose in order of score, each the free label of its class with the largest IoU of at least ``iou``; a crowd or
    ignored label excuses any number (IoU by the prediction's area). What is left over takes a free label of another class:
    ``confused`` on both sides. Then labels are ``missed`` and predictions ``false``.

    Args:
        labels: of an image.
        predictions: of the same image.
        iou: from which on a prediction and a label are of one object.

    Returns:
        Copies of both; ``verdicts`` are keys of VERDICTS.
    """
    table = overlaps(labels, predictions)
    crowd = np.array(labels.crowd or [False] * len(labels), bool)
    label_classes, found_classes = np.array(labels.classes, int), np.array(predictions.classes, int)
    verdict_of_label = np.where(crowd, "ignored", "missed").astype(object)
    verdicts = np.full(len(predictions), "false", object)
    order = np.argsort(-np.array(predictions.scores or [1.0] * len(predictions)), kind="stable")
    # Own class first for all: a better-scored object of another class must not take a label from its own.
    for same_class in (True, False):
        for i in order:
            if verdicts[i] != "false":
                continue
            alike = (label_classes == found_classes[i]) == same_class
            free = alike & (verdict_of_label == "missed") & (table[i] >= iou)
            if free.any():
                j = int(np.where(free, table[i], -1).argmax())
                verdicts[i] = verdict_of_label[j] = "matched" if same_class else "confused"
            # Only after the objects that count, as in COCO's rule.
            elif same_class and (alike & crowd & (table[i] >= iou)).any():
                verdicts[i] = "ignored"
    return replace(labels, verdicts=verdict_of_label.tolist()), replace(
        predictions, verdicts=verdicts.tolist()
    )


def overlaps(labels: DrawnObjects, predictions: DrawnObjects) -> np.ndarray:
    """P,L float64 IoU: of masks where every object on both sides has one, else of boxes; of crowds the share of the prediction."""
    crowd = [int(c) for c in labels.crowd or [False] * len(labels)]
    if not len(labels) or not len(predictions):
        return np.zeros((len(predictions), len(labels)))
    if all(r is not None for r in [*labels.regions, *predictions.regions]):
        return coco_mask.iou(
            *(_rles(side, labels, predictions) for side in (predictions, labels)), crowd
        )
    return coco_mask.iou(_xywh(predictions), _xywh(labels), crowd)


def _rles(side: DrawnObjects, *sides: DrawnObjects) -> list[dict]:
    """RLEs on a common canvas that holds every region."""
    boxes = np.array([r.box for s in sides for r in s.regions])
    # pycocotools compares masks of one size only; beyond the last object there is nothing to compare.
    width, height = boxes[:, 2:].max(0).astype(int).tolist()
    return [
        run_lengths.encode_crop(r.mask > 0, r.x, y=r.y, height=height, width=width)
        for r in side.regions
    ]


def _xywh(side: DrawnObjects) -> np.ndarray:
    boxes = np.nan_to_num(side.boxes)
    return np.ascontiguousarray(np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]))
