"""Everything the report shows, as one plain tree: figures, curves, errors, slices, images, training, provenance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bdd_inst.base.csv_log import CsvLog, points
from bdd_inst.evaluation import bdd, tables, tide
from bdd_inst.evaluation.analysis import Analysis
from bdd_inst.evaluation.compare import Difference
from bdd_inst.evaluation.confusion import matrix_from
from bdd_inst.evaluation.curves import MEAN, pr_curves
from bdd_inst.evaluation.evaluation_result import EvaluationResult
from bdd_inst.report.many_classes import MOST_CLASSES, curves_shown, matrix_shown

PROTOCOLS = {
    "coco": "COCO protocol",
    "bdd": "BDD100K protocol, masks without overlaps",
    "both": "COCO and BDD100K protocols side by side",
    "label-map": "label maps",
}


def protocol_text(protocol: str) -> str:
    """What figures are taken by, in words; of a user's own protocol its name."""
    return PROTOCOLS.get(protocol, f"the protocol {protocol}")


def report_tree(outcome: EvaluationResult) -> dict:
    """The parts that follow from an outcome alone; images, training, comparison and provenance are added by the caller."""
    metrics = outcome.metrics
    protocol = metrics["protocol"]
    main = "coco" if protocol == "both" else protocol
    blocks = [
        {
            "name": f"{tables.PROTOCOL_NAMES.get(p, p)} {tables.NAMES[kind]}",
            "figures": figures,
            "main": p == main and kind == first_kind(outcome),
        }
        for p, kind, figures in tables.blocks(metrics)
    ]
    kinds = {analysis.kind: kind_tree(outcome, analysis) for analysis in outcome.analyses.values()}
    return {
        "protocol_text": protocol_text(protocol),
        "classes": list(outcome.truth.class_names)
        or (metrics.get("label_map") or metrics.get("sem_seg") or {})
        .get("confusion", {})
        .get("classes", [])[1:],
        "tiles": tiles(outcome),
        "blocks": blocks,
        "notes": list(metrics.get("notes", ())),
        "mended": list(bdd.MENDED) if "mended" in metrics else [],
        "label_map": label_map_tree(metrics),
        "panoptic": panoptic_tree(metrics),
        "kinds": kinds,
        "first_kind": first_kind(outcome),
        "gallery": [],
        "drawn": [],
        "gallery_threshold": round(
            next(
                (a.threshold for a in outcome.analyses.values() if a.kind == first_kind(outcome)),
                0.5,
            ),
            2,
        ),
    }


def label_map_tree(metrics: dict) -> dict | None:
    """Pixel-wise figures under the names that the page shows: those of instances combined into maps, else a pixel-wise model's."""
    if "label_map" in metrics or "sem_seg" not in metrics:
        return _fitted(metrics.get("label_map"))
    block = _fitted(metrics["sem_seg"])
    how = "Dice = 2 IoU / (1 + IoU), derived from IoU; means leave background out, pixel accuracy keeps it"
    if "threshold" in block:
        how = f"pixels of a probability of at least {block['threshold']:.2f}. {how}"
    return block | {"mDice": block["Dice"], "accuracy": block["pACC"], "how": how}


def _fitted(block: dict | None) -> dict | None:
    """Pixel-wise figures with a confusion matrix that fits on the page."""
    if block is None or "confusion" not in block:
        return block
    names = block["confusion"]["classes"]
    matrix = matrix_from(block["confusion"], len(names), "pixels")
    pixels, names = matrix_shown(matrix, names)
    return block | {"confusion": {"pixels": pixels, "classes": names}}


def panoptic_tree(metrics: dict) -> dict | None:
    """Panoptic quality by group and by class; None where it was not measured."""
    parts = tables.panoptic_blocks(metrics)
    if not parts:
        return None
    groups = []
    for protocol, found in parts:
        for suffix, word in (("", "all"), ("_th", "things"), ("_st", "stuff")):
            name = f"{tables.PROTOCOL_NAMES[protocol]}, {word}" if len(parts) > 1 else word
            groups.append([name, *(found[f"{c}{suffix}"] for c in tables.PANOPTIC)])
    block = parts[0][1]
    classes = []
    for name, counted in block["counts"].items():
        kind = "thing" if name in block["things"] else "stuff"
        row = [name, kind, *(block[f"{c}-{name}"] for c in tables.PANOPTIC)]
        classes.append([*row, *(counted[c] for c in ("hits", "missed", "false"))])
    return {"groups": groups, "classes": [row for row in classes if row[2] is not None]}


def first_kind(outcome: EvaluationResult) -> str:
    """Masks where there are any, else boxes."""
    return "segm" if "segm" in outcome.metrics else "bbox"


