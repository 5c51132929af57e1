"""The model side by side with Detectron2 and torchvision: one image, one training step; medians, ratios, peak memory."""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
from pathlib import Path

import numpy as np

from bdd_inst.cli.benchmarks import _model_engines as engines
from bdd_inst.cli.benchmarks.common import importable, machine, print_table

DESCRIPTION = "Mask R-CNN R50-FPN (--arch cascade or panoptic: those): one 1280x720 image with 100 detections, one training step of batch 2; peers: Detectron2, torchvision"
BF16 = {"MODEL.PRECISION": "bf16"}
AMP = {"SOLVER.AMP.ENABLED": True}
CLASSES = {"MODEL.ROI_HEADS.NUM_CLASSES": 8}


class Process:
    """One engine at one task, in its own process, which waits until it is asked for a repetition."""

    def __init__(self, job: engines.BenchmarkTask):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=engines.worker, args=(theirs, job), daemon=True)
        self.process.start()
        theirs.close()
        self.times: list[float] = []
        self.first, self.error = None, ""
        self.first = self._receive()

    def _receive(self):
        try:
            kind, value = self.pipe.recv()
        except EOFError:
            kind, value = "error", "the process died"
        if kind == "error":
            self.error = value
            return None
        return value

    def repeat(self) -> None:
        if not self.error:
            self.pipe.send(True)
            self.times.append(self._receive())

    def finish(self) -> float:
        """Peak resident memory in MB."""
        self.pipe.send(False)
        peak = self._receive()
        self.process.join()
        return peak


def run(options: argparse.Namespace) -> None:
    """Print the tables; a peer that is not installed is named."""
    print(f"  {machine()}")
    for name in ("detectron2", "torchvision"):
        if not importable(name):
            print(f"  {name} is not installed: its rows are missing")
    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder) / "weights.pth")
        engines.make_weights(weights, keys_of(options))
        inference(options, weights)
        training(options, weights)


def keys_of(options: argparse.Namespace) -> dict:
    """Config keys of the architecture that is timed."""
    return CLASSES | engines.ARCHITECTURES[options.arch]


def inference(options: argparse.Namespace, weights: str) -> None:
    """One image: to full-size masks, then to COCO RLE."""
    rows = {
        "Detectron2": ("detectron2", {}, False),
        "Detectron2, huge pages": ("detectron2", {}, True),
        "torchvision (own random weights)": ("torchvision", {}, False),
        "bdd_inst float32": ("builtin", {}, True),
        "bdd_inst bf16": ("builtin", BF16, True),
    }
    if options.arch != "maskrcnn":  # the only one that torchvision has
        del rows["torchvision (own random weights)"]
    found = table(
        "one 1280x720 image to detections with full-size masks",
        "infer",
        rows=rows,
        weights=weights,
        options=options,
    )
    compare(found)
    table(
        "the same to COCO RLE",
        "rle",
        rows={k: v for k, v in rows.items() if "torchvision" not in k},
        weights=weights,
        options=options,
    )


def training(options: argparse.Namespace, weights: str) -> None:
    """One step: everything, then heads only."""
    rows = {
        "Detectron2 float32": ("detectron2", {}, False),
        "Detectron2 float32, huge pages": ("detectron2", {}, True),
        "bdd_inst float32": ("builtin", {}, True),
        "bdd_inst SOLVER.AMP (bf16)": ("builtin", AMP, True),
    }
    for task, title in (
        ("train", "training step, batch 2 of 711x400"),
        ("heads", "the same, RPN and ROI heads only"),
    ):
        found = table(title, task, rows=rows, weights=weights, options=options)
        ours, theirs = found.get("bdd_inst float32"), found.get("Detectron2 float32")
        if ours and theirs:
            worst = max(abs(ours[k] - theirs[k]) / max(abs(theirs[k]), 1e-9) for k in theirs)
            print(
                f"  losses in float32 against Detectron2: largest relative difference {worst:.1e}"
            )


def table(title: str, task: str, rows: dict, weights: str, options: argparse.Namespace) -> dict:
    """Time the rows in turn and print them with their ratio to the first; gives each row's first result."""
    processes = {}
    for name, (engine, keys, pages) in rows.items():
        if engine == "builtin" or importable(engine):
            processes[name] = Process(
                engines.BenchmarkTask(
                    engine,
                    task=task,
                    weights=weights,
                    keys=keys_of(options) | keys,
                    threads=options.threads,
                    huge_pages=pages,
                )
            )
    for _ in range(max(1, min(options.repeat, 2) if options.quick else options.repeat)):
        for process in processes.values():
            process.repeat()
    lines, base = [], None
    for name, process in processes.items():
        if process.error:
            lines.append([name, "-", "-", "-", "-", process.error[:60]])
            continue
        median = statistics.median(process.times)
        base = base or median
        lines.append(
            [
                name,
                median * 1e3,
                min(process.times) * 1e3,
                f"{base / median:.2f}x",
                process.finish(),
                "",
            ]
        )
    print(f"  {title}")
    print_table(["engine", "median ms", "best ms", "speed", "peak MB", "failed"], lines)
    return {name: process.first for name, process in processes.items()}


def compare(found: dict) -> None:
    """Say how far each engine's detections are from Detectron2's: paired by class and best IoU."""
    theirs = found.get("Detectron2")
    for name, ours in found.items():
        if ours and "boxes" not in ours:
            print(f"  {name}: {ours['count']} detections")
        elif ours and theirs and not name.startswith("Detectron2"):
            print(f"  {name} against Detectron2: {difference(theirs, ours)}")


def difference(theirs: dict, ours: dict) -> str:
    """Counts, and over the pairs the largest difference of boxes, scores and mask pixels."""
    import torch
    from torchvision.ops import box_iou

    overlap = box_iou(torch.from_numpy(theirs["boxes"]), torch.from_numpy(ours["boxes"])).numpy()
    overlap *= theirs["classes"][:, None] == ours["classes"]
    pairs = overlap.argmax(axis=1)
    good = overlap.max(axis=1) > 0.9
    text = f"{ours['count']} and {theirs['count']} detections, {good.sum()} the same"
    if not good.any():
        return text
    chosen = pairs[good]
    boxes = np.abs(ours["boxes"][chosen] - theirs["boxes"][good]).max()
    scores = np.abs(ours["scores"][chosen] - theirs["scores"][good]).max()
    pixels = max(
        int(np.unpackbits(a ^ b).sum())
        for a, b in zip(ours["masks"][chosen], theirs["masks"][good], strict=True)
    )
    return f"{text}; of these boxes within {boxes:.1e} px, scores within {scores:.1e}, masks within {pixels} pixels"
