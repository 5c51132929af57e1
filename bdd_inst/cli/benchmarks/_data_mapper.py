"""Milliseconds to map one 1280x720 street image with 18 objects, ours and Detectron2's, and the masks a loss cuts from the result."""

from __future__ import annotations

import argparse
import copy
import logging
import tempfile
import warnings
from pathlib import Path

import cv2
import numpy as np
import torch

from bdd_inst.cli.benchmarks.common import importable, measure_all, print_table
from bdd_inst.config.loading import get_cfg
from bdd_inst.data.mapper import DatasetMapper
from bdd_inst.masks import run_lengths
from bdd_inst.structures import BoxMode
from bdd_inst.synthetic.labels import trace
from bdd_inst.synthetic.paint import paint
from bdd_inst.synthetic.scene import compose

OBJECTS, EDGE, LONGEST, PROPOSALS = 18, 640, 1333, 128
SEED = 2  # our mapper flips with this one, as Detectron2's is told to


def run_mapper(options: argparse.Namespace) -> None:
    """Print the table, and whether both gave the same image, boxes and masks."""
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for mask_format in ("bitmask", "polygon"):
            record = make_record(Path(folder), mask_format)
            mapper = our_mapper(mask_format)
            functions = {
                "ours": lambda mapper=mapper, record=record: mapper(
                    record, np.random.default_rng(SEED)
                )
            }
            verdict = "Detectron2 is not installed"
            if importable("detectron2"):
                theirs = peer_mapper(mask_format)
                functions["Detectron2"] = lambda theirs=theirs, record=record: theirs(record)
                verdict = compare(functions["ours"](), functions["Detectron2"]())
            seconds = measure_all(functions, max(options.repeat, 3 if options.quick else 15))
            ratio = (
                seconds["Detectron2"] / seconds["ours"] if "Detectron2" in seconds else float("nan")
            )
            rows.append(
                [
                    mask_format,
                    1e3 * seconds["ours"],
                    1e3 * seconds.get("Detectron2", float("nan")),
                    f"{ratio:.2f}x",
                    verdict,
                ]
            )
        print_table(
            ["mapper, 1280x720, 18 objects", "ours ms", "Detectron2 ms", "ratio", "results"], rows
        )
        mask_targets(make_record(Path(folder), "bitmask"), options)


def make_record(folder: Path, mask_format: str) -> dict:
    """A painted street and the dict of its objects, repeated to 18."""
    seed = next(
        s
        for s in range(100)
        if sum(
            t.category is not None for t in compose(np.random.default_rng([s]), 1280, 720).things
        )
        >= 16
    )
    rng = np.random.default_rng([seed])
    image, painted, _ = paint(compose(rng, 1280, 720), rng)
    path = folder / "street.jpg"
    cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    seen = [item.visible for item in painted if item.visible.sum() > 200]
    annotations = []
    for mask in (seen * OBJECTS)[:OBJECTS]:
        polygons = [points.astype(float).reshape(-1).tolist() for points in trace(mask)]
        code = run_lengths.encode(mask)
        segmentation = code if mask_format == "bitmask" else polygons
        annotations.append(
            {
                "bbox": list(run_lengths.to_bbox(code)),
                "bbox_mode": BoxMode.XYXY_ABS,
                "category_id": 2,
                "iscrowd": 0,
            }
            | {"segmentation": segmentation}
        )
    return {
        "file_name": str(path),
        "height": 720,
        "width": 1280,
        "image_id": 1,
        "annotations": copy.deepcopy(annotations),
    }


def our_mapper(mask_format: str) -> DatasetMapper:
    """Resize and flip, nothing else."""
    cfg = get_cfg()
    cfg.MODEL.MASK_ON, cfg.INPUT.MASK_FORMAT, cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN = (
        True,
        mask_format,
        [EDGE],
        LONGEST,
    )
    return DatasetMapper(cfg, True)


def peer_mapper(mask_format: str):
    """Detectron2's with the same transforms; its dicts' modes are its own type."""
    warnings.filterwarnings("ignore")
    logging.getLogger("detectron2").setLevel(logging.ERROR)
    from detectron2.data import DatasetMapper as Theirs
    from detectron2.data import transforms

    steps = [
        transforms.ResizeShortestEdge([EDGE], LONGEST, "choice"),
        transforms.RandomFlip(prob=1.0),
    ]
    return Theirs(
        True,
        augmentations=steps,
        image_format="BGR",
        use_instance_mask=True,
        instance_mask_format=mask_format,
    )


def compare(ours: dict, theirs: dict) -> str:
    """Whether images, boxes and masks are equal to the last bit."""
    same = (
        torch.equal(ours["image"], theirs["image"]),
        torch.equal(ours["instances"].gt_boxes.tensor, theirs["instances"].gt_boxes.tensor),
    )
    first, second = ours["instances"].gt_masks, theirs["instances"].gt_masks
    if hasattr(first, "polygons"):
        pairs = zip(first.polygons, second.polygons)
        masks = all(
            len(a) == len(b) and all(np.array_equal(p, q) for p, q in zip(a, b)) for a, b in pairs
        )
    else:
        masks = torch.equal(first.tensor, second.tensor)
    return "equal" if all(same) and masks else f"image {same[0]}, boxes {same[1]}, masks {masks}"


def mask_targets(record: dict, options: argparse.Namespace) -> None:
    """Print the time to cut 28x28 targets for proposals from kept crops and from whole bitmaps."""
    instances = our_mapper("bitmask")(record, np.random.default_rng(SEED))["instances"]
    crops, whole = instances.gt_masks, instances.gt_masks.to_bitmasks()
    index = torch.arange(PROPOSALS) % len(instances)
    boxes = (
        instances.gt_boxes.tensor[index]
        + torch.randn(PROPOSALS, 4, generator=torch.Generator().manual_seed(0)) * 3
    )
    functions = {
        "crops": lambda: crops.crop_and_resize(boxes, 28, index),
        "whole": lambda: whole.crop_and_resize(boxes, 28, index),
    }
    different = int((functions["crops"]() != functions["whole"]()).sum())
    seconds = measure_all(functions, options.repeat)
    size = whole.tensor.numel() / crops.data.numel()
    rows = [
        [
            1e3 * seconds["crops"],
            1e3 * seconds["whole"],
            f"{seconds['whole'] / seconds['crops']:.1f}x",
            f"{size:.0f}x",
            different,
        ]
    ]
    print_table(
        [
            f"targets of {PROPOSALS} proposals: crops ms",
            "whole bitmaps ms",
            "ratio",
            "less memory",
            "values that differ",
        ],
        rows,
    )
