"""Masks: pasting and encoding, drawing outlines by the official rule, taking bitmasks apart - each beside its peers."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
from pycocotools import mask as coco_mask

from bdd_inst.cli.benchmarks.common import importable, machine, measure_all, print_table
from bdd_inst.formats.bitmask import BitmaskInstance, instance_numbers, instances_of, to_bitmask
from bdd_inst.masks import run_lengths
from bdd_inst.masks.outlines import Outline
from bdd_inst.masks.paste import paste_to_rles
from bdd_inst.masks.rasterize import objects_to_rles

DESCRIPTION = "mask probabilities to run lengths, outlines to masks by the official BDD100K rule, bitmasks to instances; 1280x720"
HEIGHT, WIDTH, MASKS = 720, 1280, 100


def run(options: argparse.Namespace) -> None:
    """Print milliseconds for rasterizing, run lengths and pasting."""
    if options.threads:
        torch.set_num_threads(options.threads)
    print(machine())
    generator = np.random.default_rng(0)
    pasting(generator, options)
    drawing(generator, options)
    bitmasks(generator, options)
    coding(generator, options)


def show(
    title: str,
    unit: str,
    functions: dict[str, Callable],
    remarks: dict[str, str],
    repeat: int,
    count: int = 1,
) -> None:
    """Time the functions in turn and print milliseconds for each of ``count`` things, and how many times longer than the first."""
    seconds = measure_all(functions, repeat)
    first = next(iter(seconds.values()))
    print(f"\n{title}")
    rows = [
        [name, value / count * 1e3, f"{value / first:.1f}x", remarks.get(name, "")]
        for name, value in seconds.items()
    ]
    print_table(["", unit, "time", ""], rows)


def pasting(generator: np.random.Generator, options: argparse.Namespace) -> None:
    """100 masks of 28x28 in boxes of a street's sizes (4.7 million pixels in all) to COCO RLE."""
    probs, boxes = _detections(generator)
    ours = paste_to_rles(probs, boxes, (HEIGHT, WIDTH))
    functions: dict[str, Callable] = {
        "bdd_inst: crossing search": lambda: paste_to_rles(probs, boxes, (HEIGHT, WIDTH))
    }
    remarks = {}
    if importable("detectron2"):
        from detectron2.layers.mask_ops import paste_masks_in_image

        functions["Detectron2: paste + encode"] = lambda: _encode_all(
            paste_masks_in_image(probs, boxes, (HEIGHT, WIDTH), 0.5)
        )
        theirs = functions["Detectron2: paste + encode"]()
        same = sum(a["counts"] == b["counts"].decode() for a, b in zip(ours, theirs))
        remarks["Detectron2: paste + encode"] = f"{same} of {MASKS} masks identical"
    else:
        print("\nDetectron2 is not importable here: not compared")
    from torchvision.models.detection.roi_heads import paste_masks_in_image as paste_torchvision

    functions["torchvision: paste + encode"] = lambda: _encode_all(
        paste_torchvision(probs[:, None], boxes, (HEIGHT, WIDTH))[:, 0] > 0.5
    )
    remarks["torchvision: paste + encode"] = "another rule: boxes rounded, resized"
    show(
        f"{MASKS} masks of 28x28 to COCO RLE",
        "ms",
        functions=functions,
        remarks=remarks,
        repeat=options.repeat,
    )


