"""Scores a model while it predicts: Detectron2's evaluator contract (reset, process, evaluate) with masks kept compressed."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask
import torch

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.evaluation.evaluation_result import EvaluationResult, add_label_maps
from bdd_inst.evaluation.ground_truth import GroundTruth, from_dataset_dicts
from bdd_inst.evaluation.protocols import score
from bdd_inst.evaluation.results import Results, ResultsBuilder

logger = logging.getLogger(__name__)

# Detections of an evaluation that did not get to its end.
PARTIAL_FILE = "coco_instances_results.partial.json"


class Evaluator:
    """Collects predictions image by image and scores them by a named protocol.

    Args:
        dataset_dicts: the whole data set as standard dicts (contract 1), the same in every process.
        metadata: what the catalog knows of it (``thing_classes``, ...), an object or a mapping.
        protocol: ``coco``, ``bdd`` or ``both``.
        output_dir: where ``metrics.json``, ``pr_curves.csv/.png`` and ``coco_instances_results.json`` go; None writes nothing.
        max_detections: detections an image and class that count.
        label_maps: score instances as label maps too, whatever the data set has.

    Memory is that of the compressed masks: full-size masks live only while ``process`` encodes them. With torch.distributed
    initialized, every process handles its share and ``evaluate`` returns the same figures in each. Images with a ``label_file``
    (the fashion set) get label-map figures as well, at ``label_threshold`` (chosen on ``threshold_source``) or, where that is None, at
    the threshold that is best on these very images.
    """

    def __init__(
        self,
        dataset_dicts: Sequence[dict],
        metadata: Any = None,
        protocol: str = "coco",
        output_dir: str | Path | None = None,
        *,
        max_detections: int = 100,
        label_maps: bool = False,
        label_threshold: float | None = None,
        threshold_source: str = "",
    ):
        self.truth: GroundTruth = from_dataset_dicts(dataset_dicts, metadata)
        self.protocol, self.output_dir = protocol, output_dir
        self.max_detections, self.label_maps = max_detections, label_maps
        self.label_threshold, self.threshold_source = label_threshold, threshold_source
        self.index = self.truth.image_index()
        self.results: Results | None = None
        self.outcome: EvaluationResult | None = None
        self.reset()

    def reset(self) -> None:
        """Forget every prediction."""
        self.parts: dict[int, tuple] = {}

    def process(self, inputs: Sequence[dict], outputs: Sequence[dict]) -> None:
        """Take in the predictions of some images.

        Args:
            inputs: dicts with ``image_id``.
            outputs: ``[{"instances": Instances}]`` with ``pred_boxes`` (x1, y1, x2, y2), ``scores``, ``pred_classes`` and perhaps
                ``pred_masks``: bool N,H,W, BitMasks, or RLEMasks. An image that comes twice (padded samplers) counts once.
        """
        for given, output in zip(inputs, outputs, strict=True):
            position = self.index.get(given["image_id"])
            if position is None:
                raise DataError(
                    f"{self.truth.source}: prediction for image {given['image_id']!r}, which the data set does not have"
                )
            self.parts[position] = columns_of(
                output["instances"], len(self.truth.class_names), given["image_id"]
            )

    def evaluate(self) -> dict:
        """The content of ``metrics.json``: ``{"protocol", "bbox": {...}, "segm": {...}}``, percent, None where undefined."""
        parts = gather(self.parts)
        return from_first(lambda: self.score(parts))

    def write_partial(self, folder: str | Path) -> Path:
        """The predictions of this process so far, as COCO results, under another name than those of a finished evaluation."""
        path = Path(folder) / PARTIAL_FILE
        write_results(self.truth, build_results(self.parts), path)
        return path

    def score(self, parts: dict[int, tuple]) -> dict:
        """Figures of gathered predictions, and the files of ``output_dir``."""
        missing = len(self.truth.image_ids) - len(parts)
        if missing:
            logger.warning(
                "%d of %d images were never predicted; their objects count as missed",
                missing,
                len(self.truth.image_ids),
            )
        self.results = build_results(parts)
        self.outcome = score(
            self.truth, self.results, self.protocol, max_detections=self.max_detections
        )
        if self.label_maps and "segm" not in self.outcome.metrics:
            raise DataError(
                f"{self.truth.source}: label maps are made of masks, and there are none to score"
            )
        if (self.truth.label_files or self.label_maps) and self.results.masks is not None:
            add_label_maps(self.outcome, self.label_threshold, self.threshold_source)
        if self.output_dir is not None:
            self.outcome.write(self.output_dir)
            write_results(
                self.truth, self.results, Path(self.output_dir) / "coco_instances_results.json"
            )
            (Path(self.output_dir) / PARTIAL_FILE).unlink(missing_ok=True)  # of an interrupted run
        return self.outcome.metrics


def columns_of(instances: Any, classes: int, image_id: Any) -> tuple:
    """classes n, scores n, boxes n,4 (x, y, w, h) and RLE dicts (or None) of one image's Instances."""
    tensor = instances.pred_boxes.tensor.detach().to("cpu", torch.float32).clone()
    tensor[:, 2:] -= tensor[:, :2]
    labels = instances.pred_classes.detach().cpu().numpy().astype(np.int64)
    scores = instances.scores.detach().to("cpu", torch.float32).double().numpy()
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise DataError(
            f"image {image_id}: predicted class {int(labels.max())}, but the data set has {classes} classes"
        )
    if not np.isfinite(scores).all() or not torch.isfinite(tensor).all():
        raise DataError(
            f"image {image_id}: a predicted score or box is not finite; the model has diverged"
        )
    masks = to_rles(instances.pred_masks) if instances.has("pred_masks") else None
    return labels, scores, tensor.double().numpy(), masks


