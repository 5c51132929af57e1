"""Whole training steps on the rendered street set, loader included: all layers and heads only, both engines in the same loop."""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
from pathlib import Path

from bdd_inst.cli.benchmarks.common import importable, in_child, machine, print_table

DESCRIPTION = "training steps with real loading: R50-FPN, batch 2 of 711x400, full and heads only; share of time spent waiting for data"
KEYS = {
    "DATASETS.TRAIN": ["synthetic_bdd_train"],
    "DATASETS.TEST": [],
    "MODEL.WEIGHTS": "",
    "MODEL.ROI_HEADS.NUM_CLASSES": 8,
    "INPUT.MASK_FORMAT": "bitmask",
    "INPUT.MIN_SIZE_TRAIN": [400],
    "INPUT.MAX_SIZE_TRAIN": 711,
    "SOLVER.IMS_PER_BATCH": 2,
    "SOLVER.CHECKPOINT_PERIOD": 0,
    "SOLVER.LOG_PERIOD": 1,
    "SOLVER.BASE_LR": 1e-4,
    "LOGGERS": ["csv"],
    "SEED": 1,
}
WARM = 2  # first steps of each stage, which are not counted: memory is reserved and workers start
# What trains, and how many bottom-up parts stay frozen: the recipes' last and first stages.
STAGES = {"full (FREEZE_AT 2)": ("all", 2), "fpn+heads": ("fpn+heads", 2), "heads": ("heads", 2)}


def run(options: argparse.Namespace) -> None:
    """Print seconds a step by engine and by what trains, then the data-wait share by number of workers."""
    print(f"  {machine()}")
    steps = WARM + (3 if options.quick else max(5, 2 * options.repeat))
    rows = {"bdd_inst float32": {}, "bdd_inst SOLVER.AMP": {"SOLVER.AMP.ENABLED": True}}
    if importable("detectron2"):
        rows = {"Detectron2 float32": {"MODEL.ENGINE": "detectron2"}} | rows
    else:
        print("  detectron2 is not installed: its row is missing")
    compare_engines(rows, steps, options.threads)
    compare_workers(steps, options)


def compare_engines(rows: dict[str, dict], steps: int, threads: int) -> None:
    """Seconds a step of each engine for each stage."""
    table = []
    for name, keys in rows.items():
        seconds = {}
        for title, (train, freeze_at) in STAGES.items():
            seconds[title], _ = in_child(
                measure_run, KEYS | keys, train, freeze_at, steps, threads
            )[0]
        full = seconds["full (FREEZE_AT 2)"]
        table.append([name, *seconds.values(), f"{full / seconds['heads']:.2f}x"])
    print("  seconds a step, median")
    print_table(["engine", *STAGES, "heads against full"], table)


def compare_workers(steps: int, options: argparse.Namespace) -> None:
    """Share of the time that the loop waits for its loader: the R50 step, and a small one, which asks more of the loader."""
    table = []
    for workers in (0, 1) if options.quick else (0, 1, 2):
        row: list[object] = [workers]
        for keys in (
            {},
            {
                "MODEL.RESNETS.DEPTH": 18,
                "MODEL.RESNETS.RES2_OUT_CHANNELS": 64,
                "INPUT.MIN_SIZE_TRAIN": [256],
            },
        ):
            worked = KEYS | keys | {"DATALOADER.NUM_WORKERS": workers}
            seconds, waited = in_child(measure_run, worked, "all", 2, steps, options.threads)[0]
            row += [seconds, f"{100 * waited:.1f} %"]
        table.append(row)
    print("  waiting for data")
    print_table(["workers", "R50 s/step", "R50 wait", "R18 256 px s/step", "R18 wait"], table)


def measure_run(
    keys: dict, train: str, freeze_at: int, steps: int, threads: int
) -> tuple[float, float]:
    """Train ``steps`` steps in this process: (median seconds a step, share of the time spent waiting for data)."""
    import torch

    from bdd_inst.config.loading import load_cfg
    from bdd_inst.training.console import quiet_libraries
    from bdd_inst.training.train import train as run_training

    quiet_libraries()
    cfg = load_cfg("Base-MaskRCNN-FPN.yaml")
    cfg.MODEL.DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
    cfg.merge_from_list([item for pair in keys.items() for item in pair])
    cfg.STAGES = [{"NAME": "timed", "TRAIN": train, "FREEZE_AT": freeze_at, "MAX_ITER": steps}]
    if threads:
        torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        if run_training(cfg, folder).metrics is None:
            raise KeyboardInterrupt("stopped by a signal before the last step")
        with (Path(folder) / "training.csv").open() as stream:
            rows = list(csv.DictReader(stream))[WARM:]
    seconds = [float(row["seconds_per_step"]) for row in rows]
    waited = sum(
        float(row["data_wait_share"]) * second for row, second in zip(rows, seconds, strict=True)
    )
    return statistics.median(seconds), waited / sum(seconds)
