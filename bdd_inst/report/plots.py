"""The curves of a training run as an image that needs no explanation: losses, learning rate, average precision."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bdd_inst.base.csv_log import KEY, CsvLog, points
from bdd_inst.base.files import atomic_write
from bdd_inst.drawing.fonts import for_matplotlib

# Okabe and Ito's colors, apart for every eye, dark enough for thin lines on white.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6A3D9A", "#8C564B")
STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.edgecolor": "#888888",
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


def training_curves(folder: str | os.PathLike) -> Path | None:
    """``training_curves.png`` of a run's folder: losses, learning rate, and AP where it was measured; None without a log.

    Reads ``training.csv`` (columns: iteration, stage, losses, lr) and ``evaluations.csv`` (iteration, ``segm/AP``, ...).

    Args:
        folder: of the run.

    Returns:
        the image's path, or None.
    """
    rows = CsvLog(Path(folder, "training.csv")).rows()
    if not rows:
        return None
    scores = CsvLog(Path(folder, "evaluations.csv")).rows()
    quality = [
        name
        for name in ("segm/AP", "segm/AP50", "bbox/AP", "bbox/AP50")
        if any(name in row for row in scores)
    ]
    panels = 3 if quality else 2
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6 * panels, 3.6), layout="constrained")
        axes = figure.subplots(1, panels)
        draw_losses(axes[0], rows, scores)
        line(axes[1], rows, name="lr", label="learning rate", color=LINES[0])
        axes[1].set_title("learning rate")
        axes[1].ticklabel_format(axis="y", style="sci", scilimits=(-3, 3))
        if quality:
            for name, color in zip(quality, LINES):
                line(
                    axes[2],
                    scores,
                    name=name,
                    label=name.replace("segm/", "mask ").replace("bbox/", "box "),
                    color=color,
                    marker="o",
                )
            axes[2].set(title="average precision (%)", ylim=(0, None))
            axes[2].legend()
        for panel in axes:
            mark_stages(panel, rows)
            panel.set(xlabel="iteration", xlim=(0, rows[-1][KEY] + 1))
        return save(figure, Path(folder, "training_curves.png"))


def draw_losses(axes: Axes, rows: Sequence[dict], scores: Sequence[dict]) -> None:
    """The total and its parts, faint as logged and strong as a running mean, and the validation loss."""
    parts = sorted({name for row in rows for name in row if name.startswith("loss_")})
    for name, color in zip(parts, LINES[1:] * 3):
        line(
            axes,
            rows,
            name=name,
            label=name.removeprefix("loss_").replace("_", " "),
            color=color,
            smooth=True,
        )
    line(axes, rows, name="total_loss", label="total", color="#222222", smooth=True)
    if any("val/total_loss" in row for row in scores):
        line(
            axes,
            scores,
            name="val/total_loss",
            label="total, validation",
            color="#222222",
            marker="o",
            linestyle="--",
        )
    axes.set(title="losses", ylim=(0, None))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)


def line(
    axes: Axes,
    rows: Sequence[dict],
    name: str,
    label: str,
    color: str,
    smooth: bool = False,
    **style: object,
) -> None:
    """A column over the iterations; nothing where no row has it."""
    found = list(points(rows, name))
    if not found:
        return
    x, y = np.array(found).T
    x = x + 1
    if smooth and len(y) >= 20:
        axes.plot(x, y, color=color, alpha=0.22, linewidth=0.8)
        y = running_mean(y, max(3, len(y) // 40))
    axes.plot(x, y, color=color, label=label, **{"markersize": 4, **style})


def running_mean(values: np.ndarray, reach: int) -> np.ndarray:
    """N float64 means over up to ``reach`` neighbors on each side; at the ends over as many as there are on both."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    reach = np.minimum(reach, np.minimum(place, place[::-1]))
    return (sums[place + reach + 1] - sums[place - reach]) / (2 * reach + 1)


def mark_stages(axes: Axes, rows: Sequence[dict]) -> None:
    """A line where a stage begins, and its name, where there are several."""
    starts: dict[str, int] = {}
    for row in rows:
        starts.setdefault(row.get("stage", ""), row[KEY] + 1)
    if len(starts) < 2:
        return
    families, shown = for_matplotlib(starts)
    for i, (name, start) in enumerate(starts.items()):
        if i:
            axes.axvline(start, color="#999999", linewidth=0.8, linestyle=":")
        place = (start if i else rows[0][KEY] + 1, 0.98)
        axes.annotate(
            shown[name], place, xycoords=("data", "axes fraction"), xytext=(2, 0), textcoords="offset points",
            rotation=90, va="top", color="#777777", fontsize=8, family=families, parse_math=False,
        )  # fmt: skip


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG, whole or not at all."""
    with atomic_write(path, "wb") as stream:
        figure.savefig(stream, format="png", dpi=130)
    return path
