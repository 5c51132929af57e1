"""TIDE: how much AP each kind of error costs (Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020).

A detection that matches nothing is, at foreground threshold 0.5 and background threshold 0.1, one of: **Loc** (right class, IoU between
the two), **Cls** (another class, IoU enough), **Dupe** (the object was taken by a better score), **Bkg** (nothing there), **Both** (class
and place wrong); an object that nothing could be mended to find is **Miss**. The cost of a kind is what AP would gain if that kind alone
were mended. Crowds are left out, as in COCO's protocol.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bdd_inst.evaluation.accumulate import accumulate
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.matching import Matches, Pairs
from bdd_inst.evaluation.results import Results

KINDS = ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")
DESCRIPTIONS = {
    "Cls": "well placed, wrong class",
    "Loc": "right class, badly placed",
    "Both": "wrong class and badly placed",
    "Dupe": "object found twice",
    "Bkg": "nothing there",
    "Miss": "object not found",
    "FP": "all false detections",
    "FN": "all objects not found",
}


@dataclass
class Errors:
    """``kind`` D: one of KINDS, or "" for right or uncounted; ``target`` D: the object that the detection was near, -1 for none;
    ``missed`` M bool."""

    kind: np.ndarray
    target: np.ndarray
    missed: np.ndarray


def best_partner(pairs: Pairs, keep: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The best of the pairs of each detection.

    Args:
        pairs: P overlapping pairs.
        keep: P bool, those that are looked at.
        count: D, the number of detections.

    Returns:
        D float64, the highest IoU, 0 for none; D int64, the object that it is with, the first of equals, -1 for none.
    """
    found, objects, ious = pairs.found[keep], pairs.object[keep], pairs.iou[keep]
    # The last of equal keys is written last and wins below: the highest IoU, and of equal ones the first object.
    order = np.lexsort((-objects, ious, found))
    best, partner = np.zeros(count), np.full(count, -1)
    best[found[order]], partner[found[order]] = ious[order], objects[order]
    return best, partner


def classify(
    truth: GroundTruth,
    results: Results,
    pairs: Pairs,
    matches: Matches,
    *,
    foreground: float = 0.5,
    background: float = 0.1,
) -> Errors:
    """Name the error of every unmatched detection; ``matches`` holds one threshold, the foreground one."""
    d = len(results)
    real = ~matches.ignored[pairs.object]
    same = results.category[pairs.found] == truth.category[pairs.object]
    used = matches.found[0]
    own, own_object = best_partner(pairs, real & same, d)
    other, other_object = best_partner(pairs, real & ~same, d)
    taken, taken_object = best_partner(pairs, real & same & used[pairs.object], d)
    anything, _ = best_partner(pairs, real, d)
    wrong = matches.counted & ~matches.hit[0]
    kind, target = np.full(d, "", dtype="<U4"), np.full(d, -1)
    cases = (
        ("Loc", (own >= background) & (own <= foreground), own_object),
        ("Cls", other >= foreground, other_object),
        ("Dupe", taken >= foreground, taken_object),
        ("Bkg", anything <= background, np.full(d, -1)),
        ("Both", np.ones(d, bool), own_object),
    )
    # The authors' order: what could be two kinds of error is the first.
    for name, true, objects in cases:
        here = wrong & (kind == "") & true
        kind[here], target[here] = name, objects[here]
    mendable = np.zeros(len(truth), bool)
    near = target[np.isin(kind, ("Loc", "Cls"))]
    mendable[near[near >= 0]] = True
    return Errors(kind, target, ~used & ~matches.ignored & ~mendable)


