"""What an evaluation leaves in its folder: ``metrics.json``, ``pr_curves.csv`` and ``pr_curves.png``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from bdd_inst.base.files import atomic_write
from bdd_inst.drawing.plot_key import add_key
from bdd_inst.evaluation.curves import MEAN, Curve, csv_rows
from bdd_inst.evaluation.sem_seg import SemSegCounter

# Classes in the image of the curves.
MOST_CURVES = 24


def write_metrics(metrics: dict, folder: str | Path) -> Path:
    """``metrics.json``: percent, unrounded, ``null`` where undefined.

    Args:
        metrics: what the file says.
        folder: where it goes.

    Returns:
        Its path.
    """
    path = Path(folder) / "metrics.json"
    with atomic_write(path) as stream:
        json.dump(metrics, stream, indent=2, allow_nan=False)
        stream.write("\n")
    return path


def write_analysis(parts: list[dict], folder: str | Path) -> Path:
    """``analysis.json``: by kind, what :mod:`analysis` found."""
    path = Path(folder) / "analysis.json"
    with atomic_write(path) as stream:
        json.dump({part["kind"]: part for part in parts}, stream, indent=1, allow_nan=False)
        stream.write("\n")
    return path


def write_curves(curves: list[Curve], folder: str | Path) -> tuple[Path, Path]:
    """``pr_curves.csv`` with every class and IoU threshold, and ``pr_curves.png`` of those at IoU 0.5."""
    table, image = Path(folder) / "pr_curves.csv", Path(folder) / "pr_curves.png"
    with atomic_write(table) as stream:
        csv.writer(stream, lineterminator="\n").writerows(csv_rows(curves))
    with atomic_write(image, "wb") as stream:
        draw_curves(curves, stream)
    return table, image


def write_sem_seg(counter: SemSegCounter, folder: str | Path) -> tuple[Path, Path]:
    """``sem_seg.csv``, a row a class, and ``sem_seg_pictures.csv``, a row an image; percent, unrounded, empty where undefined."""
    figures, table, images = (
        counter.figures(),
        Path(folder) / "sem_seg.csv",
        Path(folder) / "sem_seg_pictures.csv",
    )
    columns = ("IoU", "Dice", "ACC", "BoundaryIoU")
    with atomic_write(table) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["class", "pixels", *columns])
        for name, pixels in zip(counter.names, counter.confusion.sum(axis=1).tolist(), strict=True):
            writer.writerow(
                [name, pixels, *(figures.get(f"{column}-{name}") for column in columns)]
            )
    with atomic_write(images) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["picture", "mIoU", "BoundaryIoU"])
        writer.writerows(row.values() for row in counter.worst(len(counter.images)))
    return table, images


def draw_curves(curves: list[Curve], stream: object) -> None:
    """A panel for boxes and one for masks: precision over recall at IoU 0.5, classes and the mean, AP50 in the key.

    Of more than MOST_CURVES classes those of the highest and of the lowest AP50 are drawn: more than a dozen lines of each are a tangle,
    and a key of a thousand rows is a file of megabytes.
    """
    from matplotlib.figure import Figure

    kinds = list(dict.fromkeys(c.kind for c in curves)) or ["bbox"]
    figure = Figure(figsize=(6.4 * len(kinds), 5.2), layout="constrained")
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        shown = [c for c in curves if c.kind == kind and abs(c.iou - 0.5) < 1e-6]
        mean = [c for c in shown if c.name == MEAN]
        ranked = sorted((c for c in shown if c.name != MEAN), key=lambda c: -c.average)
        title, half = "AP50", MOST_CURVES // 2
        if len(ranked) > MOST_CURVES:
            title = f"AP50: {half} best, {half} worst of {len(ranked)}"
            ranked = ranked[:half] + ranked[-half:]
        worst = {c.name for c in ranked[half:]} if title != "AP50" else ()
        rows = []
        for curve in mean + ranked:
            style = {"linewidth": 1.3, "linestyle": "--" if curve.name in worst else "-"}
            if curve.name == MEAN:
                style = {"color": "black", "linewidth": 2.4}
            (line,) = axes.plot(curve.recall, curve.precision, **style)
            rows.append((line, f"{curve.name}  {curve.average:.1f}"))
        name = f"{'masks' if kind == 'segm' else 'boxes'}, IoU 0.50"
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title=name)
        axes.grid(alpha=0.25)
        add_key(axes, rows, title, size=8 if len(rows) < 20 else 6, loc="lower left")
    figure.savefig(stream, format="png", dpi=130)
