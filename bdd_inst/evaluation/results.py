"""Detections as flat columns, filled image by image."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from bdd_inst.base.errors import ProblemLog


@dataclass
class Results:
    """``D`` detections on the images and classes of one ground truth, named by position.

    Attributes:
        image: D int64, position of the image.
        category: D int64, position of the class.
        scores: D float64.
        boxes: D,4 float64 ``x, y, w, h``, or None where only masks are known.
        masks: D compressed RLE dicts (``counts`` str), or None where only boxes are known; single entries may be None.
    """

    image: np.ndarray
    category: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray | None
    masks: list[dict] | None
    source: str = ""
    problems: ProblemLog = field(default_factory=ProblemLog)

    def __len__(self) -> int:
        return len(self.image)

    def fingerprint(self) -> str:
        """A short hash of everything that scores: images, classes, scores, boxes and masks."""
        made = hashlib.sha256()
        for column in (self.image, self.category, self.scores, self.boxes):
            made.update(b"" if column is None else np.ascontiguousarray(column).tobytes())
        for mask in self.masks or ():
            made.update(b"" if mask is None else mask["counts"].encode())
        return made.hexdigest()[:16]

    def with_masks(self) -> Results:
        """Only the detections that have a mask."""
        if all(mask is not None for mask in self.masks):
            return self
        return self.take(np.array([mask is not None for mask in self.masks], bool))

    def take(self, keep: np.ndarray) -> Results:
        """Only the detections of ``keep`` (D bool or positions)."""
        chosen = np.flatnonzero(keep) if keep.dtype == bool else keep
        boxes = None if self.boxes is None else self.boxes[chosen]
        masks = None if self.masks is None else [self.masks[i] for i in chosen]
        return Results(
            self.image[chosen],
            category=self.category[chosen],
            scores=self.scores[chosen],
            boxes=boxes,
            masks=masks,
            source=self.source,
            problems=self.problems,
        )


def group(owner: np.ndarray, count: int) -> list[np.ndarray]:
    """Positions by owner 0..count-1, in order: which objects belong to each image.

    Args:
        owner: N int64, each in 0..count-1.
        count: how many owners there are.

    Returns:
        ``count`` int64 arrays of positions in ``owner``, rising.
    """
    # Stable, so that each group is in file order.
    order = np.argsort(owner, kind="stable")
    return np.split(order, np.searchsorted(owner[order], np.arange(1, count))) if count else []


class ResultsBuilder:
    """Collects arrays image by image; memory is that of the boxes, scores and compressed masks alone."""

    def __init__(self) -> None:
        self.parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]] = []
        self.masks: list[dict] = []
        self.with_masks = 0

    def add(
        self,
        image: int,
        category: np.ndarray,
        scores: np.ndarray,
        boxes: np.ndarray | None,
        masks: list[dict] | None,
    ) -> None:
        """The detections of one image; boxes n,4 float64 ``x, y, w, h``; masks n RLE dicts."""
        self.parts.append(
            (
                np.full(len(scores), image, np.int64),
                np.asarray(category, np.int64),
                np.asarray(scores, np.float64),
                boxes,
            )
        )
        if masks is not None:
            self.masks.extend(masks)
            self.with_masks += len(scores)

    def build(self, source: str = "predictions") -> Results:
        """Everything added, in order."""
        kinds = (np.int64, np.int64, np.float64)
        image, category, scores = (
            np.concatenate([np.zeros(0, kind), *(p[i] for p in self.parts)])
            for i, kind in enumerate(kinds)
        )
        boxed = [p[3] for p in self.parts if p[3] is not None]
        boxes = (
            np.concatenate(boxed).astype(np.float64)
            if boxed
            else (np.zeros((0, 4)) if not len(scores) else None)
        )
        masks = self.masks if self.with_masks == len(scores) else None
        return Results(
            image, category=category, scores=scores, boxes=boxes, masks=masks, source=source
        )
