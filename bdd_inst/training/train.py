"""One command's whole run: data, model, every stage, then evaluation, curves and images."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fvcore.common.config import CfgNode
from lightning.fabric import Fabric

from bdd_inst.base import distributed
from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.base.locks import FolderLock
from bdd_inst.base.program import option_words, start_words
from bdd_inst.config.checking import check_config
from bdd_inst.config.loading import leaves
from bdd_inst.data.mapper import Mapper
from bdd_inst.datasets.class_view import seen_metadata
from bdd_inst.datasets.own import prepare
from bdd_inst.engines import build_model
from bdd_inst.report.plots import training_curves
from bdd_inst.training import provenance
from bdd_inst.training.checkpoints import CheckpointFolder
from bdd_inst.training.console import log_to, mute_others
from bdd_inst.training.dry_run import dry_run
from bdd_inst.training.hooks import Hook
from bdd_inst.training.hooks.checkpointer import Checkpointer
from bdd_inst.training.hooks.ema import MovingAverage
from bdd_inst.training.hooks.evaluation import Evaluation
from bdd_inst.training.hooks.metric_log import MetricLog, check_loggers
from bdd_inst.training.hooks.progress_bar import ProgressBar
from bdd_inst.training.launch import LaunchConfig, find_launch_config, make_fabric, prepare_torch
from bdd_inst.training.loop import Trainer
from bdd_inst.training.metric_names import check_best_metric
from bdd_inst.training.output import changed_keys
from bdd_inst.training.restarts import mark_folder, run_folder, stop_text
from bdd_inst.training.scoring import Scorer, result_text
from bdd_inst.training.seeds import new_seed, seed_all
from bdd_inst.training.signals import catch_stop
from bdd_inst.training.stages import fit_all, parse_stages
from bdd_inst.training.training_data import TrainingData
from bdd_inst.training.tune.batch_size import measure, resolve_auto
from bdd_inst.weights.checkpoint import load_weights, save_weights
from bdd_inst.weights.trained import as_cfg, identity_of, load_trained

log = logging.getLogger(__name__)


@dataclass
class TrainingResult:
    """What a run leaves: its folder, its figures (None after a stop signal), what to tell the user; ``rank`` of this process."""

    folder: Path
    metrics: dict | None
    text: str
    rank: int = 0


def train(
    cfg: CfgNode,
    output: str | None = None,
    *,
    resume: bool = False,
    eval_only: bool = False,
    launch_config: LaunchConfig | None = None,
    mapper: Mapper | None = None,
    hooks: Sequence[Hook] = (),
) -> TrainingResult:
    """Run every stage of ``cfg`` and evaluate, or with ``eval_only`` evaluate MODEL.WEIGHTS.

    Args:
        cfg: the whole config; not changed.
        output: the run's folder; None makes one under OUTPUT_DIR named by the time.
        resume: go on from the folder's last checkpoint where there is one.
        eval_only: no training.
        launch_config: processes; each of them calls this.
        mapper: makes the training samples in place of ours: ``mapper(dataset_dict)`` as Detectron2's.
        hooks: called beside our own, before each checkpoint is written.

    Returns:
        the run's ``folder``, its ``metrics`` (data set's name to the content of its metrics.json; None after a stop signal), and ``text``,
        the tables and what to open.

    Raises:
        ConfigError: a key that cannot be what it is.
        DataError: data or weights that are missing, a folder in use, a run that has diverged, ... in one readable line.
    """
    cfg = cfg.clone()
    cfg.defrost()
    prepare(cfg)
    launch_config = launch_config or find_launch_config()
    fabric = make_fabric(cfg, launch_config)
    rank = distributed.world()[0]
    mute_others(rank)
    stages = [] if eval_only else parse_stages(cfg)
    if eval_only:  # else every stage has been held against the rules
        check_config(cfg)
    prepare_torch(cfg)
    check_norms(cfg, fabric)
    check_loggers(cfg.LOGGERS)
    folder, resume = on_first(
        lambda: run_folder(output, cfg.OUTPUT_DIR, resume=resume, training=not eval_only)
    )
    data = TrainingData(stages, mapper)
    scorer = Scorer(cfg)
    if stages:
        # Before the folder is made: a misspelt metric would otherwise show at the first evaluation.
        check_best_metric(cfg, scorer.figure_names())
    with folder_taken(folder, rank), catch_stop() as stop:
        if eval_only:
            return evaluate_only(cfg, folder, fabric, scorer)
        last = CheckpointFolder(folder, cfg.SOLVER.KEEP_CHECKPOINTS).load_last() if resume else None
        on_first(lambda: mark_folder(folder))
        run = build_run(cfg, folder, fabric=fabric, data=data, last=last)
        run.stop, run.hooks = stop, list(hooks)
        return train_and_evaluate(run, cfg, folder=folder, scorer=scorer, data=data, resume=resume)


def evaluate(
    model: CfgNode | str | os.PathLike,
    output: str | None = None,
    *,
    overrides: Sequence[str] = (),
) -> dict[str, dict]:
    """Evaluate a trained model on DATASETS.TEST, with curves, images and a report.

    Args:
        model: a config with MODEL.WEIGHTS set, or weights that carry their config, e.g. ``"output/demo/model_final.pth"``.
        output: the folder to write to; None makes one under OUTPUT_DIR named by the time.
        overrides: alternating config keys and values.

    Returns:
        data set's name to the content of its metrics.json.

    Raises:
        ConfigError: nothing to evaluate, or to evaluate on.
        DataError: weights or data that are missing or cannot be used.
    """
    return train(as_cfg(model, overrides), output, eval_only=True).metrics


def check_norms(cfg: CfgNode, fabric: Fabric) -> None:
    """SyncBN is PyTorch's, which has no form for several CPU processes. Raises ConfigError."""
    parts = [key for key, value in leaves(cfg.MODEL) if key.endswith("NORM") and value == "SyncBN"]
    if parts and fabric.device.type == "cpu" and distributed.world()[1] > 1:
        raise ConfigError(
            f"MODEL.{parts[0]} SyncBN: PyTorch has it for GPUs only; take BN or GN for processes on the CPU"
        )


