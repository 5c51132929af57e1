"""Protocols by name: one call from ground truth and results to the content of ``metrics.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.evaluation import analysis, bdd, coco, curves, label_map, outputs
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.label_map_files import MapFolder, count_results
from bdd_inst.evaluation.results import Results
from bdd_inst.evaluation.sem_seg import BACKGROUND, SemSegCounter

PROTOCOLS = ("coco", "bdd", "both")


@dataclass
class EvaluationResult:
    """Figures, and what they were made from.

    ``scores`` maps protocol and kind (``("coco", "segm")``) to the precision arrays behind the figures; ``notes`` are sentences
    that a reader of the figures must know.
    """

    metrics: dict
    truth: GroundTruth
    results: Results
    scores: dict[tuple[str, str], coco.CocoScores]
    notes: list[str] = field(default_factory=list)
    label_maps: label_map.LabelMapCounter | None = None
    analyses: dict[str, analysis.Analysis] = field(default_factory=dict)

    @property
    def main(self) -> dict[str, coco.CocoScores]:
        """``bbox`` and ``segm`` of the protocol that the top level of ``metrics`` speaks of."""
        protocol = "bdd" if self.metrics["protocol"] == "bdd" else "coco"
        return {kind: scores for (name, kind), scores in self.scores.items() if name == protocol}

    def curves(self) -> list[curves.Curve]:
        """Every PR curve of the main protocol, boxes before masks."""
        return [
            curve for kind, scores in self.main.items() for curve in curves.pr_curves(scores, kind)
        ]

    def analyse(self) -> dict[str, analysis.Analysis]:
        """The reasons behind the figures, by kind; worked out on the first call. Matching is COCO's under either protocol."""
        for kind, scores in self.main.items():
            if kind not in self.analyses:
                self.analyses[kind] = analysis.analyse(self.truth, self.results, scores, kind)
        return self.analyses

    def write(self, folder: str | Path) -> None:
        """``metrics.json``, ``pr_curves.csv`` and ``.png``; ``analysis.json`` after :meth:`analyse`."""
        outputs.write_metrics(self.metrics, folder)
        if self.scores:
            outputs.write_curves(self.curves(), folder)
        self.write_analysis(folder)

    def write_analysis(self, folder: str | Path) -> None:
        """``analysis.json``, where :meth:`analyse` has been called."""
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
    """Add the ``label_map`` and ``sem_seg`` blocks: instances combined by score against label maps, at a threshold given or chosen on these pictures."""
    outcome.label_maps = count_results(outcome.truth, outcome.results, maps)
    block = label_map.report(outcome.label_maps, threshold, chosen_on)
    outcome.metrics["label_map"] = block
    counter = SemSegCounter([BACKGROUND, *outcome.truth.class_names])
    counter.confusion += outcome.label_maps.scores(block["threshold"]).confusion
    outcome.metrics["sem_seg"] = counter.figures() | {"threshold": block["threshold"]}


