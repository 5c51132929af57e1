"""Protocols by name: one call from ground truth and results to the content of ``metrics.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bdd_inst.evaluation import coco, curves, outputs
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.results import Results

PROTOCOLS = ("coco", "bdd", "both")


@dataclass
class Outcome:
    """Figures, and what they were made from.

    ``scores`` maps ``bbox`` and ``segm`` to the precision arrays behind the figures; ``notes`` are sentences a reader must know.
    """

    metrics: dict
    truth: GroundTruth
    results: Results
    scores: dict[str, coco.CocoScores]
    notes: list[str] = field(default_factory=list)

    def curves(self) -> list[curves.Curve]:
        """Every PR curve, boxes before masks."""
        return [curve for kind, scores in self.scores.items() for curve in curves.pr_curves(scores, kind)]

    def write(self, folder: str | Path) -> None:
        """``metrics.json``, ``pr_curves.csv`` and ``pr_curves.png``."""
        outputs.write_metrics(self.metrics, folder)
        outputs.write_curves(self.curves(), folder)


def score(truth: GroundTruth, results: Results, protocol: str = "coco") -> Outcome:
    """Score one set of predictions by ``protocol``: boxes where they have boxes, masks where both sides have masks."""
    scores = {kind: coco.evaluate(truth, results, kind) for kind in kinds(truth, results)}
    notes = undefined_classes(truth)
    metrics = {"protocol": protocol} | {kind: one.figures() for kind, one in scores.items()}
    if notes:
        metrics["notes"] = notes
    return Outcome(metrics, truth, results, scores, notes)


def kinds(truth: GroundTruth, results: Results) -> list[str]:
    """``bbox`` and ``segm``, as far as both sides have them."""
    masks = truth.has_masks and results.masks is not None
    return (["bbox"] if results.boxes is not None else []) + (["segm"] if masks else [])


def undefined_classes(truth: GroundTruth) -> list[str]:
    """A sentence on the classes without an object to find, whose AP is undefined."""
    present = set(truth.category[~(truth.crowd | truth.ignored)].tolist())
    absent = [name for k, name in enumerate(truth.class_names) if k not in present]
    return [f"no ground truth for {', '.join(absent)}: AP undefined (null) and left out of the mean"] if absent else []
