"""Masks of the live models on images with known persons: IoU of each source, flicker and lag of videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.cli.benchmarks.common import print_table
from bdd_inst.data.sem_seg import label_map_of
from bdd_inst.datasets import people
from bdd_inst.images.read import read_bgr
from bdd_inst.live.pyramid import Pyramid
from bdd_inst.live.segmenter import Segmenter
from bdd_inst.live.smoothing import MaskSmoother
from bdd_inst.live.steadiness import measure

UNKNOWN = 255
SEQUENCE = (
    8  # images, at least, that are numbered one after the other and of one size: frames of a video
)


def run(folder: Path, models: Mapping[str, Segmenter], number: int) -> None:
    """Print IoU by source, of at most ``number`` images each, then flicker and lag of those that are videos."""
    images, videos = [], []
    for place in people.sources(folder):
        records = people.load_source(place).dicts
        name = str(place.relative_to(folder))
        images.append([name, *_overlaps(records, models, number)])
        if _is_sequence(records):
            videos += [[name, *row] for row in _steadiness(records, models)]
    if not images:
        raise DataError(f"--people {folder}: no folder below it has images/ and masks/")
    marked = [f"marked without a person, %, {name}" for name in models]
    print_table(["images", "number", *(f"IoU, {name}" for name in models), *marked], images)
    if videos:
        print_table(["video", "masks of", "", "IoU", "flicker, %", "lag, %"], videos)


def _overlaps(records: Sequence[dict], models: Mapping[str, Segmenter], number: int) -> list:
    """How many images, the mean IoU of each model on those with a person, the share of pixels it marks on the others."""
    step = max(1, len(records) // number)
    chosen = records[::step][:number]
    overlaps, marked = {name: [] for name in models}, {name: [] for name in models}
    for record in chosen:
        image, truth = read_bgr(record["file_name"]), label_map_of(record, UNKNOWN)
        known, frame = truth != UNKNOWN, Pyramid(image)
        right = (truth > 0) & known
        for name, model in models.items():
            mask = cv2.resize(model(frame), truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
            mask = (mask > 0.5) & known
            if right.any():
                overlaps[name].append((mask & right).sum() / (mask | right).sum())
            else:
                marked[name].append(100 * mask.mean())
    columns = [*overlaps.values(), *marked.values()]
    return [len(chosen), *(f"{np.mean(values):.3f}" if values else "" for values in columns)]


def _is_sequence(records: Sequence[dict]) -> bool:
    names = [Path(record["file_name"]).stem for record in records]
    if len(names) < SEQUENCE or not all(name.isdecimal() for name in names):
        return False
    numbers = [int(name) for name in names]
    sizes = {(record["height"], record["width"]) for record in records}
    return len(sizes) == 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _steadiness(records: Sequence[dict], models: Mapping[str, Segmenter]) -> list[list]:
    images = [read_bgr(record["file_name"]) for record in records]
    truth = [label_map_of(record, UNKNOWN) == 1 for record in records]
    rows = []
    for name, model in models.items():
        smoother, plain, calm = MaskSmoother(), [], []
        for image in images:
            frame = Pyramid(image)
            plain.append(model(frame))
            calm.append(smoother(plain[-1], frame))
        for how, masks in (("as they come", plain), ("smoothed", calm)):
            found = measure(masks, images, truth)
            rows.append([name, how, f"{found.iou:.3f}", 100 * found.flicker, 100 * found.lag])
    return rows
