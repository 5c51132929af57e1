"""From objects and a label map to one segment a pixel, by the rules of Panoptic FPN as Detectron2 has them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from fvcore.common.config import CfgNode
from torch import Tensor

from bdd_inst.structures import Instances

Panoptic = tuple[Tensor, list[dict]]


def merge_from_config(cfg: CfgNode) -> Callable[[Instances, Tensor], Panoptic]:
    """:func:`combine_semantic_and_instance_outputs` by MODEL.PANOPTIC_FPN.COMBINE, from instances and labels H,W int64."""
    options = cfg.MODEL.PANOPTIC_FPN.COMBINE
    return partial(
        combine_semantic_and_instance_outputs,
        overlap_threshold=options.OVERLAP_THRESH,
        stuff_area_thresh=options.STUFF_AREA_LIMIT,
        instances_score_thresh=options.INSTANCES_CONFIDENCE_THRESH,
    )


def combine_semantic_and_instance_outputs(
    instance_results: Instances,
    semantic_results: Tensor,
    overlap_threshold: float,
    stuff_area_thresh: float,
    instances_score_thresh: float,
) -> Panoptic:
    """Objects by falling score, each on the pixels that are still free; stuff on what no object took.

    Args:
        instance_results: ``scores``, ``pred_classes``, ``pred_masks`` (N,H,W bool, or RLEMasks).
        semantic_results: H,W int64 labels; 0 stands for things and is no segment of its own.
        overlap_threshold: an object of which a larger share is taken already is left out.
        stuff_area_thresh: stuff of fewer free pixels is left out.
        instances_score_thresh: objects of a lower score are left out.

    Returns:
        H,W int32 segment ids, 0 where there is none; and for each segment ``id``, ``isthing``, ``category_id`` (of things and of stuff
        each from its own 0), of things ``score`` and ``instance_id``, the place in ``instance_results``, of stuff ``area``.
    """
    ids = torch.zeros_like(semantic_results, dtype=torch.int32)
    segments: list[dict] = []
    scores = instance_results.scores
    for place in torch.argsort(-scores).tolist():
        score = scores[place].item()
        # Scores fall: what follows is lower still.
        if score < instances_score_thresh:
            break
        mask = _mask(instance_results.pred_masks, place, ids.device)
        area = int(mask.sum())
        free = mask & (ids == 0)
        # Most of it is taken: the same object found twice, or one behind another.
        if not area or (area - int(free.sum())) / area > overlap_threshold:
            continue
        segments.append(
            {
                "id": len(segments) + 1,
                "isthing": True,
                "score": score,
                "category_id": int(instance_results.pred_classes[place]),
                "instance_id": place,
            }
        )
        ids[free] = len(segments)
    return ids, segments + _fill_stuff(ids, semantic_results, stuff_area_thresh, len(segments))


def _fill_stuff(ids: Tensor, labels: Tensor, least: float, last: int) -> list[dict]:
    """Give the free pixels of ``ids`` their stuff, in place; the segments, numbered from ``last`` + 1, by rising label."""
    free = ids == 0
    present = torch.bincount(labels.flatten())
    areas = torch.bincount(labels[free], minlength=len(present)).tolist()
    number = torch.zeros(len(present), dtype=ids.dtype, device=ids.device)
    segments = []
    for label in present.nonzero().flatten().tolist():
        if label and areas[label] >= least:
            number[label] = last + len(segments) + 1
            segments.append(
                {
                    "id": int(number[label]),
                    "isthing": False,
                    "category_id": label,
                    "area": areas[label],
                }
            )
    ids[free] = number[labels[free]]
    return segments


def _mask(masks, place: int, device: torch.device) -> Tensor:
    """H,W bool of one object."""
    if isinstance(masks, Tensor):
        return masks[place].to(device=device, dtype=torch.bool)
    return masks[place].decode()[0].to(device)
