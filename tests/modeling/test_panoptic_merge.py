"""The merging rules on cases small enough to be worked out by hand."""

from __future__ import annotations

import numpy as np
import torch

from bdd_inst.modeling.meta.panoptic_merge import combine_semantic_and_instance_outputs
from bdd_inst.structures import Boxes, Instances


def instances(size, *objects):
    """``(score, class, rows, columns)`` each, a rectangle."""
    masks = np.zeros((len(objects), *size), bool)
    for mask, (_, _, rows, columns) in zip(masks, objects):
        mask[rows, columns] = True
    return Instances(
        size,
        pred_boxes=Boxes(np.zeros((len(objects), 4), np.float32)),
        scores=torch.tensor([o[0] for o in objects]),
        pred_classes=torch.tensor([o[1] for o in objects], dtype=torch.int64),
        pred_masks=torch.from_numpy(masks),
    )


def merge(found, labels, overlap=0.5, area=4, score=0.5):
    ids, segments = combine_semantic_and_instance_outputs(found, labels, overlap, area, score)
    assert ids.dtype == torch.int32
    return ids, segments


def test_the_better_object_keeps_shared_pixels_and_stuff_gets_the_rest():
    labels = torch.ones(4, 8, dtype=torch.int64)
    labels[:, 6:] = 2
    found = instances(
        (4, 8), (0.6, 1, slice(0, 2), slice(2, 6)), (0.9, 0, slice(0, 2), slice(0, 4))
    )
    ids, segments = merge(found, labels)
    assert [s["id"] for s in segments] == [1, 2, 3, 4]
    assert [(s["isthing"], s["category_id"]) for s in segments] == [
        (True, 0),
        (True, 1),
        (False, 1),
        (False, 2),
    ]
    assert [s.get("instance_id") for s in segments[:2]] == [1, 0]
    assert [s.get("area") for s in segments[2:]] == [12, 8]
    assert ids[0].tolist() == [1, 1, 1, 1, 2, 2, 4, 4]
    assert ids[3].tolist() == [3, 3, 3, 3, 3, 3, 4, 4]


def test_thresholds():
    labels = torch.zeros(4, 8, dtype=torch.int64)  # things everywhere: no stuff
    labels[0, :3] = 5
    low = (0.4, 0, slice(2, 4), slice(0, 2))
    first, covered = (0.9, 0, slice(0, 4), slice(4, 8)), (0.8, 1, slice(0, 4), slice(5, 8))
    half = (0.7, 2, slice(0, 4), slice(2, 6))
    ids, segments = merge(instances((4, 8), low, first, covered, half), labels)
    # Of ``half`` exactly the allowed share is taken; three free pixels of stuff are too few.
    assert [s["category_id"] for s in segments] == [0, 2]
    assert ids[1].tolist() == [0, 0, 2, 2, 1, 1, 1, 1]
    # The object took one of the three.
    assert merge(instances((4, 8), half), labels, area=2)[1][-1] == {
        "id": 2,
        "isthing": False,
        "category_id": 5,
        "area": 2,
    }


def test_nothing_found_and_empty_masks():
    labels = torch.full((3, 3), 2)
    nothing = instances((3, 3))
    ids, segments = merge(nothing, labels)
    assert ids.unique().tolist() == [1]
    assert segments == [{"id": 1, "isthing": False, "category_id": 2, "area": 9}]
    empty = instances((3, 3), (0.9, 0, slice(0, 0), slice(0, 0)))
    assert merge(empty, labels)[1] == segments