def _detections(generator: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    side, shape = (
        np.exp(generator.normal(np.log(110), 0.9, MASKS)),
        np.exp(generator.normal(0, 0.4, MASKS)),
    )
    width, height = np.minimum(side * shape, WIDTH - 2), np.minimum(side / shape, HEIGHT - 2)
    x, y = generator.random(MASKS) * (WIDTH - width), generator.random(MASKS) * (HEIGHT - height)
    coarse = torch.from_numpy(generator.normal(size=(MASKS, 1, 7, 7)).astype(np.float32))
    grain = torch.nn.functional.interpolate(coarse, size=(28, 28), mode="bicubic")[:, 0]
    v, u = torch.meshgrid(torch.linspace(-1, 1, 28), torch.linspace(-1, 1, 28), indexing="ij")
    boxes = np.stack([x, y, x + width, y + height], axis=1).astype(np.float32)
    return torch.sigmoid(4 * (0.8 - u**2 - v**2) + 2 * grain), torch.from_numpy(boxes)


def _encode_all(masks: torch.Tensor) -> list[dict]:
    """As Detectron2's evaluator encodes them: whole masks, one by one."""
    return [
        coco_mask.encode(np.asfortranarray(mask.numpy().astype(np.uint8)[:, :, None]))[0]
        for mask in masks
    ]


def drawing(generator: np.random.Generator, options: argparse.Namespace) -> None:
    """Outlines with straight and curved parts, as many corners as BDD100K's have, to RLE."""
    paths = [_outline(generator) for _ in range(200)]
    few = paths[: 10 if options.quick else 40]
    ours = objects_to_rles([[path] for path in few], HEIGHT, WIDTH)
    flat = [path.vertices.ravel().tolist() for path in paths]
    same = sum(a == run_lengths.encode(_draw_officially(path)) for a, path in zip(ours, few))
    functions: dict[str, Callable] = {
        "bdd_inst: official rule": lambda: objects_to_rles(
            [[path] for path in paths], HEIGHT, WIDTH
        ),
        "bdd_inst: COCO rule": lambda: objects_to_rles(
            [[path] for path in paths], HEIGHT, WIDTH, "coco"
        ),
        "pycocotools: COCO rule, no curves": lambda: [
            coco_mask.frPyObjects([points], HEIGHT, WIDTH) for points in flat
        ],
    }
    show(
        "outlines to COCO RLE",
        "ms each",
        functions=functions,
        remarks={},
        repeat=options.repeat,
        count=len(paths),
    )
    functions = {
        "bdd_inst: official rule": lambda: objects_to_rles([[path] for path in few], HEIGHT, WIDTH),
        "a matplotlib figure each, encoded": lambda: [
            run_lengths.encode(_draw_officially(path)) for path in few
        ],
    }
    remarks = {
        "a matplotlib figure each, encoded": f"the official tool's way; {same} of {len(few)} masks identical"
    }
    show(
        "the same by the official tool's way",
        "ms each",
        functions=functions,
        remarks=remarks,
        repeat=min(options.repeat, 3),
        count=len(few),
    )


def _outline(generator: np.random.Generator) -> Outline:
    number = int(generator.integers(8, 40))
    angle = np.sort(generator.random(number)) * 2 * np.pi
    radius = np.exp(generator.normal(np.log(60), 0.8)) * (0.6 + 0.4 * generator.random(number))
    center = generator.random(2) * [WIDTH, HEIGHT]
    vertices = center + radius[:, None] * np.stack([np.cos(angle), 0.7 * np.sin(angle)], axis=1)
    letters = list("L" * number)
    for place in range(1, number - 3, 4):
        if generator.random() < 0.3:
            letters[place : place + 2] = "CC"
    return Outline(np.clip(vertices, 0, [WIDTH, HEIGHT]), "".join(letters))


def _draw_officially(path: Outline) -> np.ndarray:
    """One outline on a canvas of the image's size, as the official tool draws it: H,W bool."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as CanvasPath

    canvas = FigureCanvasAgg(
        Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor="black")
    )
    axes = canvas.figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    codes = [
        CanvasPath.MOVETO,
        *(CanvasPath.CURVE4 if letter == "C" else CanvasPath.LINETO for letter in path.types[1:]),
        CanvasPath.LINETO,
    ]
    vertices = np.concatenate([path.vertices, path.vertices[:1]])
    axes.add_patch(
        PathPatch(
            CanvasPath(vertices, codes),
            facecolor="white",
            linewidth=0,
            antialiased=False,
            snap=True,
        )
    )
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., 0] > 0


def bitmasks(generator: np.random.Generator, options: argparse.Namespace) -> None:
    """An image of 30 instances, decoded already, to one RLE an instance."""
    drawn = objects_to_rles([[_outline(generator)] for _ in range(30)], HEIGHT, WIDTH)
    items = [BitmaskInstance(mask, place % 8 + 1) for place, mask in enumerate(drawn)]
    values = to_bitmask(items, HEIGHT, WIDTH)

    def mask_by_mask() -> list[dict]:
        numbers = instance_numbers(values)
        return [
            coco_mask.encode(np.asfortranarray(numbers == n, dtype=np.uint8))
            for n in np.unique(numbers)
            if n
        ]

    functions = {
        "bdd_inst: by runs": lambda: instances_of(values),
        "mask by mask, pycocotools": mask_by_mask,
    }
    show(
        "a bitmask of 30 instances to COCO RLE",
        "ms",
        functions=functions,
        remarks={},
        repeat=options.repeat,
    )
    show(
        "30 instances to a bitmask",
        "ms",
        functions={"bdd_inst": lambda: to_bitmask(items, HEIGHT, WIDTH)},
        remarks={},
        repeat=options.repeat,
    )


def coding(generator: np.random.Generator, options: argparse.Namespace) -> None:
    """Encoding and decoding one whole mask."""
    mask = run_lengths.decode(objects_to_rles([[_outline(generator)]], HEIGHT, WIDTH)[0])
    mask = np.ascontiguousarray(mask)
    coded = run_lengths.encode(mask)
    functions = {
        "bdd_inst: encode": lambda: run_lengths.encode(mask),
        "pycocotools: encode": lambda: coco_mask.encode(np.asfortranarray(mask)),
    }
    show(
        "one mask of 1280x720 to COCO RLE",
        "ms",
        functions=functions,
        remarks={},
        repeat=options.repeat * 5,
    )
    functions = {
        "bdd_inst: decode": lambda: run_lengths.decode(coded),
        "pycocotools: decode": lambda: coco_mask.decode(coded),
    }
    show("and back", "ms", functions=functions, remarks={}, repeat=options.repeat * 5)
