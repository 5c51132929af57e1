"""The training loop: stage after stage, batch in, optimizer step out, hooks watching; and the state that a checkpoint holds."""

from __future__ import annotations

import contextlib
import gc
import logging
import time
from collections.abc import Iterator

from torch import nn

from bdd_inst.base import distributed
from bdd_inst.base.errors import DataError
from bdd_inst.data.worker_errors import plain_worker_errors
from bdd_inst.modeling.freeze import set_trainable
from bdd_inst.training import guards
from bdd_inst.training.modes import train_mode
from bdd_inst.training.optim import build_optimizer, clip_gradients
from bdd_inst.training.saving import save_checkpoint
from bdd_inst.training.schedules import LearningRate
from bdd_inst.training.seeds import seed_all
from bdd_inst.training.stages import Stage
from bdd_inst.training.state import Progress, Step, TrainingState

log = logging.getLogger(__name__)


class Trainer(TrainingState):
    """Runs a training run from where its ``progress`` stands."""

    def train(self) -> None:
        """Run every stage that is left. Returns early, with ``stopped`` set and a checkpoint written, when a signal asks for it."""
        while self.progress.stage < len(self.stages) and not self.stopped:
            self.set_up_stage()
            self.run_stage()
            if not self.stopped or self.end_stage:
                self.finish_stage()

    def set_up_stage(self) -> None:
        """Freeze, build the optimizer afresh, wrap for the strategy, and take back the state of a resumed checkpoint."""
        self.stage = stage = self.stages[self.progress.stage]
        # The last stage's wrapper holds hooks on the parameters; it must be gone before the next one is made.
        self.wrapped = self.optimizer = self.rate = None
        gc.collect()
        # Before the strategy wraps the model: DDP asks only once which parameters have gradients to exchange.
        set_trainable(self.model, stage.train, stage.freeze_at)
        train_mode(self.model)
        optimizer = build_optimizer(stage.cfg, self.model)
        self.rate = LearningRate(optimizer, stage.cfg)
        self.wrapped, self.optimizer = self.fabric.setup(self.model, optimizer)
        # At the first iteration of a stage the checkpoint's optimizer, if any, is the one of the stage before.
        if self.resumed and self.resumed["optimizer"] and self.progress.iteration:
            self.resume_optimizer(self.resumed)
        self.resumed = None
        describe(self.model, stage, self.progress)
        for hook in self.hooks:
            hook.before_stage(self)

    def resume_optimizer(self, state: dict) -> None:
        """Take back optimizer, schedule and loss scale. Weight decay, momentum and the like are the config's, which may have changed.

        Raises:
            DataError: other parameters train now than did then, or by another optimizer.
        """
        optimizer = self.optimizer
        own = [
            {key: value for key, value in group.items() if key != "params"}
            for group in optimizer.param_groups
        ]
        try:
            if any(
                group.keys() - {"params"} != mine.keys()
                for group, mine in zip(state["optimizer"]["param_groups"], own)
            ):
                raise ValueError("another optimizer")
            optimizer.load_state_dict(state["optimizer"])
        except ValueError:
            raise DataError(
                f"stage {self.stage.name}: other parameters train now than when the checkpoint was written, or by another "
                "SOLVER.OPTIMIZER; resume with the config of the run, or start anew with MODEL.WEIGHTS set to the checkpoint"
            ) from None
        for group, mine in zip(optimizer.param_groups, own, strict=True):
            # Rates among them: ``LearningRate`` sets them from the base rates of this config.
            group.update(mine)
        self.rate.load_state_dict(state["rate"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])

    def run_stage(self) -> None:
        """Steps until the stage's length, an early end or a stop signal."""
        stage, progress = self.stage, self.progress
        self.end_stage = ""
        source = iter(self.batches(stage, progress.iteration))
        try:
            while progress.iteration < stage.max_iter and not self.end_stage:
                self.last = self.step(source)
                progress.iteration += 1
                progress.total += 1
                for hook in self.hooks:
                    hook.after_step(self)
                if distributed.any_true(bool(self.stop), self.fabric.device):
                    self.stopped = True
                    if self.end_stage:  # finishing the stage saves, and keeps that it is over
                        return
                    # All processes must come to the same answer here: saving is a collective.
                    if self.saved_at != progress.total:
                        save_checkpoint(self)
                    return
        finally:
            close(source)

    # Around the whole step: torch reports a killed worker by a signal, which reaches the main process wherever it is.
    @plain_worker_errors()
    def step(self, source: Iterator[list[dict]]) -> Step:
        """One optimizer step over one batch, computed in ``SOLVER.ACCUMULATE`` parts whose gradients are averaged."""
        started = time.perf_counter()
        cfg = self.stage.cfg
        batch = next(source)
        report = Step(
            rate=self.rate.set(self.progress.iteration),
            waited=time.perf_counter() - started,
            images=len(batch),
        )
        # After the first batch: starting data workers draws from the global generator.
        seed_all(cfg.SEED, self.progress.iteration, distributed.world()[0])
        parts = cfg.SOLVER.ACCUMULATE
        size = len(batch) // parts
        for i in range(parts):
            part = batch[i * size : (i + 1) * size]
            with (
                guards.explained(part, self),
                # Processes exchange gradients once a step, with the last part, not once a part.
                self.fabric.no_backward_sync(self.wrapped, enabled=i < parts - 1),
            ):
                losses = self.wrapped(part)
                # Divided: the parts' gradients add up to the mean over the whole batch, as without parts.
                self.fabric.backward(sum(losses.values()) / parts)
            guards.add_losses(report.losses, losses, parts=parts, batch=part, state=self)
        if cfg.SOLVER.CLIP_GRADIENTS.ENABLED:
            # fp16 gradients carry the loss scale: clipped with it, the limit would mean something else at every step.
            self.fabric.strategy.precision.unscale_gradients(self.optimizer)
            clip_gradients(self.optimizer, cfg)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        report.seconds = time.perf_counter() - started
        return report

    def finish_stage(self) -> None:
        """Say that the stage is over and write a checkpoint that starts the next one."""
        if self.end_stage:
            log.info(
                "stage %s ends early after %d iterations: %s",
                self.stage.name,
                self.progress.iteration,
                self.end_stage,
            )
        for hook in self.hooks:
            hook.after_stage(self)
        self.ended_at = self.progress.iteration
        self.progress = Progress(self.progress.stage + 1, 0, self.progress.total)
        if self.progress.stage < len(self.stages):
            self.optimizer = None
        save_checkpoint(self)  # the last stage's optimizer too: a larger MAX_ITER may train on
        self.optimizer = None


def describe(model: nn.Module, stage: Stage, progress: Progress) -> None:
    """Log what trains in a stage."""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    whole = sum(p.numel() for p in model.parameters())
    frozen = sorted(
        {name.split(".")[0] for name, p in model.named_parameters() if not p.requires_grad}
    )
    solver = stage.cfg.SOLVER
    log.info(
        "stage %s: iterations %d to %d, %.2f M of %.2f M parameters train (%s)%s; batch %d, %s, learning rate %g, %s",
        stage.name, progress.iteration, stage.max_iter, trained / 1e6, whole / 1e6,
        stage.train if isinstance(stage.train, str) else ", ".join(stage.train),
        f", frozen ones lie in {', '.join(frozen)}" if frozen else "",
        solver.IMS_PER_BATCH, solver.OPTIMIZER, solver.BASE_LR, solver.LR_SCHEDULER_NAME,
    )  # fmt: skip


def close(source: Iterator) -> None:
    """End a batch source, and with it its worker processes."""
    with contextlib.suppress(AttributeError):
        source.close()
