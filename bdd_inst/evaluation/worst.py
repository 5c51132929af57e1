"""The images that went worst, and in words what went wrong there: missed, false, confused, badly cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bdd_inst.evaluation.confusion import Confusion
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.matching import Pairs
from bdd_inst.evaluation.results import Results, group

BADLY_CUT = 0.75  # an object found with less IoU than this is found, but badly cut


@dataclass(frozen=True)
class RankedImage:
    """One image's record: its position, counts of each verdict, a badness from 0 (nothing wrong) and the reasons in words."""

    position: int
    right: int
    missed: int
    false: int
    confused: int
    badly_cut: int
    badness: float
    reasons: str


def rank_images(
    truth: GroundTruth, results: Results, pairs: Pairs, found: Confusion
) -> list[RankedImage]:
    """Every image, worst first: by the number of things wrong (a bad cut counts a third) plus their share of what is there."""
    iou = partner_iou(results, pairs, found)
    cut = (found.verdict == "right") & (iou < BADLY_CUT)
    out = []
    groups = zip(
        group(truth.image, len(truth.image_ids)),
        group(results.image, len(truth.image_ids)),
        strict=True,
    )
    for i, (own, mine) in enumerate(groups):
        verdicts = found.verdict[mine]
        right, false, confused = (
            int((verdicts == name).sum()) for name in ("right", "false", "confused")
        )
        missed, badly = int(found.missed[own].sum()), int(cut[mine].sum())
        wrong = missed + false + confused + badly / 3
        # Below 1 in most images: one error among two objects is worse than one among twenty, but no worse than two.
        share = wrong / max(right + missed + false + confused, 1)
        reasons = in_words(truth, results, own=own, mine=mine, found=found, cut=cut)
        out.append(
            RankedImage(
                i,
                right=right,
                missed=missed,
                false=false,
                confused=confused,
                badly_cut=badly,
                badness=round(wrong + share, 4),
                reasons=reasons,
            )
        )
    return sorted(out, key=lambda p: (-p.badness, p.position))


def partner_iou(results: Results, pairs: Pairs, found: Confusion) -> np.ndarray:
    """D float64: IoU of each detection with the object that it is paired with, 1 where it has none."""
    iou = np.ones(len(results))
    mine = found.partner[pairs.found] == pairs.object
    iou[pairs.found[mine]] = pairs.iou[mine]
    return iou


def in_words(
    truth: GroundTruth,
    results: Results,
    own: np.ndarray,
    mine: np.ndarray,
    found: Confusion,
    cut: np.ndarray,
) -> str:
    """``missed 2 car, 1 rider; false 1 bus; truck taken for bus; badly cut 1 car``; empty where all is well.

    Args:
        truth, results, found: of one evaluation.
        own, mine: G and D int64, positions of the image's objects and detections.
        cut: bool of all detections: found, but badly cut.
    """
    names = truth.class_names
    parts = [
        ("missed", [names[truth.category[n]] for n in own if found.missed[n]]),
        ("false", [names[results.category[n]] for n in mine if found.verdict[n] == "false"]),
        ("badly cut", [names[results.category[n]] for n in mine if cut[n]]),
    ]
    parts = [f"{word} {tally(classes)}" for word, classes in parts if classes]
    pairs = [(found.partner[n], n) for n in mine if found.verdict[n] == "confused"]
    mixed = [f"{names[truth.category[g]]} taken for {names[results.category[d]]}" for g, d in pairs]
    parts += [
        f"{text} ({mixed.count(text)} times)" if mixed.count(text) > 1 else text
        for text in dict.fromkeys(mixed)
    ]
    return "; ".join(parts)


def tally(words: list[str]) -> str:
    """``2 car, 1 bus``, most frequent first."""
    return ", ".join(
        f"{words.count(word)} {word}"
        for word in sorted(set(words), key=lambda w: (-words.count(w), w))
    )
