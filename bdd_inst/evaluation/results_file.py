"""COCO results files: images and classes are matched to the ground truth, and every entry is proved sound."""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import nan
from pathlib import Path

import numpy as np

from bdd_inst import formats
from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.base.memory import gc_paused
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.result_images import match_images
from bdd_inst.evaluation.results import Results
from bdd_inst.evaluation.results_columns import Columns
from bdd_inst.evaluation.results_masks import scored_masks
from bdd_inst.formats.coco_entries import key_of, strict_results
from bdd_inst.formats.signs import seen
from bdd_inst.formats.sniff import Found


def read_results(path: str | Path | Found, truth: GroundTruth) -> Results:
    """A COCO results list (``image_id, category_id, score``, ``bbox`` and/or ``segmentation``).

    Images are matched by id; classes by id, and by name where the file says ``category_name``: the two must agree.

    Args:
        path: the file, or what :func:`formats.inspect` found there, whose text is let go of.
        truth: the images and classes that they are predictions for.

    Returns:
        Flat columns: image and class as indices of the truth's, scores, boxes N,4 (x, y, width, height in pixels) and masks as RLEs, None
        where the file has none.

    Raises:
        DataError: for anything that the protocol has no answer to, naming file and entry.
    """
    found = path if isinstance(path, Found) else formats.inspect(path, "coco-results")
    source = str(found.path)
    with gc_paused():
        rows = read_columns(found)

    def where(n: int) -> str:
        return f"{source}: entry {n + 1} (image {rows.image_ids[n]!r})"

    problems = ProblemLog()
    image = match_images(
        rows.image_ids, rows.file_names, truth=truth, source=source, problems=problems
    )
    category = match_classes(rows, truth, source)
    scores = np.array(rows.scores, np.float64)
    refuse(~np.isfinite(scores), where, "its score is not a finite number")
    boxes = check_boxes(rows, where, problems)
    masks = scored_masks(rows, truth, sizes=truth.sizes[image], where=where, problems=problems)
    if len(scores) and boxes is None and masks is None:
        raise DataError(
            f"{source}: its entries have neither bbox nor segmentation; there is nothing to score"
        )
    results = Results(
        image,
        category=category,
        scores=scores,
        boxes=boxes,
        masks=masks,
        source=source,
        problems=problems,
    )
    note_duplicates(results)
    return results


def read_columns(found: Found) -> Columns:
    """Parse the file entry by entry: only columns and masks are kept, so memory is little more than the masks'."""
    path, entries, found.top = found.path, found.top, None
    if not isinstance(entries, list):
        raise DataError(f"{path}: not a COCO results list: {seen(entries)}")
    out = Columns()
    sizes: dict[tuple, list[int]] = {}
    for n, row in enumerate(strict_results(entries, str(path))):
        out.image_ids.append(key_of(row.image_id))
        out.category_ids.append(row.category_id)
        out.scores.append(row.score)
        if row.bbox is None:
            out.boxless.add(n)
            out.boxes.extend((nan, nan, nan, nan))
        else:
            out.boxes.extend(row.bbox)
        mask = row.segmentation
        if (
            isinstance(mask, dict)
            and type(size := mask.get("size")) is list
            and len(size) == 2
            and type(size[0]) is type(size[1]) is int
        ):
            # One list a size, not one a mask: half a million of them would cost more than the masks' text.
            mask["size"] = sizes.setdefault((size[0], size[1]), size)
        out.masks.append(mask)
        if row.file_name is not None:
            out.file_names[n] = sys.intern(row.file_name)
        if row.category_name is not None:
            out.category_names[n] = sys.intern(row.category_name)
    return out


def refuse(bad: np.ndarray, where: Callable[[int], str], message: str) -> None:
    """DataError for the first entry that is ``bad`` (N bool), with the number of such entries."""
    if bad.any():
        also = f" ({int(bad.sum())} entries like this)" if bad.sum() > 1 else ""
        raise DataError(f"{where(int(np.flatnonzero(bad)[0]))}: {message}{also}")


def match_classes(rows: Columns, truth: GroundTruth, source: str) -> np.ndarray:
    """N int64: positions of the rows' classes."""
    position = {category_id: k for k, category_id in enumerate(truth.category_ids)}
    found = np.array(
        [position.get(category_id, -1) for category_id in rows.category_ids], np.int64
    ).reshape(-1)
    if (found < 0).any():
        n = int(np.flatnonzero(found < 0)[0])
        known = ", ".join(
            f"{i} {name}" for i, name in list(zip(truth.category_ids, truth.class_names))[:12]
        )
        more = " ..." if len(truth.class_names) > 12 else ""
        category = rows.category_ids[n]
        raise DataError(
            f"{source}: entry {n + 1}: category_id {category} is not in the ground truth, which has {known}{more}"
        )
    for n, name in rows.category_names.items():
        own = truth.class_names[found[n]]
        if name != own:
            raise DataError(
                f"{source}: entry {n + 1}: category_id {rows.category_ids[n]} is {own!r} in the ground truth but {name!r} "
                "in the predictions; the class numbers of the two files differ"
            )
    return found


def check_boxes(
    rows: Columns, where: Callable[[int], str], problems: ProblemLog
) -> np.ndarray | None:
    """N,4 float64 x, y, w, h; None where no row has a box."""
    if rows.boxless:
        if len(rows.boxless) == len(rows):
            return None
        raise DataError(
            f"{where(min(rows.boxless))}: it has no bbox, though other entries have one"
        )
    boxes = np.array(rows.boxes, np.float64).reshape(-1, 4)
    refuse(~np.isfinite(boxes).all(axis=1), where, "its bbox is not finite")
    refuse(
        (boxes[:, 2:] < 0).any(axis=1),
        where,
        "its bbox has a negative width or height; COCO's boxes are [x, y, width, height]",
    )
    flat = (boxes[:, 2:] == 0).any(axis=1)
    if flat.any():
        example = where(int(np.flatnonzero(flat)[0]))
        problems.add(
            "empty-box",
            example,
            "a predicted box without area matches nothing and counts as false",
            count=int(flat.sum()),
        )
    return boxes


def note_duplicates(results: Results) -> None:
    """Count entries that repeat another one wholly; COCO's protocol counts each repetition as a false detection."""
    columns = [results.image, results.category, results.scores]
    columns += list(results.boxes.T) if results.boxes is not None else []
    table = np.stack([np.asarray(c, np.float64) for c in columns], axis=1)
    if len(table) < 2:
        return
    # Sorted, equal entries stand together: a comparison of neighbors finds them all.
    order = np.lexsort(table.T)
    same = (table[order][1:] == table[order][:-1]).all(axis=1)
    pairs = np.flatnonzero(same)
    if results.masks is not None:
        pairs = np.array(
            [p for p in pairs if results.masks[order[p]] == results.masks[order[p + 1]]], np.int64
        )
    if len(pairs):
        example = f"{results.source}: entry {order[pairs[0] + 1] + 1}"
        message = "wholly repeats another entry; each repetition counts as a false detection (were two files joined?)"
        results.problems.add("repeated-entry", example, message, count=len(pairs))
