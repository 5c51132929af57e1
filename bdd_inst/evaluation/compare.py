"""Two sets of predictions on one ground truth: differences with a paired bootstrap interval over images.

Images are drawn with replacement, the same draw for both sides, and both are scored on each draw; the interval holds the middle 95 % of
the differences. An interval that leaves out 0 means that the difference is more than the choice of images explains.
"""

from __future__ import annotations

from dataclasses import dataclass

from bdd_inst.base.errors import DataError
from bdd_inst.evaluation.coco import hotcoco_evaluator, without_hotcoco
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.results import Results

RESAMPLES = 1000


@dataclass(frozen=True)
class Difference:
    """One figure of both sides in percent, their difference (second minus first) and the interval's ends; None where undefined."""

    name: str
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None

    @property
    def certain(self) -> bool:
        """True where the interval leaves out 0."""
        return self.low is not None and (self.low > 0 or self.high < 0)


def compare(
    truth: GroundTruth,
    first: Results,
    second: Results,
    kind: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[Difference]:
    """COCO's figures of both, headline figures with an interval, then AP by class.

    Raises:
        DataError: one side has no boxes, or no masks, for ``kind``; hotcoco, which resamples, is absent or too old.
    """
    if reason := without_hotcoco():
        raise DataError(f"comparing two sets of predictions needs hotcoco: {reason}")
    import hotcoco

    for side in (first, second):
        if (side.boxes if kind == "bbox" else side.masks) is None:
            raise DataError(
                f"{side.source}: has no {'boxes' if kind == 'bbox' else 'masks'} to compare"
            )
    sides = [side.with_masks() if kind == "segm" else side for side in (first, second)]
    a, b = (hotcoco_evaluator(truth, side, kind) for side in sides)
    found = hotcoco.compare(a, b, n_bootstrap=resamples, seed=seed, confidence=confidence)
    headlines = [
        difference(
            name,
            found["metrics_a"][name],
            found["metrics_b"][name],
            interval=(found.get("ci") or {}).get(name),
        )
        for name in found["metric_keys"]
    ]
    classes = (
        difference(f"AP-{one['cat_name']}", one["ap_a"], one["ap_b"])
        for one in found["per_category"]
    )
    return [*headlines, *classes]


def difference(
    name: str, first: float, second: float, interval: dict[str, float] | None = None
) -> Difference:
    """The second figure less the first, fractions to percent points, with the ends of its interval where there is one."""
    known = min(first, second) > -1
    return Difference(
        name,
        first=percent(first),
        second=percent(second),
        difference=100 * (second - first) if known else None,
        low=100 * interval["lower"] if known and interval else None,
        high=100 * interval["upper"] if known and interval else None,
    )


def percent(value: float) -> float | None:
    """100 x a fraction; None for COCO's -1."""
    return 100 * value if value > -1 else None
