"""The number of classes that a weight file was trained for, told by the layers whose size it decides."""

from __future__ import annotations

import re
from collections.abc import Sequence

BOXES, PIXELS = "MODEL.ROI_HEADS.NUM_CLASSES", "MODEL.SEM_SEG_HEAD.NUM_CLASSES"
# Layer -> the key, and from rows of its weight to classes. The box classifier has a row for the background too.
LAYERS = (
    (r"roi_heads\.box_predictor\.(?:\d\.)?cls_score\.", BOXES, lambda rows: rows - 1),
    (r"sem_seg_head\.(?:predictor|segmentation_head\.0|classifier\.3)\.", PIXELS, int),
)
SHAPES = re.compile(r"(\S+) \((\d+)\S* in the file, (\d+)\S* here\)")


def describe_class_counts(reinitialized: Sequence[str]) -> str:
    """What the class-dependent layers of a file say, by config key, both numbers named.

    Args:
        reinitialized: lines of :class:`bdd_inst.weights.load_report.LoadReport`, ``name (shape in the file, shape here)``.

    Returns:
        ``trained for 3 classes, the config has 8: set MODEL.ROI_HEADS.NUM_CLASSES 3``; the first line itself where no layer tells.
    """
    found: dict[str, tuple[int, int]] = {}
    for line in reinitialized:
        match = SHAPES.match(line)
        for pattern, key, classes in LAYERS:
            if match and re.match(pattern, match[1]):
                found[key] = (classes(int(match[2])), classes(int(match[3])))
    parts = [
        f"trained for {theirs} classes, the config has {ours}: set {key} {theirs}"
        for key, (theirs, ours) in found.items()
        # Boxes' layers differ with the classifier's, and say the same once more.
        if theirs != ours
    ]
    return "; ".join(parts) or f"layers of other sizes: {reinitialized[0]}"
