"""Scores a panoptic model while it predicts: its objects as any detector's, its segments by panoptic quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bdd_inst.data.panoptic import segments_of
from bdd_inst.datasets.panoptic_classes import PanopticClasses
from bdd_inst.evaluation import outputs as files
from bdd_inst.evaluation.evaluator import Evaluator, gather
from bdd_inst.evaluation.panoptic import RULES, image_counts, report


class PanopticEvaluator(Evaluator):
    """As :class:`Evaluator`, and ``panoptic_seg`` under its protocol; under ``both`` COCO's stands at the top level as well.

    Args:
        dataset_dicts: panoptic dicts (:func:`bdd_inst.data.panoptic.segments_of`).
        metadata: ``thing_classes`` and ``stuff_classes``.
    """

    def __init__(
        self,
        dataset_dicts: Sequence[dict],
        metadata: Mapping,
        protocol: str = "coco",
        output_dir: str | Path | None = None,
        **options: Any,
    ):
        self.dicts, self.classes = dataset_dicts, PanopticClasses.of(metadata)
        self.rules = RULES if protocol == "both" else (protocol,)
        super().__init__(dataset_dicts, metadata, protocol, output_dir, **options)

    def reset(self) -> None:
        """Forget every prediction."""
        super().reset()
        self.segments: dict[int, tuple] = {}

    def process(self, inputs: Sequence[dict], outputs: Sequence[dict]) -> None:
        """As :meth:`Evaluator.process`; the outputs also hold ``panoptic_seg``, H,W ids and segments."""
        super().process(inputs, outputs)
        for given, output in zip(inputs, outputs, strict=True):
            ids, segments = output["panoptic_seg"]
            self.count(self.index[given["image_id"]], np.asarray(ids.cpu()), segments)

    def count(self, position: int, ids: np.ndarray, segments: Sequence[Mapping]) -> None:
        """Score the segments of one image, by ids H,W int32 and what each is."""
        truth = segments_of(self.dicts[position])
        self.segments[position] = tuple(
            image_counts(truth, (ids, segments), self.classes, rule) for rule in self.rules
        )

    def evaluate(self) -> dict:
        """The content of ``metrics.json``, with ``panoptic_seg``; an image that was never predicted misses all its segments."""
        self.segments = gather(self.segments)
        return super().evaluate()

    def score(self, parts: dict[int, tuple]) -> dict:
        """As :meth:`Evaluator.score`."""
        metrics = super().score(parts)
        # After gathering: before it, other processes' images would look unpredicted.
        for position in set(range(len(self.dicts))) - self.segments.keys():
            record = self.dicts[position]
            self.count(position, np.zeros((record["height"], record["width"]), np.int32), ())
        sums = [sum(counts) for counts in zip(*self.segments.values(), strict=True)]
        for rule, counts in zip(self.rules, sums, strict=True):
            block = report(counts, self.classes)
            metrics.setdefault("panoptic_seg", block)
            if len(self.rules) > 1:
                metrics[rule]["panoptic_seg"] = block
        if self.output_dir is not None:
            files.write_metrics(metrics, self.output_dir)
        return metrics