def tiles(outcome: EvaluationResult) -> list[dict]:
    """The headline figures."""
    metrics, out = outcome.metrics, []
    for kind in ("segm", "bbox"):
        if kind in metrics:
            word = "mask" if kind == "segm" else "box"
            out.append({"name": f"{word} AP", "value": metrics[kind].get("AP"), "main": not out})
            out.append({"name": f"{word} AP50", "value": metrics[kind].get("AP50")})
    if "panoptic_seg" in metrics:
        found = metrics["panoptic_seg"]
        out = (
            [{"name": "PQ", "value": found["PQ"], "main": True}]
            + [
                {"name": f"PQ of {word}", "value": found[key]}
                for key, word in (("PQ_th", "things"), ("PQ_st", "stuff"))
            ]
            + [tile | {"main": False} for tile in out]
        )
    map_block = label_map_tree(metrics)
    if map_block:
        out.append({"name": "label map mean IoU", "value": map_block["mIoU"], "main": not out})
        out += [
            {"name": word, "value": map_block[name], "main": False}
            for name, word in (("pACC", "pixel accuracy"), ("BoundaryIoU", "boundary IoU"))
            if map_block.get(name) is not None
        ]
    if len(outcome.truth.image_ids):
        counts = (
            ("pictures", outcome.truth.image_ids),
            ("objects", outcome.truth),
            ("detections", outcome.results),
        )
        out += [{"name": name, "text": f"{len(things):,}"} for name, things in counts]
    return out


def kind_tree(outcome: EvaluationResult, analysis: Analysis) -> dict:
    """Curves, classes, errors, confusions, calibration and slices of boxes or of masks."""
    scores, truth = outcome.scores[analysis.kind], outcome.truth
    content = analysis.as_dict(truth, 0)
    objects = np.bincount(
        truth.category[~(truth.crowd | truth.ignored)], minlength=len(truth.class_names)
    )
    best = {b.name: b for b in analysis.best}
    rows = []
    for k, name in enumerate(truth.class_names):
        row = [name, int(objects[k])]
        row += [
            scores.average_precision(category=k),
            scores.average_precision(0.5, category=k),
            scores.average_precision(0.75, category=k),
        ]
        row += [analysis.boundary.get(f"AP-{name}")] if analysis.boundary else []
        b = best.get(name)
        rows.append(
            row + ([b.score, 100 * b.f1, 100 * b.precision, 100 * b.recall] if b else [None] * 4)
        )
    tree = content["tide"]
    errors = [
        {
            "name": name,
            "cost": tree["cost"][name],
            "count": tree["count"].get(name),
            "description": tide.DESCRIPTIONS[name],
        }
        for name in tree["cost"]
    ]
    curves = curves_shown(pr_curves(scores, analysis.kind), truth.class_names, objects)
    matrix, matrix_names = matrix_shown(
        analysis.confusion.matrix, [*truth.class_names, "background"]
    )
    many = len(truth.class_names) > MOST_CLASSES
    return {
        "label": "Masks" if analysis.kind == "segm" else "Boxes",
        "curves": [curve_tree(curve) for curve in curves],
        "few": f"{MOST_CLASSES} of {len(truth.class_names)} classes" if many else "",
        "classes": rows,
        "boundary": bool(analysis.boundary),
        "tide": errors,
        "calibration": {
            "error": content["calibration"]["expected_error"],
            "bins": content["calibration"]["bins"],
        },
        "threshold": analysis.threshold,
        "confusion": matrix,
        "confusion_names": matrix_names,
        "slices": [
            [s.attribute, s.value, s.images, s.objects, s.ap, s.ap50, s.ar] for s in analysis.slices
        ],
    }


def curve_tree(curve: object) -> dict:
    """A PR curve, rounded to what a screen can show."""
    mean = curve.name == MEAN
    out = {
        "name": curve.name,
        "iou": round(curve.iou, 2),
        "mean": mean,
        "p": np.round(curve.precision, 4).tolist(),
    }
    return out if mean else out | {"s": np.round(np.maximum(curve.scores, 0), 3).tolist()}


def comparison_tree(rows: Sequence[Difference], first: str, second: str, kind: str) -> dict:
    """Two runs side by side; ``first`` and ``second`` are their names."""
    plain = [
        {
            name: getattr(r, name)
            for name in ("name", "first", "second", "difference", "low", "high", "certain")
        }
        for r in rows
    ]
    what = "masks" if kind == "segm" else "boxes"
    return {
        "first": first,
        "second": second,
        "rows": plain,
        "text": f"{what}, COCO protocol; paired bootstrap over images",
    }


def training_tree(folder: str | Path) -> dict | None:
    """Losses and validation AP of a run's folder (``training.csv``, ``evaluations.csv``); None without them."""
    rows = CsvLog(Path(folder, "training.csv")).rows()
    if not rows:
        return None
    names = [name for name in rows[-1] if "loss" in name]
    losses = [series(thinned(rows), name, name) for name in names]
    scores = CsvLog(Path(folder, "evaluations.csv")).rows()
    wanted = [
        name
        for name in (
            "panoptic_seg/PQ",
            "segm/AP",
            "segm/AP50",
            "bbox/AP",
            "bbox/AP50",
            "sem_seg/mIoU",
            "sem_seg/Dice",
        )
        if any(name in row for row in scores)
    ]
    return {
        "losses": [s for s in losses if s["xs"]],
        "scores": [series(scores, name, name) for name in wanted],
    }


def series(rows: Sequence[dict], name: str, label: str) -> dict:
    """One column over iterations; what is not a number is left out."""
    found = list(points(rows, name))
    return {"name": label, "xs": [x for x, _ in found], "ys": [round(y, 5) for _, y in found]}


def thinned(rows: Sequence[dict], most: int = 400) -> list[dict]:
    """Evenly chosen rows, as many as a chart can show."""
    step = max(1, -(-len(rows) // most))
    return list(rows[::step])
