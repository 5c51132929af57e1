"""Semantic segmentation scored pixel by pixel: one confusion matrix over all images, figures by image, and how outlines are cut.

Definitions are those of Detectron2's SemSegEvaluator: IoU TP / (TP + FP + FN) and accuracy TP / (TP + FN) of a class over all pixels of
all images, undefined for a class that no image has; fwIoU weighs IoU by the share of true pixels, pACC is the share of right pixels.
Pixels of the ignored value count nowhere. Where value 0 is background, means over classes leave it out and say so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bdd_inst.evaluation.boundary import boundary, width_of
from bdd_inst.evaluation.confusion import matrix_content
from bdd_inst.evaluation.label_map import BINS, divide, mean

BACKGROUND = "background"
DERIVED = {
    "Dice-<class>": "2 IoU / (1 + IoU) of IoU-<class>: the same counts, always at least IoU",
    "Dice": "mean of Dice-<class>",
    "mIoU": "mean of IoU-<class> over the classes that the images have, background left out",
    "mACC": "mean of ACC-<class>, as mIoU",
    "mIoU-with-background": "as mIoU, background kept",
    "fwIoU": "mean of all IoU, background kept, weighed by true pixels",
    "pACC": "right pixels / pixels, background kept",
    "mIoU-pictures": "mean over images of the mean IoU of the classes that the image has",
    "BoundaryIoU": "mean of BoundaryIoU-<class>, each a mean over the images that have the class; 2 % of the diagonal",
    "marked-without": "on images that have no class at all: the share of pixels marked as one",
}


@dataclass
class ImageScore:
    """One image: ``name``, ``iou`` K (fractions, NaN for a class it does not have), ``boundary`` K likewise, ``marked``, the share of
    its pixels that are predicted as something other than background."""

    name: str
    iou: np.ndarray
    boundary: np.ndarray
    marked: float


@dataclass
class SemSegCounter:
    """Gathers label maps image by image.

    Attributes:
        names: K class names; where the first is ``background``, means leave it out.
        ignore: the value that counts nowhere.
        confusion: K,K int64 pixels, rows the truth, columns the prediction.
        levels: of one class against background: 2,BINS int64 pixels by truth and score, for the threshold sweep.
    """

    names: list[str]
    ignore: int = 255
    confusion: np.ndarray = field(init=False)
    levels: np.ndarray = field(init=False)
    images: list[ImageScore] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.confusion = np.zeros((len(self.names),) * 2, np.int64)
        self.levels = np.zeros((2, BINS), np.int64)

    @property
    def first(self) -> int:
        """The first class that means are taken over."""
        return int(self.names[0] == BACKGROUND)

    def add(
        self,
        truth: np.ndarray,
        predicted: np.ndarray,
        name: str = "",
        scores: np.ndarray | None = None,
    ) -> None:
        """One image.

        Args:
            truth: H,W class numbers from 0 to K - 1, or ``ignore``.
            predicted: H,W class numbers from 0 to K - 1.
            scores: H,W from 0 to 1, of two classes the second one's probability.

        Raises:
            ValueError: sizes differ, or a number that is no class.
        """
        classes = len(self.names)
        if truth.shape != predicted.shape:
            raise ValueError(f"{name}: truth of {truth.shape}, prediction of {predicted.shape}")
        known = truth != self.ignore
        highest = int(truth[known].max(initial=0)), int(predicted.max(initial=0))
        if max(highest) >= classes:
            raise ValueError(f"{name}: class {max(highest)} of {classes}")
        # In int64: uint8 numbers times the number of classes would wrap round.
        joint = truth[known].astype(np.int64) * classes + predicted[known]
        counts = np.bincount(joint, minlength=classes * classes).reshape(classes, classes)
        self.confusion += counts
        if scores is not None:
            # A bin holds scores of its lower edge and above; the small number is for float32, in which 0.53 * 100
            # is below 53.
            level = np.floor(np.clip(scores[known], 0, 1) * (BINS - 1) + 1e-6).astype(np.int64)
            flat = np.bincount(truth[known].astype(np.int64) * BINS + level, minlength=2 * BINS)
            self.levels += flat.reshape(2, BINS)
        marked = counts[:, self.first :].sum() if self.first else counts.sum()
        iou = ious(counts)
        edges = np.full(classes, np.nan)
        for k in np.flatnonzero(np.isfinite(iou)):
            if k >= self.first:
                # Unknown pixels leave both masks alike: no outline is judged where nobody drew one.
                edges[k] = boundary_iou((truth == k) & known, (predicted == k) & known)
        self.images.append(ImageScore(name, iou, edges, float(marked / max(1, counts.sum()))))

    def merge(self, other: SemSegCounter) -> None:
        """Take in what another process has counted."""
        self.confusion += other.confusion
        self.levels += other.levels
        self.images += other.images

    def figures(self) -> dict[str, float | None]:
        """Percent, None where undefined; ``DERIVED`` says what follows from what."""
        iou, accuracy = ious(self.confusion), class_accuracy(self.confusion)
        # Class by class the one follows from the other; their means do not.
        dice = 2 * iou / (1 + iou)
        true = self.confusion.sum(axis=1)
        has = true > 0
        kept = slice(self.first, None)
        edges = np.array(
            [mean(np.array([p.boundary[k] for p in self.images])) for k in range(len(iou))]
        )
        own = np.array([mean(p.iou[kept]) for p in self.images])
        out = {"mIoU": mean(iou[kept])}
        if self.first:
            out["mIoU-with-background"] = mean(iou)
        out |= {
            "fwIoU": float(divide((iou[has] * true[has]).sum(), true.sum())),
            "mACC": mean(accuracy[kept]),
            "pACC": float(divide(np.diag(self.confusion).sum(), true.sum())),
            "Dice": mean(dice[kept]),
            "mIoU-pictures": mean(own),
            "BoundaryIoU": mean(edges[kept]),
        }
        without = [p.marked for p in self.images if not np.isfinite(p.iou[kept]).any()]
        if self.first and without:
            out["marked-without"] = float(np.mean(without))
        for prefix, values in (
            ("IoU", iou),
            ("ACC", accuracy),
            ("Dice", dice),
            ("BoundaryIoU", edges),
        ):
            chosen = range(self.first if prefix == "BoundaryIoU" else 0, len(self.names))
            out |= {f"{prefix}-{self.names[k]}": float(values[k]) for k in chosen}
        return {name: 100 * value if np.isfinite(value) else None for name, value in out.items()}

    def sweep(self) -> list[dict]:
        """Of one class against background: IoU and Dice with pixels of a score of at least 0.05, 0.10, ..., 0.95; else nothing."""
        if not self.levels.sum():
            return []
        rows = []
        for step in range(1, 20):
            level = step * (BINS - 1) // 20
            hit, false = self.levels[1, level:].sum(), self.levels[0, level:].sum()
            iou = float(divide(hit, self.levels[1].sum() + false))
            shown = 100 * iou if np.isfinite(iou) else None
            dice = 200 * iou / (1 + iou) if np.isfinite(iou) else None
            rows.append({"threshold": step / 20, "mIoU": shown, "Dice": dice})
        return rows

    def worst(self, number: int = 20) -> list[dict]:
        """The images of lowest mean IoU, worst first."""
        scored = [(mean(p.iou[self.first :]), p) for p in self.images]
        scored = sorted((s for s in scored if np.isfinite(s[0])), key=lambda s: s[0])[:number]
        return [
            {"picture": p.name, "mIoU": 100 * value, "BoundaryIoU": percent(mean(p.boundary))}
            for value, p in scored
        ]

    def sources(self) -> list[dict]:
        """By the first folder of the images' names: how many, and the figures that are means over images; nothing where there is one."""
        groups: dict[str, list[ImageScore]] = {}
        for one in self.images:
            groups.setdefault(one.name.partition("/")[0] if "/" in one.name else "", []).append(one)
        if len(groups) < 2:
            return []
        rows = []
        for name, group in sorted(groups.items()):
            own = [mean(p.iou[self.first :]) for p in group]
            without = [p.marked for p, value in zip(group, own) if not np.isfinite(value)]
            row = {"source": name, "pictures": len(group), "mIoU-pictures": mean(np.array(own))}
            row["BoundaryIoU"] = mean(
                np.array([mean(p.boundary) for p, v in zip(group, own) if np.isfinite(v)])
            )
            row["marked-without"] = mean(np.array(without))
            rows.append({k: percent(v) if isinstance(v, float) else v for k, v in row.items()})
        return rows

    def report(self, threshold: float | None = None) -> dict:
        """The ``sem_seg`` block of ``metrics.json``: figures, what is derived from what, confusion matrix, sweep, worst images."""
        block = self.figures() | {"pictures": len(self.images)}
        if threshold is not None:
            block["threshold"] = threshold
        return block | {
            "derived": dict(DERIVED),
            "confusion": {"classes": list(self.names), **matrix_content(self.confusion, "pixels")},
            "sweep": self.sweep(),
            "worst": self.worst(),
            "sources": self.sources(),
        }


