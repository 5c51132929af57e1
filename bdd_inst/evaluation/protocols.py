"""Protocols by name: from ground truth and predictions to the figures of ``metrics.json``. A new one is a function and a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.base.registry import Registry
from bdd_inst.evaluation import bdd, coco
from bdd_inst.evaluation.coco import CocoScores
from bdd_inst.evaluation.evaluation_result import EvaluationResult
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.results import Results

MOST_NAMED = 50  # classes of a sentence


@dataclass
class ProtocolScores:
    """What a protocol says of predictions.

    Attributes:
        figures: blocks of ``metrics.json`` by name, percent, None where undefined. ``bbox`` and ``segm`` hold ``AP``, ``AP50``, ...,
            ``AR...`` and ``AP-<class>``; tables, curves and reports show those two. Others hold what the protocol likes.
        scores: the precision arrays behind ``bbox`` and ``segm``, for curves and analysis; may be empty.
        notes: sentences that a reader of the figures must know.
    """

    figures: dict[str, object]
    scores: dict[str, CocoScores] = field(default_factory=dict)
    notes: Sequence[str] = field(default_factory=list)


# (ground truth, predictions, kinds: ``bbox`` and ``segm`` as far as both sides have them, detections an image and class that count).
Protocol = Callable[[GroundTruth, Results, Sequence[str], int], ProtocolScores]


def coco_protocol(
    truth: GroundTruth, results: Results, kinds: Sequence[str], max_detections: int
) -> ProtocolScores:
    """COCO's, of boxes and masks."""
    scores = {kind: coco_scores(truth, results, kind, max_detections) for kind in kinds}
    return ProtocolScores({kind: found.figures() for kind, found in scores.items()}, scores)


def bdd_protocol(
    truth: GroundTruth, results: Results, kinds: Sequence[str], max_detections: int
) -> ProtocolScores:
    """BDD100K's: masks as bitmaps that do not overlap; boxes as COCO's, as the official tool has them."""
    scores = {
        kind: bdd.evaluate(truth, results.with_masks())
        if kind == "segm"
        else coco_scores(truth, results, kind, max_detections)
        for kind in kinds
    }
    figures: dict[str, object] = {kind: found.figures() for kind, found in scores.items()}
    figures |= bdd_remarks(truth, results, kinds)
    return ProtocolScores(figures, scores, crowd_notes(truth, figures))


def both_protocols(
    truth: GroundTruth, results: Results, kinds: Sequence[str], max_detections: int
) -> ProtocolScores:
    """COCO's figures at the top level, and both protocols' under their names."""
    first = coco_protocol(truth, results, kinds, max_detections)
    second = bdd_protocol(truth, results, kinds, max_detections)
    blocks = {kind: second.figures[kind] for kind in kinds}
    remarks = {name: block for name, block in second.figures.items() if name not in kinds}
    figures = first.figures | {"coco": dict(first.figures), "bdd": blocks} | remarks
    return ProtocolScores(figures, first.scores, second.notes)


# TEST.PROTOCOL and ``--protocol``.
PROTOCOLS: Registry[Protocol] = Registry(
    "TEST.PROTOCOL", {"coco": coco_protocol, "bdd": bdd_protocol, "both": both_protocols}
)


def score(
    truth: GroundTruth, results: Results, protocol: str = "coco", *, max_detections: int = 100
) -> EvaluationResult:
    """Score one set of predictions: boxes where they have boxes, masks where both sides have masks.

    Args:
        truth: the labeled objects.
        results: predictions on the same images.
        protocol: a name in ``PROTOCOLS``. ``both`` puts the COCO figures at the top level and both protocols under their names.
        max_detections: detections an image and class that count.

    Returns:
        figures with the arrays behind them.

    Raises:
        ConfigError: no such protocol.
        DataError: nothing that both sides have, or damaged masks.
    """
    run = PROTOCOLS.pick(protocol)
    kinds = common_kinds(truth, results)
    damaged = damaged_truth(truth) if results.masks else ""
    if damaged and "bbox" not in kinds:
        raise DataError(f"{damaged}; mend the file")
    if not kinds:
        raise DataError(
            f"{results.source}: these predictions have only masks, but {truth.source} has only boxes; nothing to compare"
        )
    notes = undefined_classes(truth) + limit_notes(results, max_detections)
    if damaged:
        notes.append(f"masks are not scored, only boxes: {damaged}")
        kinds = ["bbox"]
    found = run(truth, results, kinds, max_detections)
    notes += maskless_notes(truth) if "segm" in kinds else []
    notes += [*found.notes, *truth.problems.lines(), *results.problems.lines()]
    metrics = {"protocol": protocol} | found.figures | ({"notes": notes} if notes else {})
    return EvaluationResult(metrics, truth=truth, results=results, scores=found.scores, notes=notes)


def coco_scores(truth: GroundTruth, results: Results, kind: str, max_detections: int) -> CocoScores:
    """COCO's arrays of boxes or masks."""
    results = results.with_masks() if kind == "segm" else results
    return coco.evaluate(truth, results, kind, max_detections=(1, 10, max_detections))


def bdd_remarks(truth: GroundTruth, results: Results, kinds: Sequence[str]) -> dict:
    """What belongs beside BDD100K figures: the RLE variant, the official crowd rule where it matters, and what was mended."""
    if "segm" not in kinds:
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


def common_kinds(truth: GroundTruth, results: Results) -> list[str]:
    """``bbox`` and ``segm``, as far as both sides have them."""
    masks = truth.has_masks or not len(truth)
    return (["bbox"] if results.boxes is not None else []) + (
        ["segm"] if masks and results.masks is not None else []
    )


def undefined_classes(truth: GroundTruth) -> list[str]:
    """A sentence on the classes without an object to find, whose AP is undefined."""
    present = set(truth.category[~(truth.crowd | truth.ignored)].tolist())
    absent = [name for k, name in enumerate(truth.class_names) if k not in present]
    some = ", ".join(absent[:MOST_NAMED])
    some += f" and {len(absent) - MOST_NAMED} more" if len(absent) > MOST_NAMED else ""
    return (
        [f"no ground truth for {some}: AP undefined (null) and left out of the mean"]
        if absent
        else []
    )


def damaged_truth(truth: GroundTruth) -> str:
    """Which run lengths of the ground truth are damaged, "" for none: mask figures without them would look like any other's."""
    codes = ("bad-rle", "wrong-size-mask")
    damaged = [case for code in codes for case in truth.problems.examples.get(code, ())]
    if not damaged:
        return ""
    number = sum(truth.problems.counts[code] for code in codes)
    more = f" (and {number - 1} more)" if number > 1 else ""
    return f"{damaged[0].where}: {damaged[0].message}{more}"


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
            f"AP is taken at {max_detections} detections an image and class; published figures use 100"
        ]
    )
    if len(results):
        keys = results.image * (int(results.category.max()) + 1) + results.category
        beyond = int((np.unique(keys, return_counts=True)[1] > max_detections).sum())
        if beyond:
            rest = f"more than {max_detections} detections of one class; those of lowest score are cut off"
            notes.append(f"in {beyond} cases an image has {rest}")
    return notes