@contextlib.contextmanager
def folder_taken(folder: Path, rank: int) -> Iterator[None]:
    """Hold the folder's lock (rank 0) and write the log into it while the run goes on."""
    lock = FolderLock(folder)
    on_first(lock.acquire)
    handler = log_to(folder, rank)
    try:
        yield
    finally:
        logging.getLogger("bdd_inst").removeHandler(handler)
        handler.close()
        lock.release()


def on_first(action: Callable[[], object]) -> object:
    """Do something on rank 0 only; its result, or its DataError or OSError, comes to every process."""
    result: object = None
    if distributed.world()[0] == 0:
        try:
            result = action()
        except (DataError, OSError) as error:
            result = error
    result = distributed.broadcast(result)
    if isinstance(result, (DataError, OSError)):
        raise result
    return result


def build_run(
    cfg: CfgNode, folder: Path, fabric: Fabric, data: TrainingData, last: tuple[Path, dict] | None
) -> Trainer:
    """Model, weights, stages and seed of a new run, or of the one that ``last`` (path and content of a checkpoint) goes on with."""
    path, state = last or (None, None)
    seed = state["seed"] if state else cfg.SEED
    if seed < 0:
        # Rank 0 draws for all: processes of different seeds would train different models.
        seed = distributed.broadcast(new_seed())
    cfg.SEED = seed
    stages = parse_stages(cfg)
    # Before the model is built, so that its random layers are the same on every process and after a restart.
    seed_all(seed, 0)
    model = build_model(cfg)
    if state is None:
        load_weights(model, cfg.MODEL.WEIGHTS, cfg)
    stages = resolve_auto(
        stages,
        state["batch_sizes"] if state else None,
        lambda stage: measure(stage, model, fabric, data),
    )
    stages = fit_all(stages, [len(data.of(stage)) for stage in stages], distributed.world()[1])
    dry_run(model, stages, data.of)
    run = Trainer(
        fabric,
        model=model,
        stages=stages,
        batches=data.batches,
        checkpoints=CheckpointFolder(folder, cfg.SOLVER.KEEP_CHECKPOINTS),
        seed=seed,
    )
    run.last_saved, run.resumed = path, state
    options = stages[0].cfg.DATASETS
    run.identity = identity_of(cfg, seen_metadata(options.TRAIN[0], options)).entry()
    return run


def train_and_evaluate(
    run: Trainer, cfg: CfgNode, folder: Path, scorer: Scorer, data: TrainingData, resume: bool
) -> TrainingResult:
    """Hooks on, train, then evaluate and draw."""
    first = distributed.world()[0] == 0
    average = MovingAverage(run.model, cfg.SOLVER.EMA.DECAY) if cfg.SOLVER.EMA.ENABLED else None
    metrics = MetricLog(folder, cfg)
    evaluation = Evaluation(scorer.score, metrics, cfg, average)
    # In this order: the average takes in the step before it is evaluated; the checkpoint holds what all have done.
    run.hooks = [
        hook
        for hook in (average, metrics, evaluation, ProgressBar(metrics), *run.hooks, Checkpointer())
        if hook is not None
    ]
    facts = provenance.describe_run(
        run.seed, [*start_words(), *option_words()], data.by_name(), distributed.world()[1]
    )
    if run.resumed:
        run.load_state_dict(run.resumed)
        log_resume(run, cfg, folder, metrics)
    elif resume:
        log.info("%s holds no checkpoint: starting from the beginning", folder)
    if first:
        write_config(cfg, folder)
        provenance.write_run(folder, provenance.read_run(folder) | facts)
    run.train()
    if run.stopped:
        metrics.close()
        return TrainingResult(folder, None, stop_text(run, folder), distributed.world()[0])
    return finish(
        run, cfg, folder=folder, scorer=scorer, evaluation=evaluation, metrics=metrics, facts=facts
    )


