"""The engines that the model benchmark times, each in a process of its own, on the same weights and the same inputs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bdd_inst.cli.benchmarks.common import peak_memory

CONFIG = "Base-MaskRCNN-FPN.yaml"
SIZE = (750, 1333)  # what a 1280x720 image is resized to by INPUT.MIN_SIZE_TEST and MAX_SIZE_TEST
TRAIN_SIZE, OBJECTS = (400, 711), 18
# Config keys beside those of Mask R-CNN.
ARCHITECTURES = {
    "maskrcnn": {},
    "cascade": {
        "MODEL.ROI_HEADS.NAME": "CascadeROIHeads",
        "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": True,
    },
    "panoptic": {
        "MODEL.META_ARCHITECTURE": "PanopticFPN",
        "MODEL.SEM_SEG_HEAD.NUM_CLASSES": 31,
        "MODEL.SEM_SEG_HEAD.LOSS_WEIGHT": 0.5,
    },
}


@dataclass(slots=True)
class BenchmarkTask:
    """What one process does. ``engine``: builtin, detectron2 or torchvision; ``task``: infer, rle, train or heads."""

    engine: str
    task: str
    weights: str
    keys: dict = field(default_factory=dict)
    threads: int = 0
    huge_pages: bool = True


def config(keys: dict):
    """The base config on the CPU with ``keys`` set."""
    from bdd_inst.config.loading import load_cfg

    cfg = load_cfg(CONFIG)
    cfg.MODEL.DEVICE = "cpu"
    cfg.merge_from_list([item for pair in keys.items() for item in pair])
    return cfg


def random_image(size: tuple[int, int], seed: int):
    """C,H,W uint8: smooth blobs with noise, so that features differ from place to place."""
    import cv2
    import torch

    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (size[0] // 24, size[1] // 24, 3), dtype=np.uint8)
    image = cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC).astype(
        np.int16
    ) + rng.integers(-20, 20, (*size, 3))
    return torch.from_numpy(np.clip(image, 0, 255).astype(np.uint8)).permute(2, 0, 1).contiguous()


def label_map(size: tuple[int, int], seed: int):
    """H,W int64: blocks of classes 0 to 30."""
    import torch

    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 31, (size[0] // 48 + 1, size[1] // 48 + 1))
    return torch.from_numpy(np.kron(blocks, np.ones((48, 48), np.int64))[: size[0], : size[1]])


def objects(structures, size: tuple[int, int], seed: int):
    """Instances with round polygons, in the types of ``structures`` (ours or Detectron2's)."""
    import torch

    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    center, radius = rng.uniform(60, min(size) - 60, (OBJECTS, 2)), rng.uniform(10, 60, OBJECTS)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    polygons = [[(c + r * circle).reshape(-1)] for c, r in zip(center, radius, strict=True)]
    boxes = np.concatenate([center - radius[:, None], center + radius[:, None]], axis=1).astype(
        np.float32
    )
    out = structures.Instances(size)
    out.gt_boxes = structures.Boxes(torch.from_numpy(boxes))
    out.gt_classes = torch.from_numpy(rng.integers(0, 8, OBJECTS))
    out.gt_masks = structures.PolygonMasks(polygons)
    return out


def make_weights(path: str, keys: dict) -> None:
    """Random weights that spread scores and boxes, so that an image gives 100 detections."""
    import torch

    from bdd_inst.engines import build_model

    spreads = {
        "anchor_deltas": 0.3,
        "bbox_pred": 0.5,
        "cls_score": 3.0,
        "objectness_logits": 3.0,
        "predictor": 2.0,
    }
    torch.manual_seed(1)
    model = build_model(config(keys)).eval()
    with torch.no_grad():
        model.backbone.bottom_up.stem.conv1.norm.weight.mul_(
            1 / 64
        )  # pixels come in with a deviation of about 64
        for name, module in model.named_modules():
            if name.endswith("conv3.norm"):
                module.weight.mul_(0.3)  # keeps the residual sum from growing with depth
            if name.startswith(("proposal_generator", "roi_heads")) and isinstance(
                module, (torch.nn.Conv2d, torch.nn.Linear)
            ):
                module.register_forward_hook(_rescale(spreads.get(name.rsplit(".", 1)[-1], 1.0)))
        model([{"image": random_image(SIZE, 0), "height": 720, "width": 1280}])
    torch.save(model.state_dict(), path)


def _rescale(spread: float) -> Callable:
    """A hook that, once, scales a layer so that its output has standard deviation ``spread``."""
    done = []

    def hook(module, inputs, output):
        if done or not output.numel():
            return output
        done.append(True)
        factor = spread / output.std().clamp(min=1e-6)
        for tensor in (module.weight, module.bias):
            tensor.mul_(factor)
        return output * factor

    return hook


def build(job: BenchmarkTask):
    """The job's model with the job's weights."""
    import torch

    if job.engine == "torchvision":
        from torchvision.models.detection import maskrcnn_resnet50_fpn

        torch.manual_seed(0)
        return maskrcnn_resnet50_fpn(
            weights=None, weights_backbone=None, box_score_thresh=0.0, trainable_backbone_layers=3
        )
    cfg = config(job.keys)
    if job.engine == "detectron2":
        from detectron2.modeling import build_model

        from bdd_inst.engines.detectron2_engine import to_detectron2_cfg

        model = build_model(to_detectron2_cfg(cfg))
    else:
        from bdd_inst.engines import build_model

        model = build_model(cfg)
    model.load_state_dict(torch.load(job.weights, weights_only=True), strict=False)
    if job.task == "heads":
        model.backbone.requires_grad_(False)
    return model


def worker(connection, job: BenchmarkTask) -> None:
    """A process: build, warm up, then one timed repetition for each ``True`` received; at last the peak memory in MB."""
    # Memory that torch asks for in huge pages; Detectron2 alone would not have it. Read by torch at its first allocation.
    os.environ["THP_MEM_ALLOC_ENABLE"] = "1" if job.huge_pages else "0"
    import torch

    try:
        if job.threads:
            torch.set_num_threads(job.threads)
        repetition = TASKS[job.task](job, build(job))
        first = repetition()
        connection.send(("ready", first))
        while connection.recv():
            start = time.perf_counter()
            repetition()
            connection.send(("time", time.perf_counter() - start))
        connection.send(("peak", peak_memory()))
    except Exception as error:  # the parent names it
        connection.send(("error", f"{type(error).__name__}: {error}"))


def inference(job: BenchmarkTask, model) -> Callable[[], dict]:
    """One 1280x720 image to detections with masks (``rle``: to COCO RLE); gives back what was found."""
    import torch

    model.eval()
    entry = {"image": random_image(SIZE, 0), "height": 720, "width": 1280}
    as_rle = job.task == "rle" and job.engine == "builtin"
    options = {"mask_format": "rle"} if as_rle else {}

    @torch.no_grad()
    def once() -> dict:
        if job.engine == "torchvision":
            found = model([entry["image"] / 255.0])[0]
            return {"count": len(found["scores"])}
        found = model([entry], **options)[0]["instances"]
        masks = found.pred_masks
        if job.task == "rle" and job.engine == "detectron2":
            import pycocotools.mask as coco_mask

            return {
                "rles": [
                    coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
                    for mask in masks.numpy()
                ]
            }
        if job.task == "rle":
            return {"rles": masks.rles}
        return {
            "count": len(found),
            "boxes": found.pred_boxes.tensor.numpy(),
            "scores": found.scores.numpy(),
            "classes": found.pred_classes.numpy(),
            "masks": np.packbits(masks.numpy(), axis=2),
        }

    return once


def training(job: BenchmarkTask, model) -> Callable[[], dict]:
    """One step on two images: losses, gradients, SGD; gives back the losses of the first."""
    import torch

    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=1e-6, momentum=0.9)
    if job.engine == "detectron2":
        from detectron2 import structures
        from detectron2.utils.events import EventStorage as Storage
    else:
        from contextlib import nullcontext as Storage

        from bdd_inst import structures
    batch = [
        {"image": random_image(TRAIN_SIZE, i), "instances": objects(structures, TRAIN_SIZE, i)}
        for i in (1, 2)
    ]
    if job.keys.get("MODEL.META_ARCHITECTURE") == "PanopticFPN":
        for seed, entry in enumerate(batch):
            entry["sem_seg"] = label_map(TRAIN_SIZE, seed)
    amp = bool(job.keys.get("SOLVER.AMP.ENABLED"))

    def once() -> dict:
        torch.manual_seed(0)
        with Storage(), torch.autocast("cpu", torch.bfloat16, enabled=amp):
            losses = model(batch)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        return {name: loss.item() for name, loss in losses.items()}

    return once


TASKS = {"infer": inference, "rle": inference, "train": training, "heads": training}
