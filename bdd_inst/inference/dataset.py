"""A model over a data set: outputs picture by picture, small enough to keep, in the loader's order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import nn

from bdd_inst.masks import run_lengths
from bdd_inst.structures import Instances, RLEMasks


def predict_dataset(
    model: nn.Module, loader: Iterable[list[dict]]
) -> Iterator[tuple[dict, Instances]]:
    """Run ``model`` over batches; memory stays that of one batch.

    Args:
        model: contract 3 (either engine); run in evaluation mode and left in the mode that it had.
        loader: batches of mapped dicts (``image``, ``height``, ``width``, ``image_id``, ...).

    Yields:
        each input dict with its Instances on the CPU, on the original picture's size, ``pred_masks`` as RLEMasks.
    """
    for entry, output in predict_outputs(model, loader):
        yield entry, output["instances"]


def predict_outputs(model: nn.Module, loader: Iterable[list[dict]]) -> Iterator[tuple[dict, dict]]:
    """As :func:`predict_dataset` of any meta-architecture: each input with its whole output, ``instances`` and ``sem_seg`` on the CPU."""
    training, mask_format = model.training, getattr(model, "mask_format", None)
    model.eval()
    if mask_format is not None:
        model.mask_format = "rle"
    try:
        for batch in loader:
            with torch.inference_mode():
                outputs = model(batch)
            for entry, output in zip(batch, outputs, strict=True):
                yield (
                    entry,
                    {
                        name: to_cpu(value) if name == "instances" else value.to("cpu")
                        for name, value in output.items()
                        if name in ("instances", "sem_seg")
                    },
                )
    finally:
        model.train(training)
        if mask_format is not None:
            model.mask_format = mask_format


def to_cpu(instances: Instances) -> Instances:
    """Detections of either engine as this project's Instances on the CPU, masks as RLEMasks."""
    fields = dict(instances.get_fields())
    size = tuple(int(v) for v in instances.image_size)
    masks = fields.pop("pred_masks", None)
    out = Instances(
        size,
        **{
            name: value.to("cpu") if hasattr(value, "to") else value
            for name, value in fields.items()
        },
    )
    if masks is not None:
        out.pred_masks = (
            masks
            if isinstance(masks, RLEMasks)
            else RLEMasks(encode_masks(masks, out.pred_boxes.tensor, size), size)
        )
    return out


def encode_masks(masks: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int]) -> list[dict]:
    """N,H,W bool masks to RLEs. Only the box's crop is read where the mask keeps to its box, as pasted masks do."""
    height, width = size
    pixels = getattr(masks, "tensor", masks).detach().to("cpu").numpy()
    low = boxes[:, :2].floor().long().clamp(min=0) - 1
    high = boxes[:, 2:].ceil().long() + 1
    out = []
    for mask, (x1, y1), (x2, y2) in zip(pixels, low.tolist(), high.tolist()):
        x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
        if x1 < x2 and y1 < y2 and mask[y1:y2, x1:x2].sum() == mask.sum():
            out.append(run_lengths.encode_crop(mask[y1:y2, x1:x2], x1, y1, height, width))
        else:
            out.append(run_lengths.encode(mask))
    return out
