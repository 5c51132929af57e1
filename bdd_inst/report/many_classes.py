"""What a page shows of a thousand classes: tables of all, curves of the most frequent, confusions of those that are confused most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bdd_inst.evaluation.curves import MEAN, Curve

# Lines that an eye can tell apart are fewer, rows and columns that a screen has hardly more; and a matrix grows with the square.
MOST_CLASSES = 40


def curves_shown(curves: Sequence[Curve], names: Sequence[str], objects: np.ndarray) -> list[Curve]:
    """The curves of the classes that have the most objects, and the mean's.

    Args:
        curves: of every class and IoU threshold.
        names: of the classes.
        objects: K int64, how many each has.

    Returns:
        All of them up to MOST_CLASSES classes.
    """
    if len(names) <= MOST_CLASSES:
        return list(curves)
    most = np.argsort(-objects, kind="stable")[:MOST_CLASSES]
    wanted = {names[k] for k in most} | {MEAN}
    return [curve for curve in curves if curve.name in wanted]


def matrix_shown(matrix: np.ndarray, names: Sequence[str]) -> tuple[list[list], list[str]]:
    """A confusion matrix that fits on a page.

    Args:
        matrix: N,N int64 counts, rows the truth.
        names: N, of its rows and columns; one called background is kept.

    Returns:
        The rows, and their names: of up to MOST_CLASSES all; of more the most confused ones in their order, the others summed.
    """
    matrix = np.asarray(matrix)
    if len(names) <= MOST_CLASSES + 1:
        return matrix.tolist(), list(names)
    ground = [k for k, name in enumerate(names) if name == "background"]
    between = matrix.astype(np.float64)
    np.fill_diagonal(between, 0)
    between[ground] = between[:, ground] = 0
    order = np.argsort(-(between.sum(axis=0) + between.sum(axis=1)), kind="stable")
    kept = sorted(set(order[:MOST_CLASSES].tolist()) - set(ground))
    place = np.full(len(names), len(kept))
    place[kept] = np.arange(len(kept))
    place[ground] = len(kept) + 1
    small = np.zeros((len(kept) + 1 + bool(ground),) * 2, matrix.dtype)
    np.add.at(small, (place[:, None], place[None, :]), matrix)
    others = f"{len(names) - len(kept) - len(ground)} others"
    return small.tolist(), [names[k] for k in kept] + [others] + ["background"] * bool(ground)