def score(
    truth: GroundTruth, results: Results, protocol: str = "coco", *, max_detections: int = 100
) -> EvaluationResult:
    """Score one set of predictions by ``protocol``: boxes where they have boxes, masks where both sides have masks.

    ``both`` puts the COCO figures at the top level and both protocols under their names.

    Raises:
        ConfigError: no such protocol. DataError: nothing that both sides have.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"no evaluation protocol {protocol!r}; there are {', '.join(PROTOCOLS)}")
    wanted = kinds(truth, results)
    if not wanted:
        raise DataError(
            f"{results.source}: these predictions have only masks, but {truth.source} has only boxes; nothing to compare"
        )
    names = ("coco", "bdd") if protocol == "both" else (protocol,)
    if results.masks:
        refuse_damaged_masks(truth)
    scores, notes = {}, undefined_classes(truth) + limit_notes(results, max_detections)
    notes += maskless_notes(truth) if "segm" in wanted else []
    for name in names:
        for kind in wanted:
            scores[name, kind] = run(truth, results, name, kind, max_detections)
    figures = {name: {kind: scores[name, kind].figures() for kind in wanted} for name in names}
    metrics = {"protocol": protocol} | figures[names[0]]
    if protocol == "both":
        metrics |= figures
    if "bdd" in names:
        metrics |= bdd_remarks(truth, results, wanted)
        notes += crowd_notes(truth, metrics)
    notes += truth.problems.lines() + results.problems.lines()
    return EvaluationResult(
        metrics | ({"notes": notes} if notes else {}), truth, results, scores, notes
    )


def run(
    truth: GroundTruth, results: Results, protocol: str, kind: str, max_detections: int
) -> coco.CocoScores:
    """One protocol on boxes or masks. BDD100K scores boxes as COCO does."""
    if kind == "segm":
        results = results.with_masks()
    if protocol == "bdd" and kind == "segm":
        return bdd.evaluate(truth, results)
    return coco.evaluate(truth, results, kind, max_detections=(1, 10, max_detections))


def bdd_remarks(truth: GroundTruth, results: Results, wanted: list[str]) -> dict:
    """What belongs beside BDD100K figures: the RLE variant, the official crowd rule where it matters, and what was mended."""
    if "segm" not in wanted:
        return {}
    results = results.with_masks()
    resolved, changed = bdd.without_overlaps(truth, results)
    remarks: dict = {
        "segm_rle": coco.evaluate(truth, resolved, "segm").figures(),
        "overlapping_pictures": changed,
    }
    if truth.crowd.any():
        remarks["segm_official_crowds"] = bdd.evaluate(
            truth, results, official_crowds=True
        ).figures()
    return remarks | {"mended": list(bdd.MENDED)}


def crowd_notes(truth: GroundTruth, metrics: dict) -> list[str]:
    """A sentence on crowds, whose treatment differs between the official documentation and the official code."""
    if "segm_official_crowds" not in metrics:
        return []
    other = metrics["segm_official_crowds"]["AP"]
    shown = "undefined" if other is None else f"{other:.2f}"
    return [
        f"{int(truth.crowd.sum())} crowd objects are ignored, as BDD100K documents; its code counts them as objects: mask AP {shown}"
    ]


def kinds(truth: GroundTruth, results: Results) -> list[str]:
    """``bbox`` and ``segm``, as far as both sides have them."""
    masks = truth.has_masks or not len(truth)
    return (["bbox"] if results.boxes is not None else []) + (
        ["segm"] if masks and results.masks is not None else []
    )


def undefined_classes(truth: GroundTruth) -> list[str]:
    """A sentence on the classes without an object to find, whose AP is undefined."""
    present = set(truth.category[~(truth.crowd | truth.ignored)].tolist())
    absent = [name for k, name in enumerate(truth.class_names) if k not in present]
    return (
        [f"no ground truth for {', '.join(absent)}: AP undefined (null) and left out of the mean"]
        if absent
        else []
    )


def refuse_damaged_masks(truth: GroundTruth) -> None:
    """DataError where run lengths of the ground truth are damaged: mask figures without them would look like any other's.

    Boxes alone are scored all the same.
    """
    codes = ("bad-rle", "wrong-size-mask")
    damaged = [case for code in codes for case in truth.problems.examples.get(code, ())]
    if damaged:
        number = sum(truth.problems.counts[code] for code in codes)
        more = f" (and {number - 1} more)" if number > 1 else ""
        raise DataError(
            f"{damaged[0].where}: {damaged[0].message}; mend the file, or score boxes alone{more}"
        )


def maskless_notes(truth: GroundTruth) -> list[str]:
    """A sentence on objects that have a box but no mask, which mask figures cannot count as found or missed."""
    lacking = [n for n, mask in enumerate(truth.masks) if mask is None]
    if not lacking:
        return []
    example = truth.file_names[truth.image[lacking[0]]]
    return [
        f"{len(lacking)} objects have no mask (the first on {example}): left out of mask AP, counted in box AP"
    ]


def limit_notes(results: Results, max_detections: int) -> list[str]:
    """A sentence where the detection limit cuts predictions off, or is not the usual one."""
    notes = (
        []
        if max_detections == 100
        else [
            f"AP is taken at {max_detections} detections a picture and class; published figures use 100"
        ]
    )
    if len(results):
        keys = results.image * (int(results.category.max()) + 1) + results.category
        beyond = int((np.unique(keys, return_counts=True)[1] > max_detections).sum())
        if beyond:
            rest = f"more than {max_detections} detections of one class; those of lowest score are cut off"
            notes.append(f"in {beyond} cases a picture has {rest}")
    return notes
