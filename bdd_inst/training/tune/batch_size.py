"""``SOLVER.IMS_PER_BATCH auto``: the largest power-of-two batch whose step fits into memory, with the learning rate by the linear rule."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from fvcore.common.config import CfgNode
from lightning.fabric import Fabric
from torch import nn

from bdd_inst.base import distributed
from bdd_inst.base.errors import DataError
from bdd_inst.modeling.freeze import set_trainable
from bdd_inst.training.guards import is_out_of_memory
from bdd_inst.training.memory import free_memory, peak_memory
from bdd_inst.training.modes import train_mode
from bdd_inst.training.stages import AUTO_BATCH, Stage
from bdd_inst.training.training_data import TrainingData

log = logging.getLogger(__name__)

REFERENCE_BATCH = 16  # what BASE_LR is written for in Detectron2's recipes, and the largest batch taken on the CPU
LARGEST = 64  # images a GPU; beyond it steps gain little and the linear rule stops to hold
SPARE = 0.85  # share of the memory that trials may take: later batches have larger images and more objects


def fit_batch(cfg: CfgNode, largest: int, fits: Callable[[int], bool], world_size: int) -> int:
    """The total batch: the largest power of two a process that ``fits``, times processes.

    Raises:
        DataError: not even one image fits.
    """
    size = 0
    trial = 1
    # Powers of two: few trials, each as dear as a step; and the linear rule needs no exact size.
    while trial <= largest and fits(trial):
        size, trial = trial, trial * 2
    if not size:
        raise DataError(
            f"out of memory on a single image: lower INPUT.MAX_SIZE_TRAIN (now {cfg.INPUT.MAX_SIZE_TRAIN}) with INPUT.MIN_SIZE_TRAIN, "
            "or set SOLVER.AMP.ENABLED True"
        )
    return size * world_size


class MemoryProbe:
    """Runs forward and backward on the largest images of the data, and looks whether memory is left."""

    def __init__(
        self, model: nn.Module, samples: Sequence[dict], device: torch.device, autocast: Callable
    ) -> None:
        self.model, self.samples, self.device, self.autocast = (
            model,
            list(samples),
            device,
            autocast,
        )
        self.measured: list[tuple[int, int]] = []

    def __call__(self, size: int) -> bool:
        """Whether a step on ``size`` images fits, on every process."""
        return not distributed.any_true(not self._fits(size), self.device)

    def _fits(self, size: int) -> bool:
        if self.device.type != "cuda" and not self._foreseen(size):
            return False
        before = peak_memory(self.device)
        batch = [self.samples[i % len(self.samples)] for i in range(size)]
        try:
            with self.autocast():
                losses = self.model(batch)
            sum(losses.values()).backward()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return False
        finally:
            self.model.zero_grad(set_to_none=True)
            gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        self.measured.append((size, max(peak_memory(self.device), before)))
        if self.device.type == "cuda":
            total = torch.cuda.get_device_properties(self.device).total_memory
            return peak_memory(self.device) <= SPARE * total
        return True

    def _foreseen(self, size: int) -> bool:
        """On the CPU an overdrawn allocation is answered by killing the process: extrapolate from the smaller trials instead."""
        if not self.measured:
            return True
        (small, low), (large, high) = self.measured[0], self.measured[-1]
        # What one image more costs. After a single trial a quarter of all that the process holds is a cautious guess.
        image = (high - low) / (large - small) if large > small else high / 4
        free = free_memory(self.device)
        return not free or image * (size - large) <= SPARE * free


def measure(stage: Stage, model: nn.Module, fabric: Fabric, data: TrainingData) -> int:
    """The total batch that fits a stage. The model is left as it was."""
    world_size = distributed.world()[1]
    device = fabric.device
    # A few images keep a CPU's cores busy: beyond the recipes' batch it would only take more memory.
    largest = LARGEST if device.type == "cuda" else max(1, REFERENCE_BATCH // world_size)
    set_trainable(model, stage.train, stage.freeze_at)
    model.to(device)
    train_mode(model)
    # Running statistics of norms move with every forward pass; the trials must leave no trace.
    state = {name: value.clone() for name, value in model.state_dict().items()}
    total = fit_batch(
        stage.cfg,
        largest,
        MemoryProbe(model, data.heaviest(stage), device, fabric.autocast),
        world_size,
    )
    model.load_state_dict(state)
    return total


def resolve_auto(
    stages: Sequence[Stage], known: Sequence[int] | None, fitting: Callable[[Stage], int]
) -> list[Stage]:
    """Stages whose batch is ``auto`` get one, and the learning rate that goes with it; the others stay as they are.

    The rate is scaled from ``REFERENCE_BATCH`` images, for which Detectron2's recipes give BASE_LR.

    Args:
        stages: of the config.
        known: batches by stage of the run that is resumed, or None.
        fitting: measures a stage's batch.
    """
    resolved = []
    for i, stage in enumerate(stages):
        if stage.cfg.SOLVER.IMS_PER_BATCH == AUTO_BATCH:
            cfg = stage.cfg.clone()
            cfg.SOLVER.IMS_PER_BATCH = known[i] if known and i < len(known) else fitting(stage)
            # What was measured is for the processes that there are: nothing to scale.
            cfg.SOLVER.REFERENCE_WORLD_SIZE = 0
            cfg.SOLVER.BASE_LR *= cfg.SOLVER.IMS_PER_BATCH / REFERENCE_BATCH
            words = "stage %s: IMS_PER_BATCH auto is %d images; learning rate %g by the linear rule from %d"
            log.info(
                words, stage.name, cfg.SOLVER.IMS_PER_BATCH, cfg.SOLVER.BASE_LR, REFERENCE_BATCH
            )
            stage = replace(stage, cfg=cfg)
        resolved.append(stage)
    return resolved
