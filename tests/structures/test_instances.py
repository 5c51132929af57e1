"""Instances: fields of equal length, selected, moved and joined together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bdd_inst.structures import BitMasks, Boxes, Instances, PolygonMasks, RLEMasks


def three() -> Instances:
    square = np.array([0, 0, 4, 0, 4, 4, 0, 4.0])
    return Instances(
        (8, 9),
        gt_boxes=Boxes(torch.arange(12).view(3, 4)),
        gt_classes=torch.tensor([5, 6, 7]),
        gt_masks=PolygonMasks([[square], [square, square + 2], []]),
        bitmaps=BitMasks(torch.zeros(3, 8, 9)),
        names=["a", "b", "c"],
    )


@pytest.mark.parametrize(
    ("item", "rows"),
    [
        (1, [1]),
        (-1, [2]),
        (slice(1, 3), [1, 2]),
        (torch.tensor([2, 0]), [2, 0]),
        (torch.tensor([True, False, True]), [0, 2]),
    ],
)
def test_selects_in_every_field(item, rows):
    got = three()[item]
    assert len(got) == len(rows)
    assert got.gt_classes.tolist() == [5 + r for r in rows]
    assert got.names == ["abc"[r] for r in rows]
    assert [len(parts) for parts in got.gt_masks] == [[1, 2, 0][r] for r in rows]
    assert got.gt_boxes.tensor[:, 0].tolist() == [4 * r for r in rows]
    assert got.image_size == (8, 9)


def test_out_of_range():
    with pytest.raises(IndexError):
        three()[3]


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="2 entries, the others have 3"):
        three().set("scores", torch.zeros(2))


def test_missing_field_names_what_there_is():
    with pytest.raises(AttributeError, match="pred_boxes.*gt_classes"):
        _ = three().pred_boxes


def test_cat():
    joined = Instances.cat([three(), three()[0]])
    assert joined.gt_classes.tolist() == [5, 6, 7, 5]
    assert joined.names == ["a", "b", "c", "a"]
    assert [len(p) for p in joined.gt_masks] == [1, 2, 0, 1]
    assert len(joined.bitmaps) == 4
    with pytest.raises(ValueError, match="one image_size"):
        Instances.cat([three(), Instances((1, 1), gt_classes=torch.zeros(1))])


def test_to_moves_what_can():
    moved = three().to("cpu")
    assert moved.names == ["a", "b", "c"]
    assert moved.gt_classes.device.type == "cpu"


def test_rle_masks_decode_and_select():
    masks = torch.rand(3, 6, 7) > 0.5
    import pycocotools.mask as coco_mask

    rles = []
    for mask in masks.numpy():
        rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        rles.append({"size": rle["size"], "counts": rle["counts"].decode()})
    kept = RLEMasks(rles, (6, 7))
    assert (kept.decode() == masks).all()
    assert kept.area().tolist() == masks.flatten(1).sum(1).tolist()
    assert (kept[torch.tensor([False, True, True])].decode() == masks[1:]).all()
    assert len(RLEMasks.cat([kept, kept[0]])) == 4
