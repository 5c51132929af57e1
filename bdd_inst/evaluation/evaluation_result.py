"""The result of an evaluation: figures, what they were made from, and the files that hold them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bdd_inst.evaluation import analysis, label_map, outputs
from bdd_inst.evaluation.coco import CocoScores
from bdd_inst.evaluation.curves import Curve, pr_curves
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.label_map_files import MapFolder, count_results
from bdd_inst.evaluation.results import Results
from bdd_inst.evaluation.sem_seg import BACKGROUND, SemSegCounter


@dataclass
class EvaluationResult:
    """Figures, and what they were made from.

    Attributes:
        metrics: the content of ``metrics.json``.
        truth, results: what was scored.
        scores: ``bbox`` and ``segm`` to the precision arrays behind the figures at the top level of ``metrics``; empty where the
            protocol has none, as for label maps.
        notes: sentences that a reader of the figures must know.
        label_maps: pixels by threshold, where instances were scored as label maps too.
        analyses: the reasons behind the figures by kind, after :meth:`analyze`.
    """

    metrics: dict
    truth: GroundTruth
    results: Results
    scores: dict[str, CocoScores]
    notes: list[str] = field(default_factory=list)
    label_maps: label_map.LabelMapCounter | None = None
    analyses: dict[str, analysis.Analysis] = field(default_factory=dict)

    def curves(self) -> list[Curve]:
        """Every PR curve of the main protocol, boxes before masks."""
        return [curve for kind, scores in self.scores.items() for curve in pr_curves(scores, kind)]

    def analyze(self) -> dict[str, analysis.Analysis]:
        """The reasons behind the figures, by kind; worked out on the first call. Matching is COCO's under either protocol."""
        for kind, scores in self.scores.items():
            if kind not in self.analyses:
                self.analyses[kind] = analysis.analyze(self.truth, self.results, scores, kind)
        return self.analyses

    def write(self, folder: str | Path) -> None:
        """``metrics.json``, ``pr_curves.csv`` and ``.png``; ``analysis.json`` after :meth:`analyze`."""
        outputs.write_metrics(self.metrics, folder)
        if self.scores:
            outputs.write_curves(self.curves(), folder)
        self.write_analysis(folder)

    def write_analysis(self, folder: str | Path) -> None:
        """``analysis.json``, where :meth:`analyze` has been called."""
        if self.analyses:
            outputs.write_analysis(
                [one.as_dict(self.truth) for one in self.analyses.values()], folder
            )


def add_label_maps(
    outcome: EvaluationResult,
    threshold: float | None = None,
    chosen_on: str = "",
    maps: MapFolder | None = None,
) -> None:
    """Add the ``label_map`` and ``sem_seg`` blocks: instances combined by score against label maps, at a threshold given or chosen on these images."""
    outcome.label_maps = count_results(outcome.truth, outcome.results, maps)
    block = label_map.report(outcome.label_maps, threshold, chosen_on)
    outcome.metrics["label_map"] = block
    counter = SemSegCounter([BACKGROUND, *outcome.truth.class_names])
    counter.confusion += outcome.label_maps.scores(block["threshold"]).confusion
    outcome.metrics["sem_seg"] = counter.figures() | {"threshold": block["threshold"]}
