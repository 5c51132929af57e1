"""RoIAlign as weighted rows against torchvision's operator; level assignment; anchors; sampling; box deltas."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection.anchor_utils import AnchorGenerator as TorchvisionAnchors
from torchvision.models.detection.image_list import ImageList as TorchvisionImages
from torchvision.ops import roi_align

from bdd_inst.modeling.layers.anchors import AnchorGenerator, cell_anchors
from bdd_inst.modeling.layers.box_regression import BoxTransform
from bdd_inst.modeling.layers.matching import Matcher, sample
from bdd_inst.modeling.layers.poolers import ROIPooler
from bdd_inst.modeling.layers.roi_align import roi_align_rows


def some_boxes(seed, size, scale):
    """A map 2,5,20,31 and 12 boxes: some reach far outside, some are turned inside out, one is the whole image."""
    g = torch.Generator().manual_seed(seed)
    feature = torch.randn(2, 5, 20, 31, generator=g)
    boxes = torch.rand(12, 4, generator=g) * 130 - 20
    boxes[:8, 2:] = boxes[:8, :2] + torch.rand(8, 2, generator=g) * 90
    boxes[8:, 2:] = boxes[8:, :2]
    boxes[0] = torch.tensor([0, 0, 31 / scale, 20 / scale])
    rois = torch.cat([torch.randint(0, 2, (12, 1), generator=g).float(), boxes], dim=1)
    return feature, rois, torch.randn(12, 5, size, size, generator=g)


@given(
    st.integers(0, 10**6),
    st.sampled_from([0, 0, 1, 2, 3]),
    st.booleans(),
    st.sampled_from([1, 7, 14]),
    st.sampled_from([0.25, 1.0]),
)
def test_equals_torchvisions_operator(seed, ratio, aligned, size, scale):
    feature, rois, weight = some_boxes(seed, size, scale)
    theirs = feature.clone().requires_grad_()
    want = roi_align(theirs, rois, size, scale, ratio, aligned)
    (want * weight).sum().backward()
    for layout in (torch.contiguous_format, torch.channels_last):
        ours = feature.contiguous(memory_format=layout).detach().requires_grad_()
        got = roi_align_rows(ours, rois, size, scale, ratio, aligned)
        torch.testing.assert_close(got, want, rtol=1e-5, atol=2e-5)
        (got * weight).sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=5e-4)


def test_portions_change_nothing(monkeypatch):
    feature, rois, _ = some_boxes(3, 7, 0.25)
    whole = roi_align_rows(feature, rois, 7, 0.25, 0, True)
    monkeypatch.setattr(
        "bdd_inst.modeling.layers.roi_align.MOST_ROWS", 100
    )  # fewer than one box reads
    assert torch.equal(roi_align_rows(feature, rois, 7, 0.25, 0, True), whole)


def test_gradient_of_a_low_precision_map_is_summed_in_float32():
    feature, rois, weight = some_boxes(1, 7, 0.25)
    boxes = [rois[rois[:, 0] == i, 1:] for i in (0, 1)]
    grads = []
    for dtype in (torch.float32, torch.bfloat16):
        leaf = feature.to(torch.bfloat16).to(dtype).requires_grad_()
        pooled = ROIPooler(7, [4], 0, aligned=True)([leaf], boxes)
        assert pooled.dtype == dtype
        (pooled.float() * weight).sum().backward()
        grads.append(leaf.grad.float())
    torch.testing.assert_close(grads[1], grads[0], rtol=0.02, atol=0.05)


def test_no_boxes():
    assert roi_align_rows(torch.rand(1, 4, 8, 8), torch.zeros(0, 5), 7, 0.25, 0, True).shape == (
        0,
        4,
        7,
        7,
    )


@pytest.mark.parametrize("last", [False, True])
def test_pooler_takes_each_box_from_its_level(last):
    pooler = ROIPooler(7, [4, 8, 16, 32], 0, aligned=True)
    sides = torch.tensor([10.0, 111, 112, 223, 224, 447, 448, 2000])
    boxes = torch.stack([torch.zeros(8), torch.zeros(8), sides, sides], dim=1)
    assert pooler.assign(boxes).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    maps = [torch.full((1, 3, 256 // 2**i, 256 // 2**i), float(i)) for i in range(4)]
    if last:
        maps = [m.to(memory_format=torch.channels_last) for m in maps]
    inside = boxes[:7]
    assert pooler(maps, [inside])[:, 0, 3, 3].tolist() == pytest.approx(
        [0, 0, 1, 1, 2, 2, 3], abs=1e-5
    )


def test_pooler_keeps_images_apart():
    pooler = ROIPooler(2, [4], 0, aligned=True)
    maps = [torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)])]
    box = torch.tensor([[4.0, 4, 20, 20]])
    assert pooler(maps, [box, box]).flatten(1).mean(1).tolist() == [0, 1]


def test_anchors_are_torchvisions():
    """torchvision rounds its cell anchors to whole pixels; these sizes have none to round."""
    sizes, ratios = [[32], [64]], [[1.0, 4.0]]
    ours = AnchorGenerator(sizes, ratios, [8, 16], 0.0)([(4, 6), (2, 3)])
    theirs = TorchvisionAnchors(((32,), (64,)), ((1.0, 4.0), (1.0, 4.0)))
    images = TorchvisionImages(torch.zeros(1, 3, 32, 48), [(32, 48)])
    torch.testing.assert_close(
        torch.cat(ours), theirs(images, [torch.zeros(1, 1, 4, 6), torch.zeros(1, 1, 2, 3)])[0]
    )


def test_anchor_offset_and_area():
    cell = cell_anchors([32, 64], [0.5, 1, 2])
    sides = cell[:, 2:] - cell[:, :2]
    torch.testing.assert_close(sides.prod(1), torch.tensor([1024.0] * 3 + [4096.0] * 3))
    torch.testing.assert_close(sides[:, 1] / sides[:, 0], torch.tensor([0.5, 1, 2] * 2))
    moved = AnchorGenerator([[32]], [[1.0]], [8], 0.5)([(1, 2)])[0]
    assert ((moved[:, :2] + moved[:, 2:]) / 2).tolist() == [[4, 4], [12, 4]]


class TestMatching:
    IOU = torch.tensor([[0.1, 0.35, 0.8, 0.0], [0.2, 0.2, 0.1, 0.0]])

    def test_thresholds(self):
        match, label = Matcher([0.3, 0.7], [0, -1, 1], keep_best=False)(self.IOU)
        assert match.tolist() == [1, 0, 0, 0]
        assert label.tolist() == [0, -1, 1, 0]

    def test_best_of_each_object_with_ties(self):
        _, label = Matcher([0.3, 0.7], [0, -1, 1], keep_best=True)(self.IOU)
        assert label.tolist() == [1, 1, 1, 0]

    def test_no_objects(self):
        match, label = Matcher([0.5], [0, 1], keep_best=True)(torch.zeros(0, 3))
        assert match.tolist() == label.tolist() == [0, 0, 0]

    @given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 60), st.floats(0, 1))
    def test_numbers_drawn(self, positives, negatives, total, fraction):
        state = torch.cat([torch.ones(positives), torch.zeros(negatives)])
        drawn, others = sample(
            state == 1, state == 0, total, fraction, torch.Generator().manual_seed(0)
        )
        assert len(drawn) == min(positives, int(total * fraction))
        assert len(others) == min(negatives, total - len(drawn))
        assert len(set(drawn.tolist() + others.tolist())) == len(drawn) + len(others)
        assert (state[drawn] == 1).all()
        assert (state[others] == 0).all()


class TestBoxTransform:
    def test_decode_undoes_encode(self):
        source = torch.rand(30, 4) * 50
        target = torch.rand(30, 4) * 50
        source[:, 2:] += source[:, :2] + 5
        target[:, 2:] += target[:, :2] + 5
        transform = BoxTransform((10, 10, 5, 5))
        torch.testing.assert_close(
            transform.decode(transform.encode(source, target), source), target, rtol=1e-4, atol=1e-3
        )

    def test_growth_is_limited(self):
        out = BoxTransform((1, 1, 1, 1)).decode(
            torch.tensor([[0.0, 0, 100, 0]]), torch.tensor([[0.0, 0, 16, 16]])
        )
        assert (out[0, 2] - out[0, 0]).item() == pytest.approx(1000, rel=1e-5)

    def test_several_predictions_a_box_and_none(self):
        transform, boxes = BoxTransform((1, 1, 1, 1)), torch.tensor([[0.0, 0, 10, 10]])
        assert transform.decode(torch.zeros(1, 12), boxes).tolist() == [[0, 0, 10, 10] * 3]
        assert transform.decode(torch.zeros(0, 12), boxes[:0]).shape == (0, 12)
