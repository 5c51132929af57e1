"""From the resized image back to the original one: boxes scaled and clipped, masks pasted."""

from __future__ import annotations

from bdd_inst.masks.paste import paste_masks, paste_to_rles
from bdd_inst.structures import Instances, RLEMasks

MASK_THRESHOLD = 0.5


def postprocess(
    detections: Instances, height: int, width: int, mask_format: str = "bitmask"
) -> Instances:
    """Detections on an image of ``height`` x ``width``.

    Args:
        detections: with ``pred_boxes`` and, where there is a mask head, ``pred_masks`` N,1,M,M probabilities.
        mask_format: ``bitmask`` for N,H,W bool, ``rle`` for RLEMasks.

    Returns:
        new Instances without the boxes that are empty once clipped.
    """
    old_height, old_width = detections.image_size
    out = Instances((height, width), **detections.get_fields())
    # Scaling works in place, and these boxes are still the caller's.
    out.pred_boxes = detections.pred_boxes.clone()
    out.pred_boxes.scale(width / old_width, height / old_height)
    out.pred_boxes.clip((height, width))
    # Before masks are pasted: a box without extent has no grid to paste.
    out = out[out.pred_boxes.nonempty()]
    if out.has("pred_masks"):
        probabilities, boxes = out.pred_masks[:, 0], out.pred_boxes.tensor
        if mask_format == "rle":
            out.pred_masks = RLEMasks(
                paste_to_rles(probabilities, boxes, (height, width), MASK_THRESHOLD),
                (height, width),
            )
        else:
            out.pred_masks = paste_masks(probabilities, boxes, (height, width), MASK_THRESHOLD)
    return out
