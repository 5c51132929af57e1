"""Between this project's Instances and Detectron2's: the same fields in the other's types. Imported only where Detectron2 is."""

from __future__ import annotations

from typing import Any

import torch
from detectron2 import structures as d2

from bdd_inst.masks import run_lengths
from bdd_inst.structures import BitMasks, Boxes, CroppedMasks, Instances, PolygonMasks, RLEMasks


def to_detectron2(instances: Instances, device: torch.device) -> d2.Instances:
    """Ground truth for Detectron2's losses, on ``device``; bitmaps become whole ones, polygons stay polygons."""
    fields = {
        name: _field_to_detectron2(value, device) for name, value in instances.get_fields().items()
    }
    return d2.Instances(tuple(instances.image_size), **fields)


def _field_to_detectron2(value: Any, device: torch.device) -> Any:
    if isinstance(value, Boxes):
        return d2.Boxes(value.tensor.to(device))
    if isinstance(value, PolygonMasks):
        # It knows no device: polygons stay on the CPU, as ours do.
        return d2.PolygonMasks(value.polygons)
    if isinstance(value, CroppedMasks):
        return d2.BitMasks(value.to_bitmasks(device).tensor)
    if isinstance(value, BitMasks):
        return d2.BitMasks(value.tensor.to(device))
    if isinstance(value, RLEMasks):
        return d2.BitMasks(value.decode().to(device))
    return value.to(device) if hasattr(value, "to") else value


def from_detectron2(instances: d2.Instances, mask_format: str = "bitmask") -> Instances:
    """Detections as this project's Instances; ``pred_masks`` N,H,W bool, or RLEMasks where ``mask_format`` is ``rle``."""
    size = tuple(int(side) for side in instances.image_size)
    out = Instances(size)
    for name, value in instances.get_fields().items():
        if isinstance(value, d2.Boxes):
            value = Boxes(value.tensor)
        elif isinstance(value, d2.BitMasks):
            value = value.tensor
        elif isinstance(value, torch.Tensor) and value.is_floating_point():
            value = value.float()  # scores come out in the arithmetic of autocast
        if name == "pred_masks" and mask_format == "rle":
            value = RLEMasks(run_lengths.encode_batch(value.cpu().numpy()), size)
        out.set(name, value)
    return out