def to_rles(masks: Any) -> list[dict]:
    """Bool masks N,H,W, BitMasks or RLEMasks -> compressed RLE dicts with str counts."""
    if hasattr(masks, "tensor"):
        masks = masks.tensor
    if isinstance(masks, torch.Tensor):
        masks = masks.detach().cpu().numpy()
        encoded = [coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)) for mask in masks]
    else:
        encoded = getattr(masks, "rles", masks)
    return [{"size": list(rle["size"]), "counts": text(rle["counts"])} for rle in encoded]


def text(counts: str | bytes) -> str:
    """RLE counts as str."""
    return counts.decode("ascii") if isinstance(counts, bytes) else counts


def build_results(parts: dict[int, tuple]) -> Results:
    """Columns in the data set's image order, whatever order (or process) the images came in."""
    builder = ResultsBuilder()
    for position in sorted(parts):
        labels, scores, boxes, masks = parts[position]
        builder.add(position, labels, scores, boxes, masks)
    return builder.build()


def write_results(truth: GroundTruth, results: Results, path: Path) -> None:
    """COCO results JSON under the data set's own image and category ids."""
    with atomic_write(path) as stream:
        stream.write("[")
        for n in range(len(results)):
            row = {
                "image_id": truth.image_ids[results.image[n]],
                "category_id": truth.category_ids[results.category[n]],
                "file_name": Path(truth.file_names[results.image[n]]).name or None,
                "category_name": truth.class_names[results.category[n]],
                "bbox": None if results.boxes is None else results.boxes[n].tolist(),
                "score": float(results.scores[n]),
            }
            if results.masks is not None:
                row["segmentation"] = results.masks[n]
            stream.write(
                ("," if n else "") + json.dumps({k: v for k, v in row.items() if v is not None})
            )
        stream.write("]\n")


def from_first(work: Callable[[], dict]) -> dict:
    """``work()`` done by the first process and its answer given to all; an error is raised in all, so that none waits for ever."""
    if not distributed():
        return work()
    message: list = [None, None]
    if torch.distributed.get_rank() == 0:
        try:
            message[0] = work()
        except Exception as error:
            message[1] = error
    torch.distributed.broadcast_object_list(message, src=0)
    if message[1] is not None:
        raise message[1]
    return message[0]


def distributed() -> bool:
    """True where several processes evaluate together."""
    return (
        torch.distributed.is_available()
        and torch.distributed.is_initialized()
        and torch.distributed.get_world_size() > 1
    )


def gather(parts: dict[int, tuple]) -> dict[int, tuple]:
    """Every process' images, in every process; one that came to two processes counts once."""
    if not distributed():
        return parts
    shares: list = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(shares, parts)
    return {position: columns for share in shares for position, columns in share.items()}
