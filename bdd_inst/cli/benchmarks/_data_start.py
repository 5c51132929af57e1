"""From nothing to the first training batch of a COCO-sized data set, and what eight workers keep in memory."""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
import warnings
from pathlib import Path

from bdd_inst.cli.benchmarks._data_source import CATEGORIES, make_coco
from bdd_inst.cli.benchmarks.common import importable, in_child, print_table

WORKERS = 8


def run_start(options: argparse.Namespace) -> None:
    """Print seconds to the first batch and memory a worker, ours and Detectron2's."""
    number, objects = (5000, 36000) if options.quick else (118000, 860000)
    with tempfile.TemporaryDirectory() as folder:
        labels, images = make_coco(Path(folder), number, objects)
        print(
            f"COCO JSON of {number} images, {objects} objects, {labels.stat().st_size / 1e6:.0f} MB; batch of 2, no workers"
        )
        ours = (our_start, labels, images, f"{folder}/cache")
        cases = {"first start": ours, "second start": ours}
        if importable("detectron2"):
            cases["Detectron2"] = (peer_start, labels, images)
        seconds, rows = {}, []
        for name, (function, *arguments) in cases.items():
            (seconds[name], parts), peak = in_child(function, *arguments)
            rows.append([name, seconds[name], parts, peak])
        print_table(["start", "seconds to first batch", "of which", "peak MB"], rows)
        if "Detectron2" in seconds:
            print(
                f"second start against Detectron2: {seconds['Detectron2'] / seconds['second start']:.1f}x"
            )
        memory(labels, images, f"{folder}/cache")


def memory(labels: Path, images: Path, cache: str) -> None:
    """Print what each of the workers holds after some batches: pages of its own, and its share of the common ones."""
    rows = []
    cases = {"ours": (our_workers, labels, images, cache)}
    if importable("detectron2"):
        cases["Detectron2"] = (peer_workers, labels, images)
    for name, (function, *arguments) in cases.items():
        private, proportional = in_child(function, *arguments)[0]
        rows.append([name, private, proportional])
    print_table(
        [f"{WORKERS} workers, after 20 batches", "own MB each", "own and share of common MB each"],
        rows,
    )


def our_loader(labels: Path, images: Path, cache: str, workers: int):
    """Our training loader and the seconds of its two parts."""
    os.environ["BDD_INST_CACHE"] = cache
    from bdd_inst.config.loading import get_cfg
    from bdd_inst.data.loader import build_train_loader
    from bdd_inst.data.loading import load_datasets
    from bdd_inst.datasets.catalog import DatasetCatalog
    from bdd_inst.datasets.coco_person import load_coco

    names = tuple(f"class {i + 1}" for i in range(CATEGORIES))
    DatasetCatalog.register("bench", lambda: load_coco(labels, images, names))
    cfg = get_cfg()
    cfg.SEED, cfg.MODEL.MASK_ON, cfg.SOLVER.IMS_PER_BATCH, cfg.DATALOADER.NUM_WORKERS = (
        1,
        True,
        2,
        workers,
    )
    cfg.INPUT.MASK_FORMAT = "bitmask"
    start = time.perf_counter()
    dicts, _, _ = load_datasets(cfg, ["bench"], True)
    loaded = time.perf_counter()
    loader = build_train_loader(cfg, dicts)
    return loader, start, loaded


def our_start(labels: Path, images: Path, cache: str) -> tuple[float, str]:
    """Seconds to the first batch, and their parts in words."""
    loader, start, loaded = our_loader(labels, images, cache, 0)
    next(iter(loader))
    end = time.perf_counter()
    return end - start, f"labels {loaded - start:.2f}, loader and batch {end - loaded:.2f}"


def our_workers(labels: Path, images: Path, cache: str) -> tuple[float, float]:
    """Memory of the workers."""
    return worker_memory(our_loader(labels, images, cache, WORKERS)[0])


def peer_loader(labels: Path, images: Path, workers: int):
    """Detectron2's training loader on the same data, and the time it was begun."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    from detectron2.config import get_cfg
    from detectron2.data import build_detection_train_loader
    from detectron2.data.datasets import register_coco_instances

    register_coco_instances("bench", {}, str(labels), str(images))
    cfg = get_cfg()
    cfg.DATASETS.TRAIN, cfg.MODEL.MASK_ON, cfg.SOLVER.IMS_PER_BATCH, cfg.DATALOADER.NUM_WORKERS = (
        ("bench",),
        True,
        2,
        workers,
    )
    cfg.INPUT.MASK_FORMAT = "bitmask"
    start = time.perf_counter()
    return build_detection_train_loader(cfg), start


def peer_start(labels: Path, images: Path) -> tuple[float, str]:
    """Seconds to the first batch of Detectron2."""
    loader, start = peer_loader(labels, images, 0)
    built = time.perf_counter()
    next(iter(loader))
    end = time.perf_counter()
    return end - start, f"loader {built - start:.2f}, batch {end - built:.2f}"


def peer_workers(labels: Path, images: Path) -> tuple[float, float]:
    """Memory of Detectron2's workers."""
    return worker_memory(peer_loader(labels, images, WORKERS)[0])


def worker_memory(loader) -> tuple[float, float]:
    """Mean private and proportional resident MB of this process's children after 20 batches."""
    batches = iter(loader)
    for _ in range(20):
        next(batches)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    private, proportional = [], []
    for child in children:
        fields = dict(
            line.split(":", 1)
            for line in Path(f"/proc/{child}/smaps_rollup").read_text().splitlines()[1:]
        )
        size = {key: float(value.split()[0]) / 1024 for key, value in fields.items()}
        if "Pss" in size and size["Rss"] > 50:
            private.append(size["Private_Clean"] + size["Private_Dirty"])
            proportional.append(size["Pss"])
    return sum(private) / len(private), sum(proportional) / len(proportional)
