"""Losses of pixel-wise models against plain formulas; pixels of unknown label never count in any."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from bdd_inst.modeling.heads.pixel_losses import LOSSES, PixelLoss

IGNORE = 255
ONE_CLASS = sorted(set(LOSSES) - {"CROSS_ENTROPY"})


def case(classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits 2,K,12,10 and labels, a fifth of them unknown."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, 12, 10, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, max(classes, 2), (2, 12, 10), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = IGNORE
    return logits, labels


@pytest.mark.parametrize(
    ("name", "classes"), [(n, 1) for n in ONE_CLASS] + [(n, 4) for n in sorted(LOSSES)]
)
class TestEveryLoss:
    def test_unknown_pixels_do_not_count(self, name, classes):
        loss, (logits, labels) = PixelLoss(classes, IGNORE, {name: 1.0}), case(classes)
        unknown = (labels == IGNORE)[:, None]
        other = torch.where(unknown, logits + 7.0, logits)
        assert loss(logits, labels).item() == pytest.approx(loss(other, labels).item(), rel=1e-6)
        logits.requires_grad_()
        loss(logits, labels).backward()
        assert not logits.grad[unknown.expand_as(logits)].any()
        assert logits.grad[~unknown.expand_as(logits)].any()

    def test_right_answers_cost_nothing(self, name, classes):
        _, labels = case(classes)
        known = torch.where(labels == IGNORE, 0, labels)
        right = (
            (2.0 * known - 1)[:, None]
            if classes == 1
            else F.one_hot(known, classes).movedim(-1, 1) * 2.0 - 1
        )
        loss = PixelLoss(classes, IGNORE, {name: 1.0})
        assert abs(loss(right * 60.0, labels).item()) < 1e-6
        assert loss(right * -60.0, labels).item() > 0.5

    def test_nothing_known_is_zero(self, name, classes):
        logits, labels = case(classes)
        logits.requires_grad_()
        loss = PixelLoss(classes, IGNORE, {name: 1.0})(logits, torch.full_like(labels, IGNORE))
        loss.backward()
        assert loss.item() == 0
        assert not logits.grad.any()


def rows(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """P,K logits and P labels of the known pixels."""
    known = labels != IGNORE
    return logits.movedim(1, -1)[known], labels[known]


def test_cross_entropies_by_class_weight_and_smoothing():
    logits, labels = case(4)
    weights, (x, y) = [1.0, 2.0, 0.5, 3.0], rows(logits, labels)
    got = PixelLoss(4, IGNORE, class_weights=weights, label_smoothing=0.1)(logits, labels)
    want = F.cross_entropy(x, y, weight=torch.tensor(weights).double(), label_smoothing=0.1)
    assert got.item() == pytest.approx(want.item())
    logits, labels = case(1)
    x, y = rows(logits, labels)
    wanted = y.double() * 0.9 + 0.05
    each = -(wanted * F.logsigmoid(x[:, 0]) + (1 - wanted) * F.logsigmoid(-x[:, 0]))
    factor = torch.where(y == 1, 3.0, 1.0)
    got = PixelLoss(1, IGNORE, class_weights=[1.0, 3.0], label_smoothing=0.1)(logits, labels)
    assert got.item() == pytest.approx(((each * factor).sum() / factor.sum()).item())


@pytest.mark.parametrize("classes", [1, 4])
def test_dice_is_one_minus_the_mean_dice_of_the_classes(classes):
    logits, labels = case(classes)
    x, y = rows(logits, labels)
    scores = []
    for index in [1] if classes == 1 else range(classes):
        p = x[:, 0].sigmoid() if classes == 1 else x.softmax(1)[:, index]
        t = (y == index).double()
        scores.append(2 * (p * t).sum() / (p.sum() + t.sum()))
    got = PixelLoss(classes, IGNORE, {"DICE": 1.0})(logits, labels)
    assert got.item() == pytest.approx(1 - (sum(scores) / len(scores)).item())


def test_a_sum_goes_by_its_weights():
    logits, labels = case(1)
    parts = {name: PixelLoss(1, IGNORE, {name: 1.0})(logits, labels) for name in ("BCE", "DICE")}
    both = PixelLoss(1, IGNORE, {"BCE": 2.0, "DICE": 0.5}, weight=3.0)(logits, labels)
    assert both.item() == pytest.approx(3 * (2 * parts["BCE"] + 0.5 * parts["DICE"]).item())
