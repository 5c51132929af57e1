"""COCO evaluation of masks, files to figures, side by side with pycocotools, faster-coco-eval and Detectron2 where they are installed."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from bdd_inst.cli.benchmarks.common import importable, in_child, machine, print_table
from bdd_inst.masks import run_lengths

DESCRIPTION = "500k predicted masks on 5000 images, files to figures; peers: pycocotools, faster-coco-eval, Detectron2's C++"
HEIGHT, WIDTH = 720, 1280
FOUND, SHAPES, CLASSES = 100, 400, 8


def make_files(folder: Path, number: int) -> None:
    """``gt.json`` and ``dt.json``: blobs of many sizes; predictions copy objects or invent some. Masks come from a pool of shapes."""
    rng = np.random.default_rng(0)
    pool = [blob(rng) for _ in range(SHAPES)]
    images, annotations, results = [], [], []
    for i in range(1, number + 1):
        images.append({"id": i, "file_name": f"{i}.jpg", "height": HEIGHT, "width": WIDTH})
        number = int(rng.integers(1, 15))
        shapes, classes = rng.integers(0, SHAPES, FOUND), rng.integers(1, CLASSES + 1, FOUND)
        for n in range(FOUND):
            row = {"image_id": i, "category_id": int(classes[n])} | pool[shapes[n]]
            if n < number:
                area = run_lengths.area(row["segmentation"])
                annotations.append(row | {"id": len(annotations) + 1, "area": area, "iscrowd": 0})
            results.append(row | {"score": round(float(rng.random()), 5)})
    categories = [{"id": k + 1, "name": f"class {k + 1}"} for k in range(CLASSES)]
    (folder / "gt.json").write_text(
        json.dumps({"images": images, "categories": categories, "annotations": annotations})
    )
    (folder / "dt.json").write_text(json.dumps(results))


def blob(rng: np.random.Generator) -> dict:
    """The box and mask of one random shape."""
    angles = np.sort(rng.random(16)) * 2 * np.pi
    center, reach = rng.integers(0, [WIDTH, HEIGHT]), rng.integers(4, 90) * rng.uniform(0.6, 1, 16)
    points = np.stack(
        [center[0] + reach * np.cos(angles), center[1] + reach * np.sin(angles)], axis=1
    )
    mask = cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [points.astype(np.int32)], 1)
    mask[tuple(np.minimum(center[::-1], (HEIGHT - 1, WIDTH - 1)))] = 1
    code = run_lengths.encode(mask)
    x1, y1, x2, y2 = run_lengths.to_bbox(code)
    return {"bbox": [x1, y1, x2 - x1, y2 - y1], "segmentation": code}


def run_bdd_inst(folder: Path) -> tuple[float, float, float]:
    """Reading, scoring (seconds) and AP in percent."""
    from bdd_inst.evaluation import coco, coco_files, results_file

    start = time.perf_counter()
    truth = coco_files.read_truth(folder / "gt.json")
    results = results_file.read_results(folder / "dt.json", truth)
    read = time.perf_counter()
    figure = coco.evaluate(truth, results, "segm").average_precision()
    return read - start, time.perf_counter() - read, figure


def run_reference(folder: Path, coco_class: type, evaluator: type) -> tuple[float, float, float]:
    """As :func:`run_bdd_inst` with a library of pycocotools' interface, boxes stripped so that masks are measured by their own areas."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco_class(str(folder / "gt.json"))
        rows = json.loads((folder / "dt.json").read_text())
        for row in rows:
            del row["bbox"]
        results = truth.loadRes(rows)
        read = time.perf_counter()
        scorer = evaluator(truth, results, "segm")
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    return read - start, time.perf_counter() - read, 100 * float(scorer.stats[0])


def pycocotools(folder: Path) -> tuple[float, float, float]:
    """The reference."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return run_reference(folder, COCO, COCOeval)


def faster_coco_eval(folder: Path) -> tuple[float, float, float]:
    """A C++ re-implementation."""
    from faster_coco_eval import COCO, COCOeval_faster

    return run_reference(folder, COCO, COCOeval_faster)


def detectron2(folder: Path) -> tuple[float, float, float]:
    """Detectron2's C++ matching behind pycocotools' IoU."""
    from detectron2.evaluation.fast_eval_api import COCOeval_opt
    from pycocotools.coco import COCO

    return run_reference(folder, COCO, COCOeval_opt)


def run(options: argparse.Namespace) -> None:
    """Print seconds, peak memory and AP of each; every run in a process of its own."""
    images = 500 if options.quick else 5000
    peers = {"bdd_inst": run_bdd_inst, "pycocotools": pycocotools}
    for name, function in (("faster_coco_eval", faster_coco_eval), ("detectron2", detectron2)):
        if importable(name):
            peers[name] = function
        else:
            print(f"  {name}: not installed here")
    print(
        f"  {machine()}\n  {images * FOUND:,} predicted masks of {WIDTH}x{HEIGHT} on {images:,} images, masks only"
    )
    repeat = max(1, min(options.repeat, 3))
    with tempfile.TemporaryDirectory() as place:
        in_child(
            make_files, Path(place), images
        )  # here it would raise the peak that every child inherits
        found = {
            name: [in_child(function, Path(place)) for _ in range(repeat)]
            for name, function in peers.items()
        }
    rows, base = [], None
    for name, measured in found.items():
        read, scored = (float(np.median([one[0][i] for one in measured])) for i in (0, 1))
        base = base or (read + scored)
        total = read + scored
        rows.append(
            [
                name,
                read,
                scored,
                total,
                f"{total / base:.1f}x",
                max(one[1] for one in measured),
                f"{measured[0][0][2]:.6f}",
            ]
        )
    print_table(["", "read s", "score s", "total s", "relative", "peak MB", "mask AP"], rows)
