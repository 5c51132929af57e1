"""What a data set loader gives: Detectron2's standard dicts, what is known of the whole, and what was skipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bdd_inst.base.errors import ProblemLog


@dataclass(slots=True)
class DatasetRecords:
    """A loaded data set.

    Attributes:
        dicts: Detectron2's standard dicts (``file_name, height, width, image_id, annotations``); annotations carry ``bbox`` (x1, y1,
            x2, y2, exclusive) with ``bbox_mode`` XYXY_ABS, ``category_id`` from 0, ``iscrowd``, ``segmentation`` (flat polygons, or
            compressed RLE with str counts) where there are masks, and ``attributes``.
        metadata: ``thing_classes`` and whatever else the catalog shall hold.
        problems: what was left out, by reason.
    """

    dicts: Sequence[dict]
    metadata: dict
    problems: ProblemLog = field(default_factory=ProblemLog)
