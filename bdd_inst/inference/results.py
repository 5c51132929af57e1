"""Detections as COCO results, written to a file picture by picture."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from fvcore.common.config import CfgNode

from bdd_inst import catalog
from bdd_inst.files import atomic_write
from bdd_inst.structures import Instances


class Categories:
    """What class indices mean. Attributes by index: ``names``; ``ids`` (of the data set, or index + 1); ``colors`` (RGB) or None."""

    def __init__(self, names: list[str], ids: list[int], colors: list | None = None):
        self.names, self.ids, self.colors = names, ids, colors

    @classmethod
    def from_cfg(cls, cfg: CfgNode) -> Categories:
        """Those of the first data set in DATASETS.TEST or DATASETS.TRAIN that the catalog knows and whose classes are as many as
        the model's; else ``class 1``, ``class 2``, ... with ids from 1."""
        number = cfg.MODEL.ROI_HEADS.NUM_CLASSES
        known = set(catalog.DatasetCatalog.list())
        for name in (*cfg.DATASETS.TEST, *cfg.DATASETS.TRAIN):
            metadata = catalog.MetadataCatalog.get(name) if name in known else None
            names = list(getattr(metadata, "thing_classes", None) or ())
            if len(names) == number:
                table = getattr(metadata, "thing_dataset_id_to_contiguous_id", None) or {i + 1: i for i in range(number)}
                ids = {index: dataset_id for dataset_id, index in table.items()}
                return cls(names, [ids[i] for i in range(number)], getattr(metadata, "thing_colors", None))
        return cls([f"class {i + 1}" for i in range(number)], list(range(1, number + 1)))


def to_results(instances: Instances, categories: Categories, **common: object) -> list[dict]:
    """One dict a detection: ``common`` (``image_id``, ``file_name``, ...), ``category_id``, ``category_name``,
    ``bbox`` x,y,w,h, ``score``, and ``segmentation`` (compressed RLE) where there are masks (RLEMasks)."""
    boxes = instances.pred_boxes.tensor.clone()
    boxes[:, 2:] -= boxes[:, :2]
    masks = instances.pred_masks.rles if instances.has("pred_masks") else [None] * len(instances)
    out = []
    for box, score, index, mask in zip(boxes.tolist(), instances.scores.tolist(), instances.pred_classes.tolist(), masks, strict=True):
        entry = {**common, "category_id": categories.ids[index], "category_name": categories.names[index], "bbox": box, "score": score}
        out.append(entry if mask is None else {**entry, "segmentation": mask})
    return out


class ResultsFile:
    """A JSON list that grows entry by entry."""

    def __init__(self, stream: IO[str]):
        self.stream, self.number = stream, 0

    def add(self, entries: list[dict]) -> None:
        """Append results."""
        for entry in entries:
            self.stream.write(",\n" if self.number else "\n")
            self.stream.write(json.dumps(entry, ensure_ascii=False, allow_nan=False))
            self.number += 1


@contextmanager
def results_file(path: str | os.PathLike) -> Iterator[ResultsFile]:
    """Open a results file; it appears whole at the end of the block, and not at all after an error."""
    with atomic_write(path) as stream:
        stream.write("[")
        results = ResultsFile(stream)
        yield results
        stream.write("\n]\n" if results.number else "]\n")
