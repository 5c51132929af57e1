"""Label maps scored pixel by pixel: IoU, Dice and accuracy, and the score threshold at which instances combine best.

IoU of a class is TP / (TP + FP + FN) over all pixels of all images, Dice 2 TP / (2 TP + FP + FN); means are over the classes without
background, as the fashion report has them. Pixels of value 255 in the ground truth count nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bdd_inst.base.errors import ConfigError
from bdd_inst.evaluation.confusion import matrix_content
from bdd_inst.formats.json_files import plain, read_bytes
from bdd_inst.masks.flatten import top_instances

VOID = 255
BINS = 101  # thresholds 0.00, 0.01, ..., 1.00


@dataclass
class LabelMapScores:
    """Figures of one confusion matrix.

    Attributes:
        confusion: K+1,K+1 int64 pixels, rows the truth, columns the prediction, background first.
        class_names: K names.
    """

    confusion: np.ndarray
    class_names: list[str]

    @property
    def iou(self) -> np.ndarray:
        """K+1 fractions, NaN where a class is neither there nor predicted."""
        hit = np.diag(self.confusion)
        return divide(hit, self.confusion.sum(axis=0) + self.confusion.sum(axis=1) - hit)

    @property
    def dice(self) -> np.ndarray:
        """K+1 fractions, NaN as in ``iou``."""
        return divide(
            2 * np.diag(self.confusion), self.confusion.sum(axis=0) + self.confusion.sum(axis=1)
        )

    @property
    def mean_iou(self) -> float:
        """Over classes without background that are there or predicted; NaN where there is none."""
        return mean(self.iou[1:])

    def figures(self) -> dict:
        """Percent, None where undefined: ``mIoU``, ``mIoU-with-background``, ``mDice``, ``accuracy``, ``IoU-<class>``, ``Dice-<class>``."""
        accuracy = divide(np.diag(self.confusion).sum(), self.confusion.sum())
        out = {
            "mIoU": self.mean_iou,
            "mIoU-with-background": mean(self.iou),
            "mDice": mean(self.dice[1:]),
            "accuracy": float(accuracy),
        }
        names = ["background", *self.class_names]
        out |= {f"IoU-{name}": value for name, value in zip(names, self.iou.tolist(), strict=True)}
        out |= {
            f"Dice-{name}": value for name, value in zip(names, self.dice.tolist(), strict=True)
        }
        return {name: 100 * value if np.isfinite(value) else None for name, value in out.items()}


def divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, of any shape, float64, NaN where b is 0."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b > 0)


def mean(values: np.ndarray) -> float:
    """Mean of what is defined in a float array of any shape; NaN where nothing is."""
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if kept.size else float("nan")


class LabelMapCounter:
    """Gathers pixels image by image, at every score threshold at once.

    The best-scored instance of a pixel decides its label at every threshold up to that score, and above it the pixel is background; so
    one painting an image is enough for the whole sweep.
    """

    def __init__(self, class_names: Sequence[str]):
        self.class_names = list(class_names)
        k = len(self.class_names)
        # By truth, class of the top instance (0 none), and its score's bin.
        self.counts = np.zeros((k + 1, k + 1, BINS), np.int64)
        self.images = 0

    def add(
        self, truth: np.ndarray, masks: Sequence[dict], classes: np.ndarray, scores: np.ndarray
    ) -> None:
        """One image.

        Args:
            truth: H,W class numbers, uint8 or wider, 0 background, 255 void.
            masks: N RLE dicts of that size; classes N from 0; scores N.
        """
        height, width = truth.shape
        k = len(self.class_names)
        on_top = top_instances(masks, np.asarray(scores).tolist(), height, width)
        label = np.concatenate([[0], np.asarray(classes, np.int64) + 1])
        # A bin holds scores of its lower edge and above, so that "at least the threshold" is exact on the grid of thresholds.
        level = np.floor(np.clip(np.asarray(scores, float), 0, 1) * (BINS - 1) + 1e-9).astype(
            np.int64
        )
        key = label * BINS + np.concatenate([[0], level])
        counted = truth <= k
        joint = truth[counted].astype(np.int64) * ((k + 1) * BINS) + key[on_top[counted]]
        self.counts += np.bincount(joint, minlength=self.counts.size).reshape(self.counts.shape)
        self.images += 1

    def scores(self, threshold: float) -> LabelMapScores:
        """Figures with instances of a score of at least ``threshold`` (rounded to hundredths)."""
        level = round(min(max(threshold, 0.0), 1.0) * (BINS - 1))
        confusion = self.counts[:, :, level:].sum(axis=2)
        # What lies below the threshold is background: a row keeps its number of pixels.
        confusion[:, 0] = self.counts.sum(axis=(1, 2)) - confusion[:, 1:].sum(axis=1)
        return LabelMapScores(confusion, self.class_names)

    def sweep(self) -> list[tuple[float, float]]:
        """(threshold, mean IoU) at 0.05, 0.10, ..., 0.95."""
        return [(step / 20, self.scores(step / 20).mean_iou) for step in range(1, 20)]

    def best_threshold(self) -> float:
        """Where the sweep's mean IoU is highest; of a plateau its middle, 0.5 where nothing is defined."""
        swept = [(t, v) for t, v in self.sweep() if np.isfinite(v)]
        if not swept:
            return 0.5
        top = max(v for _, v in swept)
        plateau = [t for t, v in swept if v == top]
        # At the edge of a plateau other images would fall off it first.
        return plateau[len(plateau) // 2]


def read_threshold(text: str) -> tuple[float | None, str]:
    """``auto``, a number, or the path of a ``metrics.json`` -> the threshold (None: choose) and where it was chosen.

    Args:
        text: as ``--label-threshold`` has it.

    Returns:
        the threshold from 0 to 1, or None; the sentence's end ``chosen on ...``.

    Raises:
        ConfigError: none of these, or a file without a threshold.
    """
    if text == "auto":
        return None, ""
    if Path(text).is_file():
        try:
            found = float(plain(read_bytes(text))["label_map"]["threshold"])
            if not 0 <= found <= 1:
                raise ValueError
        except (ValueError, KeyError, TypeError, OverflowError):
            raise ConfigError(
                f"{text}: holds no label_map threshold from 0 to 1; name the metrics.json of an evaluation with label maps"
            ) from None
        return found, text
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(
            f"label threshold {text!r}: give a number from 0 to 1, a metrics.json, or auto"
        ) from None
    if not 0 <= value <= 1:
        raise ConfigError(f"label threshold {text} is not between 0 and 1")
    return value, "the command line"


def report(counter: LabelMapCounter, threshold: float | None, chosen_on: str) -> dict:
    """The ``label_map`` block of ``metrics.json``: figures at a threshold, how it was chosen, the sweep, the confusion matrix.

    Args:
        threshold: None chooses the best one on these very images, and says so.
    """
    own = threshold is None
    used = counter.best_threshold() if own else float(threshold)
    scores = counter.scores(used)
    swept = [
        {"threshold": t, "mIoU": 100 * v if np.isfinite(v) else None} for t, v in counter.sweep()
    ]
    block = scores.figures() | {
        "threshold": used,
        "threshold_chosen_on": "these images" if own else chosen_on,
    }
    return block | {
        "confusion": {
            "classes": ["background", *scores.class_names],
            **matrix_content(scores.confusion, "pixels"),
        },
        "sweep": swept,
    }
