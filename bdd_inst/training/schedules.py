"""Learning-rate schedules: Detectron2's values at every iteration (warm-up, then steps, cosine or fixed decays), and plateaus."""

from __future__ import annotations

from collections.abc import Callable

import torch
from fvcore.common.config import CfgNode
from fvcore.common.param_scheduler import (
    CompositeParamScheduler,
    ConstantParamScheduler,
    CosineParamScheduler,
    LinearParamScheduler,
    MultiStepParamScheduler,
    ParamScheduler,
    StepWithFixedGammaParamScheduler,
)

from bdd_inst.base.registry import Registry

# fvcore's even steps are defined below 1 (less its rounding margin of 1e-6); warm-up as long as the stage asks for 1.
BEFORE_END = 1 - 1e-5
PLATEAU = "WarmupReduceOnPlateau"

# From 0 to 1, the share of the stage that is done, to a factor.
Schedule = Callable[[float], float]


def _multi_step(solver: CfgNode) -> Schedule:
    # fvcore refuses milestones beyond the end; Detectron2 leaves them out with a warning.
    steps = [step for step in solver.STEPS if step <= solver.MAX_ITER]
    return MultiStepParamScheduler(
        [solver.GAMMA**k for k in range(len(steps) + 1)],
        milestones=steps,
        num_updates=solver.MAX_ITER,
    )


def _cosine(solver: CfgNode) -> Schedule:
    # A factor, not a rate: each group has a base rate of its own.
    return CosineParamScheduler(1, solver.BASE_LR_END / solver.BASE_LR)


def _fixed_gamma(solver: CfgNode) -> Schedule:
    steps = StepWithFixedGammaParamScheduler(
        1.0, gamma=solver.GAMMA, num_decays=solver.NUM_DECAYS, num_updates=solver.MAX_ITER
    )
    return lambda share: steps(min(share, BEFORE_END))


def _constant(solver: CfgNode) -> Schedule:
    return MultiStepParamScheduler([1.0], num_updates=solver.MAX_ITER)


# From the SOLVER section to the factor after warm-up.
SCHEDULES: Registry[Callable[[CfgNode], Schedule]] = Registry(
    "SOLVER.LR_SCHEDULER_NAME",
    {
        "WarmupMultiStepLR": _multi_step,
        "WarmupCosineLR": _cosine,
        "WarmupStepWithFixedGammaLR": _fixed_gamma,
        PLATEAU: _constant,
    },
)


def multiplier(cfg: CfgNode) -> Callable[[int], float]:
    """The factor on every learning rate at an iteration (0-based) of a stage.

    Same values as Detectron2's ``WarmupParamScheduler`` over the schedule that the config names: warm-up runs from
    ``WARMUP_FACTOR`` times the first value to the value that the schedule has where warm-up ends.
    """
    solver = cfg.SOLVER
    after = SCHEDULES.pick(solver.LR_SCHEDULER_NAME)(solver)
    share = min(solver.WARMUP_ITERS / solver.MAX_ITER, 1.0)
    # Relative to the schedule's own beginning, as in Detectron2.
    first = solver.WARMUP_FACTOR * after(0.0)
    if solver.WARMUP_METHOD == "constant":
        warmup: ParamScheduler = ConstantParamScheduler(first)
    else:
        warmup = LinearParamScheduler(
            first, after(0.0) if solver.RESCALE_INTERVAL else after(share)
        )
    scaling = ["rescaled", "rescaled" if solver.RESCALE_INTERVAL else "fixed"]
    whole = CompositeParamScheduler(
        # Fixed: the schedule runs by the stage's own time, and warm-up hides its beginning. Rescaled: it begins
        # where warm-up ends, pressed into what is left.
        [warmup, after],
        lengths=[share, 1 - share],
        interval_scaling=scaling,
    )
    return lambda iteration: whole(iteration / solver.MAX_ITER)


class LearningRate:
    """Sets the learning rate of every parameter group at each iteration: its own base rate times the schedule's factor.

    Stateless but for what a plateau has done: ``set`` gives the same rate for the same iteration, whenever it is called.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, cfg: CfgNode) -> None:
        self.optimizer = optimizer
        self.factor = multiplier(cfg)
        self.base_rates = [group["lr"] for group in optimizer.param_groups]
        self.reached = 1.0
        self.plateau = Plateau(cfg) if cfg.SOLVER.LR_SCHEDULER_NAME == PLATEAU else None

    def set(self, iteration: int) -> float:
        """Write the rates for ``iteration`` (0-based) into the optimizer; returns the first group's."""
        # Computed from the iteration, never multiplied step by step: a resumed run has the same rates to the last bit.
        factor = self.factor(iteration) * self.reached
        for group, base in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = base * factor
        return self.base_rates[0] * factor

    def step_plateau(self, value: float | None) -> bool:
        """Tell the plateau rule of a new value of the monitored metric (higher is better); True where the rate falls."""
        if self.plateau is None or not self.plateau.step(value):
            return False
        self.reached *= self.plateau.gamma
        return True

    def state_dict(self) -> dict:
        """What a checkpoint must hold."""
        return {
            "reached": self.reached,
            "plateau": self.plateau.state_dict() if self.plateau else None,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on from a checkpoint."""
        self.reached = state["reached"]
        if self.plateau and state["plateau"]:
            self.plateau.load_state_dict(state["plateau"])


class Plateau:
    """Counts evaluations without improvement; after ``PLATEAU_PATIENCE`` of them says that the rate should fall by GAMMA."""

    def __init__(self, cfg: CfgNode) -> None:
        self.patience, self.gamma = cfg.SOLVER.PLATEAU_PATIENCE, cfg.SOLVER.GAMMA
        self.best: float | None = None
        self.waited = 0

    def step(self, value: float | None) -> bool:
        """Take in one evaluation; True when patience has run out (the count then starts again)."""
        if value is not None and (self.best is None or value > self.best):
            self.best, self.waited = value, 0
            return False
        self.waited += 1
        if self.waited < self.patience:
            return False
        self.waited = 0
        return True

    def state_dict(self) -> dict:
        """What a checkpoint must hold."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a checkpoint."""
        self.best, self.waited = state["best"], state["waited"]