def percent(value: float) -> float | None:
    """100 times a fraction, None for NaN."""
    return 100 * value if np.isfinite(value) else None


def ious(confusion: np.ndarray) -> np.ndarray:
    """K float64 fractions of a confusion matrix K,K int64 (rows the truth), NaN for classes without a true pixel."""
    hit, true = np.diag(confusion), confusion.sum(axis=1)
    # Undefined without a true pixel, even where it was predicted: Detectron2's rule. The false pixels lower the IoU of
    # the classes that they lie on.
    return np.where(true > 0, divide(hit, true + confusion.sum(axis=0) - hit), np.nan)


def class_accuracy(confusion: np.ndarray) -> np.ndarray:
    """K float64 fractions, right pixels of a class among its true ones; NaN where there is none."""
    return divide(np.diag(confusion), confusion.sum(axis=1))


def boundary_iou(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Boundary IoU (Cheng et al., CVPR 2021) of two masks H,W bool; NaN where neither has a pixel."""
    rows, columns = (
        np.flatnonzero((truth | predicted).any(axis=1)),
        np.flatnonzero((truth | predicted).any(axis=0)),
    )
    if not len(rows):
        return float("nan")
    distance = width_of(*truth.shape)
    # Cut to both masks: outside them neither has a boundary, and eroding costs by the pixel.
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    a, b = (boundary(np.ascontiguousarray(mask[window]), distance) for mask in (truth, predicted))
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else float("nan")