def save_final(run: Trainer, folder: Path, average: MovingAverage | None) -> None:
    """The weights of the whole run, and their moving average.

    Raises:
        DataError: they could not be written; the last checkpoint has them.
    """
    try:
        save_weights(run.model, folder / "model_final.pth", run.identity)
        if average is not None:
            save_weights(average.model, folder / "model_ema.pth", run.identity)
    except OSError as error:
        raise DataError(
            f"{folder / 'model_final.pth'}: could not be written ({error.strerror or error}); free space there, then go on with --resume"
        ) from None


def log_resume(run: Trainer, cfg: CfgNode, folder: Path, metrics: MetricLog) -> None:
    """Say where a resumed run stands, and what has changed in its config; one that had finished is evaluated again."""
    if run.progress.stage >= len(run.stages):
        log.info(
            "%s: all %d iterations are done; evaluating again", run.last_saved, run.progress.total
        )
        metrics.repeat_evaluation(run.progress.total - 1)
    else:
        done = f"{run.progress.total} of {run.total_iterations} iterations done"
        log.info("going on from %s: stage %d, %s", run.last_saved, run.progress.stage + 1, done)
    if distributed.world()[0] == 0:
        for line in changed_keys(folder, cfg):
            log.warning("the config has changed since the run began: %s", line)


def finish(
    run: Trainer,
    cfg: CfgNode,
    *,
    folder: Path,
    scorer: Scorer,
    evaluation: Evaluation,
    metrics: MetricLog,
    facts: dict,
) -> TrainingResult:
    """Final weights, final evaluation with curves and images, and what to tell the user."""
    rank = distributed.world()[0]
    average = evaluation.average
    on_first(lambda: save_final(run, folder, average))
    results = scorer.report(run.model, folder, str(folder / "model_final.pth"))
    flat = scorer.last | scorer.losses(run.model)
    if average is not None:
        scorer.report(average.model, folder / "ema", str(folder / "model_ema.pth"))
        flat |= {
            f"ema/{name}": value
            for name, value in (scorer.last | scorer.losses(average.model)).items()
        }
    run.rate = None  # the run is over: no plateau to hear of it
    if flat:
        evaluation.record(run, flat)
    metrics.close()
    text = result_text(results, folder)
    final = evaluation.monitored(flat) if evaluation.best is not None else None
    if evaluation.best is not None and (final is None or final < evaluation.best):
        best = f"{evaluation.name} {abs(evaluation.best):.2f} was after {evaluation.best_iteration} iterations"
        text += f"\nthe best {best}: {folder / 'model_best.pth'}"
    if rank == 0:
        training_curves(folder)
        sample = scorer.sample()
        facts |= provenance.describe_model(run.model, sample) if sample else {}
        facts |= {"finished": provenance.now(), "iterations": run.progress.total, "results": flat}
        provenance.write_run(folder, provenance.read_run(folder) | facts)
    on_first(lambda: evaluation.check_best(folder))
    return TrainingResult(folder, results, text, rank)


def evaluate_only(cfg: CfgNode, folder: Path, fabric: Fabric, scorer: Scorer) -> TrainingResult:
    """Evaluate MODEL.WEIGHTS, or the folder's final weights where the config names none."""
    final = folder / "model_final.pth"
    weights = str(final) if final.is_file() and not cfg.MODEL.WEIGHTS else cfg.MODEL.WEIGHTS
    if not weights:
        raise ConfigError(
            "--eval-only: name the weights, e.g. MODEL.WEIGHTS output/demo/model_final.pth"
        )
    if not cfg.DATASETS.TEST:
        raise ConfigError("--eval-only: DATASETS.TEST is empty; name a data set to evaluate on")
    model = build_model(cfg)
    load_trained(model, weights, cfg)
    model.to(fabric.device)
    results = scorer.report(model, folder, str(weights))
    return TrainingResult(folder, results, result_text(results, folder), distributed.world()[0])


def write_config(cfg: CfgNode, folder: Path) -> None:
    """The config as it was run, every key, its seed drawn."""
    with atomic_write(folder / "config.yaml") as stream:
        stream.write(cfg.dump())
