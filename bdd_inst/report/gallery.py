"""Images for the report's gallery: small JPEGs with the outlines of labels and predictions, worst images first."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.evaluation.analysis import Analysis
from bdd_inst.evaluation.confusion import Confusion, confusion
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.matching import Pairs
from bdd_inst.evaluation.results import Results, group
from bdd_inst.evaluation.worst import RankedImage
from bdd_inst.images.read import read_bgr
from bdd_inst.masks import run_lengths
from bdd_inst.report.data_uri import as_jpeg

WIDTH = 800  # pixels of an image's longer side
DRAWN_WIDTH = 1800  # of image, labels and prediction side by side
QUALITY = 72
MOST_FOUND = 60  # predictions drawn an image, best scores first


def build_gallery(
    truth: GroundTruth,
    results: Results,
    analysis: Analysis,
    find: Callable[[int], Path | None],
    *,
    most: int,
    budget: int,
) -> list[dict]:
    """The worst images, with some spread over the rest, as plain dicts.

    Args:
        find: position -> the image's file, or None.
        most: images at most. budget: bytes at most, outlines included.
    """
    if analysis.kind == "segm":
        results = results.with_masks()
    owned, found = (
        group(truth.image, len(truth.image_ids)),
        group(results.image, len(truth.image_ids)),
    )
    # Paired with everything shown: detections choose in order of score, so a score limit only cuts the tail of these choices off.
    everything = confusion(truth, results, analysis.pairs, -np.inf)
    out, spent = [], 0
    for image in chosen(analysis.worst, most):
        i = image.position
        item = entry(
            truth,
            results,
            analysis=analysis,
            everything=everything,
            image=image,
            own=owned[i],
            mine=found[i],
            file=find(i),
        )
        size = len(item["image"] or "") + sum(
            len(o.get("path", "")) + 90 for o in (*item["truth"], *item["found"])
        )
        if spent + size > budget:
            break
        spent += size
        out.append(item)
    return out


def chosen(ranked: Sequence[RankedImage], most: int) -> list[RankedImage]:
    """Three quarters the worst, one quarter evenly spread over the rest, in order of badness."""
    if len(ranked) <= most:
        return list(ranked)
    head = most * 3 // 4
    rest = np.linspace(head, len(ranked) - 1, most - head).astype(int)
    return [*ranked[:head], *(ranked[i] for i in rest)]


def entry(
    truth: GroundTruth,
    results: Results,
    analysis: Analysis,
    *,
    everything: Confusion,
    image: RankedImage,
    own: np.ndarray,
    mine: np.ndarray,
    file: Path | None,
) -> dict:
    """One image with its objects in the pixels of the shown size.

    Of each prediction ``g`` is the place of the object that it found (-1: none, -2: one that counts neither way), ``near`` the places
    and IoUs of what it lies on otherwise, so that the page can tell right, false, confused and missed at every score limit.

    Args:
        truth, results, analysis, everything: of one evaluation.
        image: which image.
        own, mine: G and D int64, positions of its objects and detections.
        file: the image's, None where it is not to be found.
    """
    height, width = (int(v) for v in truth.sizes[image.position])
    shown, (height, width) = encode(file, height, width)
    scale = min(1.0, WIDTH / max(height, width))
    masks = analysis.kind == "segm"
    objects = [
        outline(truth.boxes[n], truth.rle(n) if masks else None, scale)
        | {"k": int(truth.category[n])}
        for n in own
    ]
    for n, item in zip(own, objects, strict=True):
        item |= {"ignored": True} if truth.crowd[n] or truth.ignored[n] else {}
    top = mine[np.argsort(-results.scores[mine], kind="stable")][:MOST_FOUND]
    near = neighbors(analysis.pairs, everything, top, own)
    predictions = []
    for n in top:
        mask = results.masks[n] if masks else None
        box = (
            results.boxes[n]
            if results.boxes is not None
            else np.array(xywh(run_lengths.to_bbox(mask)))
        )
        item = outline(box, mask, scale) | {
            "k": int(results.category[n]),
            "score": round(float(results.scores[n]), 4),
        }
        predictions.append(item | near[int(n)])
    return {
        "name": Path(truth.file_names[image.position]).name or str(truth.image_ids[image.position]),
        "width": max(1, round(width * scale)),
        "height": max(1, round(height * scale)),
        "image": shown,
        "reasons": image.reasons,
        "badness": image.badness,
        "truth": objects,
        "found": predictions,
    }


def neighbors(
    pairs: Pairs, everything: Confusion, top: np.ndarray, own: np.ndarray
) -> dict[int, dict]:
    """``g`` and ``near`` of each prediction (see :func:`entry`); ``top`` D and ``own`` G int64: positions of those shown."""
    place = {int(n): i for i, n in enumerate(own)}
    codes = {"ignored": -2, "false": -1, "confused": -1}
    out = {}
    for n in top.tolist():
        verdict = str(everything.verdict[n])
        out[n] = {"g": codes[verdict] if verdict in codes else place[int(everything.partner[n])]}
    wrong = [n for n in top.tolist() if out[n]["g"] == -1]
    for p in np.flatnonzero(np.isin(pairs.found, wrong) & (pairs.iou >= everything.iou)).tolist():
        out[int(pairs.found[p])].setdefault("near", []).append(
            [place[int(pairs.object[p])], round(float(pairs.iou[p]), 3)]
        )
    return out


def xywh(box: Sequence[float]) -> list[float]:
    """x1, y1, x2, y2 -> x, y, w, h."""
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def drawn_images(files: Sequence[Path], budget: int) -> list[dict]:
    """Images that are drawn already, as plain dicts.

    Args:
        files: those that are not there are passed over.
        budget: bytes at most.
    """
    out, spent = [], 0
    for file in files:
        image = encode(file, 0, 0, DRAWN_WIDTH)[0] if os.path.isfile(file) else None
        spent += len(image or "")
        if spent > budget:
            break
        if image is not None:
            out.append({"name": file.stem, "image": image})
    return out


def encode(
    file: Path | None, height: int, width: int, longest: int = WIDTH
) -> tuple[str | None, tuple[int, int]]:
    """The image as a data URI, its longer side at most ``longest`` pixels, and its own height and width; None where it cannot be read."""
    try:
        image = read_bgr(file) if file is not None else None
    except DataError:
        image = None
    if image is None:
        return None, (height or 1, width or 1)
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    return as_jpeg(image, scale=scale, quality=QUALITY), (height, width)


def outline(box: np.ndarray, mask: dict | None, scale: float) -> dict:
    """``box`` x, y, w, h (float64) and, of masks, ``path``: an SVG path around it, in shown pixels."""
    out = {"box": [round(float(v) * scale, 1) for v in box]}
    path = svg_path(mask, scale) if mask is not None else ""
    return out | ({"path": path} if path else {})


def svg_path(mask: dict, scale: float) -> str:
    """The outlines of a mask (holes too) as an SVG path, simplified to less than a shown pixel."""
    x1, y1, x2, y2 = (int(v) for v in run_lengths.to_bbox(mask))
    if x2 <= x1 or y2 <= y1:
        return ""
    crop = np.ascontiguousarray(run_lengths.decode(mask)[y1:y2, x1:x2]).astype(np.uint8)
    contours, _ = cv2.findContours(crop, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parts = []
    for contour in contours:
        simple = cv2.approxPolyDP(contour, 0.8 / scale, True).reshape(-1, 2)
        points = ((simple + np.array([x1 + 0.5, y1 + 0.5])) * scale).round(1)
        if len(points) > 2:
            parts.append("M" + "L".join(f"{x:g} {y:g}" for x, y in points.tolist()) + "Z")
    return "".join(parts)
