"""Label files into label sets: 7000 BDD100K frames with 126 000 polygons, seconds and memory, beside Python's own json."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from bdd_inst.cli.benchmarks.common import importable, in_child, print_table

FRAMES, OBJECTS = 7000, 18
WORDS = ("car", "car", "car", "car", "person", "truck", "traffic sign", "rider", "bus", "bike")


def make_scalabel(path: Path, frames: int = FRAMES, objects: int = OBJECTS, seed: int = 1) -> Path:
    """Write an ins_seg file as BDD100K publishes them: 8 to 40 vertices of full precision, one outline in five with curves."""
    rng = np.random.default_rng(seed)
    with open(path, "w", encoding="utf-8") as stream:
        for number in range(frames):
            labels = [_label(rng, number * objects + i) for i in range(objects)]
            attributes = {"weather": "clear", "scene": "city street", "timeofday": "daytime"}
            frame = {
                "name": f"{number:08x}-{number * 7919 % 2**32:08x}.jpg",
                "attributes": attributes,
                "timestamp": 10000,
                "labels": labels,
            }
            stream.write(("[" if number == 0 else ",\n") + json.dumps(frame))
        stream.write("]\n")
    return path


def _label(rng: np.random.Generator, number: int) -> dict:
    count = int(rng.integers(8, 41))
    turn = np.sort(rng.uniform(0, 2 * np.pi, count))
    radius = rng.uniform(5, 80) * rng.uniform(0.7, 1.1, count)
    points = np.stack((np.cos(turn), np.sin(turn)), axis=1) * radius[:, None] + rng.uniform(
        (50, 50), (1230, 670)
    )
    points = points.clip((0, 0), (1280, 720))
    low, high = points.min(axis=0), points.max(axis=0)
    types = "LLCC" + "L" * (count - 4) if number % 5 == 0 else "L" * count
    return {
        "id": str(number),
        "attributes": {"occluded": bool(number % 2), "truncated": False, "crowd": False},
        "category": WORDS[number % len(WORDS)],
        "box2d": {"x1": low[0], "y1": low[1], "x2": high[0], "y2": high[1]},
        "poly2d": [{"vertices": points.tolist(), "types": types, "closed": True}],
    }


def read_streaming(path: str) -> tuple[float, int, int]:
    """Every image read, its outlines as arrays, one after another."""
    from bdd_inst import formats

    start = time.process_time()
    outlines = vertices = 0
    for image in formats.read(path).images:
        for instance in image.instances:
            outlines += len(instance.paths)
            vertices += sum(len(p) for p in instance.paths)
    return time.process_time() - start, outlines, vertices


def read_whole(path: str) -> tuple[float, int, int]:
    """All images in memory at once."""
    from bdd_inst import formats

    start = time.process_time()
    images = formats.read(path).load().images
    return time.process_time() - start, sum(len(i.paths) for p in images for i in p.instances), 0


def read_json(path: str) -> tuple[float, int, int]:
    """Python's json alone, into dicts and lists."""
    start = time.process_time()
    with open(path, encoding="utf-8") as stream:
        frames = json.load(stream)
    return (
        time.process_time() - start,
        sum(len(label["poly2d"]) for f in frames for label in f["labels"]),
        0,
    )


def read_scalabel(path: str) -> tuple[float, int, int]:
    """The official reader."""
    from scalabel.label.io import load

    start = time.process_time()
    frames = load(path, nprocs=0).frames
    return (
        time.process_time() - start,
        sum(len(label.poly2d) for f in frames for label in f.labels),
        0,
    )


def run_readers(options: argparse.Namespace) -> None:
    """Print processor seconds and peak memory of each reader, each in a process of its own."""
    frames = 700 if options.quick else FRAMES
    readers = {
        "bdd_inst, streaming": read_streaming,
        "bdd_inst, all in memory": read_whole,
        "json (dicts only)": read_json,
    }
    if importable("scalabel"):
        readers["scalabel"] = read_scalabel
    else:
        print("scalabel is not importable here: not compared")
    with tempfile.TemporaryDirectory() as folder:
        path = make_scalabel(Path(folder) / "ins_seg_train.json", frames)
        print(
            f"ins_seg polygons: {frames} frames, {frames * OBJECTS} outlines, {path.stat().st_size / 1e6:.0f} MB; one core"
        )
        rows = []
        for name, reader in readers.items():
            outcomes = [in_child(reader, str(path)) for _ in range(max(1, min(3, options.repeat)))]
            (seconds, outlines, _), peak = sorted(outcomes, key=lambda o: o[0][0])[
                len(outcomes) // 2
            ]
            rows.append([name, seconds, round(peak), outlines])
        print_table(["reader", "CPU seconds", "peak MB", "outlines"], rows)
