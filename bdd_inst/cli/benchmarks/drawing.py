"""Drawing: a 1280x720 street with 100 predicted objects - masks, outlines, boxes and names - beside Detectron2's Visualizer."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch

from bdd_inst.cli.benchmarks.common import importable, machine, measure_all, print_table
from bdd_inst.drawing.draw import draw_instances
from bdd_inst.masks import run_lengths

DESCRIPTION = "a 1280x720 image with 100 predictions drawn on it: masks, outlines, boxes, names"
HEIGHT, WIDTH, OBJECTS = 720, 1280, 100
NAMES = ("pedestrian", "car")


def run(options: argparse.Namespace) -> None:
    """Print milliseconds an image."""
    print(f"  {machine()}")
    image, boxes, masks, scores, classes = scene(np.random.default_rng(0))
    rles = run_lengths.encode_batch(masks)

    def ours() -> np.ndarray:
        return draw_instances(
            image, boxes=boxes, masks=rles, classes=classes, scores=scores, names=NAMES
        )

    functions: dict[str, Callable] = {"bdd_inst": ours}
    if importable("detectron2"):
        functions["Detectron2"] = peer_drawing(
            image, boxes, masks=masks, scores=scores, classes=classes
        )
    else:
        print("  detectron2 is not installed: its row is missing")
    seconds = measure_all(functions, 1 if options.quick else options.repeat)
    rows = [
        [name, 1e3 * value, f"{value / seconds['bdd_inst']:.0f}x"]
        for name, value in seconds.items()
    ]
    print_table(["", "ms an image", "time"], rows)


def scene(
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[float], list[int]]:
    """A noisy image H,W,3 uint8 with boxes N,4, round masks N,H,W bool, scores and classes."""
    image = rng.integers(60, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    low = rng.uniform(0, 0.8, (OBJECTS, 2)) * [WIDTH, HEIGHT]
    boxes = np.hstack(
        [low, np.minimum(low + rng.uniform(16, 200, (OBJECTS, 2)), [WIDTH, HEIGHT])]
    ).round()
    masks = np.zeros((OBJECTS, HEIGHT, WIDTH), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
        y, x = np.mgrid[-1 : 1 : (y2 - y1) * 1j, -1 : 1 : (x2 - x1) * 1j]
        mask[y1:y2, x1:x2] = x**2 + y**2 <= 1
    return (
        image,
        boxes,
        masks,
        rng.uniform(0.5, 1, OBJECTS).tolist(),
        rng.integers(0, 2, OBJECTS).tolist(),
    )


def peer_drawing(
    image: np.ndarray,
    boxes: np.ndarray,
    masks: np.ndarray,
    scores: list[float],
    classes: list[int],
) -> Callable:
    """Detectron2's Visualizer on the same objects: image H,W,3 uint8, boxes N,4 float32, masks N,H,W bool."""
    from detectron2.structures import Boxes, Instances
    from detectron2.utils.visualizer import Visualizer

    found = Instances((HEIGHT, WIDTH))
    found.pred_boxes, found.pred_masks = Boxes(torch.from_numpy(boxes)), torch.from_numpy(masks)
    found.scores, found.pred_classes = torch.tensor(scores), torch.tensor(classes)
    metadata = {"thing_classes": list(NAMES)}
    return lambda: (
        Visualizer(image[..., ::-1], metadata).draw_instance_predictions(found).get_image()
    )
