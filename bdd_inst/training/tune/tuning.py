"""``--lr-find``: the range test on a config's last stage, its curve and the rate to take."""

from __future__ import annotations

import csv
import logging
from dataclasses import replace
from pathlib import Path

import matplotlib
from fvcore.common.config import CfgNode

from bdd_inst.base import distributed
from bdd_inst.base.errors import ConfigError
from bdd_inst.base.files import atomic_write
from bdd_inst.datasets.own import prepare
from bdd_inst.drawing.plot_key import add_key
from bdd_inst.engines import build_model
from bdd_inst.modeling.freeze import set_trainable
from bdd_inst.training.dry_run import dry_run
from bdd_inst.training.launch import LaunchConfig, make_fabric, prepare_torch
from bdd_inst.training.modes import train_mode
from bdd_inst.training.output import choose_folder
from bdd_inst.training.seeds import new_seed, seed_all
from bdd_inst.training.stages import fit_stage, parse_stages
from bdd_inst.training.training_data import TrainingData
from bdd_inst.training.tune.batch_size import measure, resolve_auto
from bdd_inst.training.tune.lr_finder import RangeTest, find_rate
from bdd_inst.weights.checkpoint import load_weights

log = logging.getLogger(__name__)


def find_learning_rate(cfg: CfgNode, output: str | None, launch_config: LaunchConfig) -> str:
    """Run the range test of every stage on a fresh model; what to tell the user. Writes ``lr_find.csv`` and ``lr_find.png``.

    Args:
        cfg: a whole config; not changed.
        output: the folder; None makes one under OUTPUT_DIR named by the time.
        launch_config: processes; only one can measure.

    Returns:
        lines to print: a rate for every stage.

    Raises:
        ConfigError: several processes.
        DataError: data that are missing, or losses that say nothing.
    """
    cfg = cfg.clone()
    cfg.defrost()
    prepare(cfg)
    if launch_config.world_size > 1:
        raise ConfigError(
            "--lr-find runs in one process; scale what it finds by the number of processes (SOLVER.REFERENCE_WORLD_SIZE)"
        )
    fabric = make_fabric(cfg, launch_config)
    prepare_torch(cfg)
    if cfg.SEED < 0:
        cfg.SEED = new_seed()
    stages = parse_stages(cfg)
    data = TrainingData(stages)
    folder = choose_folder(output, cfg.OUTPUT_DIR, resume=False, training=False)
    tests = {}
    for stage in stages:
        seed_all(cfg.SEED, 0)
        model = build_model(cfg)
        load_weights(model, cfg.MODEL.WEIGHTS, cfg)
        (found,) = resolve_auto(
            [stage], None, lambda stage, model=model: measure(stage, model, fabric, data)
        )
        fitted = fit_stage(found, len(data.of(stage)), distributed.world()[1])
        dry_run(model, [fitted], data.of)
        set_trainable(model, stage.train, stage.freeze_at)
        train_mode(model)
        log.info(
            "stage %s: range test over %d learning rates", stage.name, cfg.SOLVER.LR_FIND_STEPS
        )
        tests[stage.name] = find_rate(
            fabric,
            model,
            fitted.cfg,
            data.batches(replace(fitted), 0),
            steps=cfg.SOLVER.LR_FIND_STEPS,
        )
    write(tests, folder)
    return describe(tests, folder)


def describe(tests: dict[str, RangeTest], folder: Path) -> str:
    """What was found, a line a stage, in words to paste."""
    lines = []
    for name, test in tests.items():
        if test.suggestion is None:
            lines.append(
                f"stage {name}: the loss never fell; look at the data, or start from weights"
            )
        else:
            lines.append(
                f"stage {name}: the loss falls fastest at {test.suggestion:.2g}: STAGES.{name}.BASE_LR {test.suggestion:.2g}"
            )
    return "\n".join([*lines, f"curves in {folder / 'lr_find.png'}"])


def write(tests: dict[str, RangeTest], folder: Path) -> None:
    """The measured losses as CSV, and an image of them."""
    with atomic_write(folder / "lr_find.csv") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["stage", "lr", "loss", "smooth"])
        for name, test in tests.items():
            writer.writerows(
                (name, *row) for row in zip(test.rates, test.losses, test.smooth, strict=True)
            )
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes, rows = figure.subplots(), []
        for name, test in tests.items():
            (drawn,) = axes.plot(test.rates, test.smooth)
            rows.append((drawn, name))
            if test.suggestion is not None:
                mark = axes.axvline(test.suggestion, color=drawn.get_color(), linestyle=":")
                rows.append((mark, f"{test.suggestion:.2g}"))
        axes.set(
            xscale="log",
            xlabel="learning rate",
            ylabel="smoothed loss",
            title="learning-rate range test",
        )
        add_key(axes, rows, size=9, loc="upper left")
        with atomic_write(folder / "lr_find.png", "wb") as stream:
            figure.savefig(stream, dpi=120, format="png")
