"""A learning-rate range test (Smith 2017): the loss over exponentially rising rates, and the rate where it falls fastest."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fvcore.common.config import CfgNode
from lightning.fabric import Fabric
from torch import nn

from bdd_inst.base.errors import DataError
from bdd_inst.training.optim import build_optimizer, clip_gradients
from bdd_inst.training.seeds import seed_all

log = logging.getLogger(__name__)

SMOOTHING = 0.9  # weight of the past in the running mean of the losses
BLOWN = 4.0  # the test ends where the smoothed loss is this many times its lowest


@dataclass(frozen=True)
class RangeTest:
    """What was measured: a rate and its loss a step, the losses smoothed, and the rate to take (None where the loss never fell)."""

    rates: list[float]
    losses: list[float]
    smooth: list[float]
    suggestion: float | None


def find_rate(
    fabric: Fabric,
    model: nn.Module,
    cfg: CfgNode,
    batches: Iterable[list[dict]],
    *,
    steps: int = 100,
    lowest: float = 1e-6,
    highest: float = 1.0,
) -> RangeTest:
    """Take ``steps`` optimizer steps at rates from ``lowest`` to ``highest``; the model is spoiled by it.

    Args:
        fabric: where to compute.
        model: its trainable parameters are those of the stage.
        cfg: the stage's config (optimizer, clipping, weight decay).
        batches: endless training batches.

    Raises:
        DataError: the loss is not finite from the start.
    """
    optimizer = build_optimizer(cfg, model)
    # Groups keep their proportions: a backbone that trains at a tenth does so in the test.
    base = [group["lr"] / cfg.SOLVER.BASE_LR for group in optimizer.param_groups]
    wrapped, stepper = fabric.setup(model, optimizer)
    rates, losses, smooth = [], [], []
    mean = 0.0
    for i, batch in zip(range(steps), batches, strict=False):
        seed_all(cfg.SEED, i)
        # Even steps of the logarithm: rates differ by factors.
        rate = lowest * (highest / lowest) ** (i / max(steps - 1, 1))
        for group, share in zip(optimizer.param_groups, base, strict=True):
            group["lr"] = rate * share
        loss = loss_of(fabric, wrapped, batch)
        if not math.isfinite(loss):
            break
        rates.append(rate)
        losses.append(loss)
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        # The running mean begins at 0; divided by the weight that is in it so far, it begins at the first loss.
        smooth.append(mean / (1 - SMOOTHING ** (i + 1)))
        if smooth[-1] > BLOWN * min(smooth):
            break
        if cfg.SOLVER.CLIP_GRADIENTS.ENABLED:
            fabric.strategy.precision.unscale_gradients(stepper)
            clip_gradients(stepper, cfg)
        stepper.step()
        stepper.zero_grad(set_to_none=True)
    if not rates:
        raise DataError(
            "--lr-find: the loss is not finite before any step was taken; look at the data and MODEL.PIXEL_MEAN/PIXEL_STD"
        )
    return RangeTest(rates, losses, smooth, steepest(rates, smooth))


def loss_of(fabric: Fabric, wrapped: nn.Module, batch: list[dict]) -> float:
    """The total loss of a batch, its gradients left in the parameters; infinity where the model met numbers that are not finite."""
    try:
        total = sum(wrapped(batch).values())
    except FloatingPointError:
        return math.inf
    fabric.backward(total)
    return float(total.detach())


def steepest(rates: Sequence[float], smooth: Sequence[float]) -> float | None:
    """The rate where the smoothed loss falls fastest over log(rate), among those before its minimum; None where it never falls.

    Slopes are taken over windows of a tenth of the test, which a single lucky batch does not decide.
    """
    # Beyond its minimum the loss climbs: a fall there is a rebound.
    lowest = min(range(len(smooth)), key=smooth.__getitem__)
    width = max(2, len(smooth) // 10)
    slopes = {}
    for i in range(lowest - width + 1):
        rise = smooth[i + width] - smooth[i]
        slopes[i + width // 2] = rise / math.log(rates[i + width] / rates[i])
    best = min(slopes, key=slopes.__getitem__, default=None)
    return rates[best] if best is not None and slopes[best] < 0 else None