def costs(
    truth: GroundTruth, results: Results, matches: Matches, errors: Errors
) -> dict[str, float]:
    """AP at the foreground threshold and what it would gain without each kind of error, in percent points; ``FP`` and ``FN`` too."""
    counted = matches.counted & ~matches.out[0]
    wanted = np.bincount(truth.category[~matches.ignored], minlength=len(truth.class_names))
    base = mean_ap(
        results.category[counted], results.scores[counted], matches.hit[0][counted], wanted
    )
    out = {"AP": base}
    for name in KINDS:
        if name == "Miss":
            # Mended by no longer being asked for: a missed object has no detection that could become right.
            fewer = wanted - np.bincount(truth.category[errors.missed], minlength=len(wanted))
            mended = mean_ap(
                results.category[counted],
                results.scores[counted],
                hit=matches.hit[0][counted],
                wanted=fewer,
                classes=wanted > 0,
            )
        else:
            mended = mend(
                truth,
                results,
                matches=matches,
                errors=errors,
                name=name,
                counted=counted,
                wanted=wanted,
            )
        # A class whose objects are all taken out stays in the mean with 0, which may lower it: a cost below 0 has no meaning.
        out[name] = max(mended - base, 0.0)
    hit = matches.hit[0][counted]
    lost = truth.category[~matches.found[0] & ~matches.ignored]
    # Scored 1 and 0, all right detections come before all false ones, which then cost nothing.
    out["FP"] = mean_ap(results.category[counted], hit.astype(float), hit, wanted) - base
    fewer = wanted - np.bincount(lost, minlength=len(wanted))
    out["FN"] = (
        mean_ap(
            results.category[counted],
            results.scores[counted],
            hit=hit,
            wanted=fewer,
            classes=wanted > 0,
        )
        - base
    )
    return {name: 100 * value for name, value in out.items()}


def mend(
    truth: GroundTruth,
    results: Results,
    matches: Matches,
    *,
    errors: Errors,
    name: str,
    counted: np.ndarray,
    wanted: np.ndarray,
) -> float:
    """AP, a fraction, with one kind of false detection mended: of those near a free object the best-scored becomes right, all
    others go away.

    Args:
        truth, results, matches, errors: of one evaluation.
        name: one of KINDS, ``Miss`` excepted.
        counted: D bool, the detections that count.
        wanted: K int64, objects to find of each class.
    """
    category, hit, kept = results.category.copy(), matches.hit[0].copy(), counted.copy()
    mine = np.flatnonzero(errors.kind == name)
    kept[mine] = False
    if name in ("Loc", "Cls"):
        # Among all that could be mended onto an object, of either kind, only the best-scored may have it: an object counts once.
        near = np.flatnonzero(np.isin(errors.kind, ("Loc", "Cls")) & (errors.target >= 0))
        candidates = np.zeros(len(errors.kind), bool)
        candidates[near] = ~matches.found[0][errors.target[near]]
        chosen = best_of_each(results, errors, candidates)
        right = mine[np.isin(mine, chosen)]
        kept[right], hit[right], category[right] = True, True, truth.category[errors.target[right]]
    return mean_ap(category[kept], results.scores[kept], hit[kept], wanted)


def best_of_each(results: Results, errors: Errors, candidates: np.ndarray) -> np.ndarray:
    """Of the candidate detections (D bool) near each object, the one of highest score."""
    rows = np.flatnonzero(candidates)
    order = rows[np.lexsort((rows, -results.scores[rows]))]
    _, first = np.unique(errors.target[order], return_index=True)
    return order[first]


def mean_ap(
    category: np.ndarray,
    scores: np.ndarray,
    hit: np.ndarray,
    wanted: np.ndarray,
    classes: np.ndarray | None = None,
) -> float:
    """Mean over ``classes`` (K bool; by default those with objects) of the 101-point AP, a fraction; 0 where there is none.

    A class whose objects are all taken out of the count stays in the mean with 0, as in the authors' code.
    """
    values = []
    for k in np.flatnonzero(wanted > 0 if classes is None else classes):
        mine = category == k
        nothing = np.zeros((1, int(mine.sum())), bool)
        values.append(
            accumulate(scores[mine], hit[None, mine], nothing, int(wanted[k]))[0].mean()
            if wanted[k]
            else 0.0
        )
    return float(np.mean(values)) if values else 0.0
