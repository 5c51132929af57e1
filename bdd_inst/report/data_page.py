"""The check of a data set as one offline HTML page: verdict, problems, statistics, and images as the model will see them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.base.problems import SEVERITIES, problem
from bdd_inst.checks.run import CheckResult, Split
from bdd_inst.checks.statistics import FLAGS, LARGE, SIZES, SMALL, Statistics
from bdd_inst.config.loading import load_cfg
from bdd_inst.formats.plan import make_plan
from bdd_inst.formats.write_dicts import DictsTarget
from bdd_inst.images.finder import ImageFinder
from bdd_inst.report.data_uri import as_jpeg, as_png

log = logging.getLogger(__name__)

# Cases of one problem that the page lists; problems.csv has them all.
MOST_CASES = 200
WIDEST = 1100


def write_page(result: CheckResult, folder: Path, *, config: str, samples: int = 6) -> Path:
    """Write ``data.html`` into ``folder`` and return its path.

    Images are shown of splits that have a folder of them.

    Args:
        result: of a check.
        folder: where it goes.
        config: whose mapper and model show the sample images.
        samples: how many images are shown.

    Returns:
        the page's path.
    """
    from jinja2 import Environment, select_autoescape

    environment = Environment(
        autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        resources.files("bdd_inst.report")
        .joinpath("templates/data_page.html")
        .read_text(encoding="utf-8")
    )
    inspected, notes = _samples(result, config, samples) if samples else ([], [])
    html = template.render(
        title=", ".join(split.name for split in result.splits),
        failed=result.failed,
        number={severity: result.findings.of(severity) for severity in SEVERITIES},
        problems=_problems(result),
        splits=[_split(split) for split in result.splits],
        samples=inspected,
        notes=notes,
        config=os.path.basename(config),
        size_names=SIZES,
    )
    path = Path(folder) / "data.html"
    with atomic_write(path) as stream:
        stream.write(html)
    return path


def _problems(result: CheckResult) -> list[dict[str, Any]]:
    out = []
    for code in result.findings.codes():
        row = problem(code)
        out.append(
            {
                "severity": row.severity,
                "code": code,
                "count": result.findings.counts[code],
                "advice": row.advice,
                "cases": result.findings.kept.get(code, [])[:MOST_CASES],
            }
        )
    return out


def _split(split: Split) -> dict[str, Any]:
    """What the page says of one split."""
    found = split.statistics
    classes = []
    most = max((counts.objects for counts in found.classes.values()), default=1)
    for name, counts in found.by_frequency():
        share = 100 * counts.objects / max(1, found.objects)
        classes.append(
            {"name": name, "counts": counts, "bar": 100 * counts.objects / most, "share": share}
        )
    # A value for each image (a file name, a time) is no attribute to draw bars of.
    values_of = sorted(found.attributes.items())
    attributes = [
        (key, values.most_common(12), sum(values.values()))
        for key, values in values_of
        if len(values) <= 100
    ]
    return {
        "name": split.name,
        "kind": split.labels.kind,
        "rule": split.labels.rule,
        "source": split.labels.source,
        "images": split.images,
        "notes": split.labels.notes,
        "found": found,
        "classes": classes,
        "sizes": found.image_sizes.most_common(6),
        "per_image": _binned(found),
        "areas": _areas(found),
        "attributes": attributes,
        "flags": [flag for flag in FLAGS if found.flag_total(flag)],
    }


@dataclass(slots=True)
class Bar:
    """One bar of a histogram: its label, its count, its height in percent of the highest."""

    label: str
    count: int
    height: float
    group: str = ""


def _bars(items: Sequence[tuple[str, int, str]]) -> list[Bar]:
    most = max((count for _, count, _ in items), default=0) or 1
    return [Bar(label, count, 100 * count / most, group) for label, count, group in items]


def _binned(found: Statistics, most: int = 30) -> list[Bar]:
    """Images by their number of objects, in at most so many bins."""
    if not found.per_image:
        return []
    step = max(1, -(-(max(found.per_image) + 1) // most))
    bins: dict[int, int] = {}
    for number, images in found.per_image.items():
        bins[number // step] = bins.get(number // step, 0) + images
    label = (lambda b: str(b)) if step == 1 else (lambda b: f"{b * step}-{b * step + step - 1}")
    return _bars([(label(b), bins.get(b, 0), "") for b in range(max(bins) + 1)])


def _areas(found: Statistics) -> list[Bar]:
    """Objects by area, logarithmic, each bin with the COCO range that its middle lies in."""
    counts, edges = found.area_histogram()
    items = []
    for count, low, high in zip(counts, edges, edges[1:]):
        middle = (low * high) ** 0.5
        label = f"{low:.0f} to {high:.0f} px, {low**0.5:.0f} to {high**0.5:.0f} px wide"
        items.append((label, count, SIZES[(middle >= SMALL) + (middle >= LARGE)]))
    return _bars(items)


def _samples(
    result: CheckResult, config: str, number: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """Sample images of all splits, shared out evenly, and what there is to say about them."""
    with_images = [split for split in result.splits if split.images is not None]
    if not with_images:
        return [], ["No folder of images was given (--images), so none are shown."]
    out, notes = [], []
    for split in with_images:
        share = max(1, number // len(with_images))
        records, names = _records(split, share)
        try:
            inspector = _inspector(config, names)
        except DataError as error:
            return out, [*notes, f"No images are shown: {error}"]
        if not inspector.weighted and not notes:
            notes.append(
                "The config's weights are not on this machine, so proposals are stand-ins: boxes drawn at random, nine in ten around an "
                "object. Anchors, their matching and the draw of RoIs are the model's own."
            )
        for place, record in enumerate(records):
            try:
                out.append(_shown(inspector.look(record, seed=place), split.name))
            except DataError as error:
                notes.append(f"{record['file_name']}: {error}")
    return out, notes


def _inspector(config: str, names: Sequence[str]):
    from bdd_inst.modeling.meta.mask_rcnn import build_mask_rcnn
    from bdd_inst.report.inspection import Inspector

    cfg = load_cfg(
        config,
        ["MODEL.ROI_HEADS.NUM_CLASSES", str(max(1, len(names))), "INPUT.MASK_FORMAT", "bitmask"],
    )
    model = build_mask_rcnn(cfg)
    weights = cfg.MODEL.WEIGHTS
    weighted = bool(weights) and os.path.isfile(weights)
    if weighted:
        from bdd_inst.weights.checkpoint import load_weights

        load_weights(model, weights, cfg)
    return Inspector(cfg, model, names, weighted=weighted)


def _records(split: Split, number: int) -> tuple[list[dict], tuple[str, ...]]:
    """Dataset dicts of a few images, from the one with most objects down to one with few, and the class names."""
    finder = ImageFinder(split.images)
    usable = {name for name, state in split.states.items() if not state.fault}
    counts = [
        (len(p.instances), place)
        for place, p in enumerate(split.labels.images)
        if p.instances and p.name in usable
    ]
    counts.sort(reverse=True)
    chosen = (
        {counts[round(q)][1] for q in np.linspace(0, len(counts) - 1, min(number, len(counts)))}
        if counts
        else set()
    )
    plan = make_plan(split.labels, split.labels.drawing_rule)
    target = DictsTarget(plan, Path("unused"), images=str(split.images))
    records = []
    for place, image in enumerate(split.labels.images):
        if place in chosen:
            image.height, image.width = finder.size(image)
            record = target.encode(image)
            if record is not None:
                records.append(record)
    return sorted(records, key=lambda r: -len(r["annotations"])), plan.categories


def _shown(sample, split: str) -> dict[str, Any]:
    views = [
        ("Ground truth", "resized, transformed and padded (hatched)", sample.ground_truth),
        ("Positive anchors", "colored by FPN level; objects in white", sample.anchors),
        ("RoIs", "positives in their class's color, negatives gray", sample.rois),
    ]
    return {
        "sample": sample,
        "split": split,
        "views": [
            (title, text, as_jpeg(view, scale=WIDEST / view.shape[1]))
            for title, text, view in views
        ],
        "crops": as_png(sample.crops) if sample.crops is not None else None,
    }
