"""A model over a data set: outputs image by image, small enough to keep, in the loader's order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import nn

from bdd_inst.masks import run_lengths
from bdd_inst.structures import Instances, RLEMasks

KEPT = ("instances", "sem_seg", "panoptic_seg")  # of a model's output


def predict_dataset(
    model: nn.Module, loader: Iterable[list[dict]]
) -> Iterator[tuple[dict, Instances]]:
    """Run ``model`` over batches; memory stays that of one batch.

    Args:
        model: contract 3 (either engine); run in evaluation mode and left in the mode that it had.
        loader: batches of mapped dicts (``image``, ``height``, ``width``, ``image_id``, ...).

    Yields:
        each input dict with its Instances on the CPU, on the original image's size, ``pred_masks`` as RLEMasks.
    """
    for entry, output in predict_outputs(model, loader):
        yield entry, output["instances"]


def predict_outputs(model: nn.Module, loader: Iterable[list[dict]]) -> Iterator[tuple[dict, dict]]:
    """As :func:`predict_dataset` of any meta-architecture: each input with its whole output on the CPU.

    Args:
        model, loader: as :func:`predict_dataset` has them.

    Yields:
        input dict and output dict of each image: ``instances`` (masks as RLEMasks), ``sem_seg`` K,height,width logits, ...
    """
    with evaluation_mode(model):
        for batch in loader:
            for entry, output in zip(batch, predict_batch(model, batch), strict=True):
                kept = {name: output[name] for name in KEPT if name in output}
                yield entry, kept


@contextlib.contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode; each of its modules is left in the mode that it had.

    Args:
        model: any module.

    Returns:
        A context manager, whose value is None.
    """
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            # Each by itself: ``model.train()`` would wake frozen norms.
            module.training = training


def predict_batch(model: nn.Module, batch: Sequence[dict]) -> list[dict]:
    """One batch's outputs on the CPU, masks as RLEMasks.

    Args:
        model: in evaluation mode.
        batch: dicts with ``image`` and the ``height`` and ``width`` of the result.

    Returns:
        a dict an image: ``instances`` as this project's Instances, tensors on the CPU, anything else as it came.
    """
    # Made as pixels first, an image's masks cost more than finding them.
    options = {"mask_format": "rle"} if "rle" in getattr(model, "mask_formats", ()) else {}
    # Cheaper than ``no_grad``: what comes out is never trained on.
    with torch.inference_mode():
        outputs = model(batch, **options)
        return [{name: _on_cpu(value) for name, value in output.items()} for output in outputs]


def _on_cpu(value: object) -> object:
    if isinstance(value, torch.Tensor):
        return value.to("cpu")
    if isinstance(value, tuple):  # panoptic_seg: ids and a list of segments
        return tuple(_on_cpu(part) for part in value)
    return to_cpu(value) if hasattr(value, "get_fields") else value


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
        # Detectron2's masks may be any: only if nothing lies outside the box is the crop the whole mask.
        if x1 < x2 and y1 < y2 and mask[y1:y2, x1:x2].sum() == mask.sum():
            out.append(
                run_lengths.encode_crop(mask[y1:y2, x1:x2], x1, y=y1, height=height, width=width)
            )
        else:
            out.append(run_lengths.encode(mask))
    return out
