"""COCO results files: pictures and classes are matched to the ground truth, and every entry is proved sound."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from bdd_inst import formats
from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.base.memory import gc_paused
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.result_pictures import match_pictures
from bdd_inst.evaluation.results import Results
from bdd_inst.formats.coco_entries import key_of, strict_results
from bdd_inst.formats.coco_segmentation import as_parts
from bdd_inst.formats.sniff import Found, seen
from bdd_inst.masks import rasterize, run_lengths
from bdd_inst.masks.outlines import Outline
from bdd_inst.masks.rle_check import rle_faults


def read_results(path: str | Path | Found, truth: GroundTruth) -> Results:
    """A COCO results list (``image_id, category_id, score``, ``bbox`` and/or ``segmentation``) on the pictures of ``truth``.

    Pictures are matched by id; classes by id, and by name where the file says ``category_name``: the two must agree.

    Raises:
        DataError: for anything that the protocol has no answer to, naming file and entry.
    """
    found = path if isinstance(path, Found) else formats.inspect(path, "coco-results")
    source = str(found.path)
    with gc_paused():
        rows = read_columns(found)

    def where(n: int) -> str:
        return f"{source}: entry {n + 1} (picture {rows.image_ids[n]!r})"

    problems = ProblemLog()
    image = match_pictures(rows.image_ids, rows.file_names, truth, source, problems)
    category = match_classes(rows, truth, source)
    scores = np.array(rows.scores, np.float64)
    refuse(~np.isfinite(scores), where, "its score is not a finite number")
    boxes = check_boxes(rows, where, problems)
    masks = check_masks(rows, truth.sizes[image], where, problems)
    if len(scores) and boxes is None and masks is None:
        raise DataError(
            f"{source}: its entries have neither bbox nor segmentation; there is nothing to score"
        )
    results = Results(image, category, scores, boxes, masks, source, problems)
    note_duplicates(results)
    return results


@dataclass
class Columns:
    """A results file by column, as it stands; ``boxes`` four numbers an entry (NaN where there is none)."""

    image_ids: list[int | str] = field(default_factory=list)
    category_ids: list[int] = field(default_factory=list)
    scores: array = field(default_factory=lambda: array("d"))
    boxes: array = field(default_factory=lambda: array("d"))
    boxless: set[int] = field(default_factory=set)
    masks: list[dict | None] = field(default_factory=list)
    file_names: dict[int, str] = field(default_factory=dict)
    category_names: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.scores)


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
            mask["size"] = sizes.setdefault(
                (size[0], size[1]), size
            )  # one list a size, not one a mask
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


def check_masks(
    rows: Columns, sizes: np.ndarray, where: Callable[[int], str], problems: ProblemLog
) -> list[dict | None] | None:
    """N compressed RLE dicts with str counts, None where an entry has none (counted); None where no entry has a mask.

    Raises:
        DataError: a damaged mask, which the usual tools would score as another one.
    """
    if not len(rows):
        return []
    masks = [
        as_mask(mask, sizes[n], where, n) if mask else None for n, mask in enumerate(rows.masks)
    ]
    there = [n for n, mask in enumerate(masks) if mask is not None]
    refuse_unsound([masks[n] for n in there], sizes[there], lambda i: where(there[i]))
    lacking = [n for n, mask in enumerate(masks) if mask is None]
    if lacking and (there or any(mask is not None for mask in rows.masks)):
        if len(rows.boxless) == len(rows):
            raise DataError(f"{where(lacking[0])}: it has neither bbox nor segmentation")
        message = "predictions with a box but no mask: left out of the mask scores"
        problems.add("prediction-without-mask", where(lacking[0]), message, count=len(lacking))
    return masks if there else None


def as_mask(mask: Any, size: np.ndarray, where: Callable[[int], str], n: int) -> dict:
    """An entry's segmentation, RLE or polygons, as RLE; DataError for what is neither."""
    if isinstance(mask, list):
        return rasterized(mask, size, where(n))
    own = mask.get("size") if isinstance(mask, dict) else None
    if type(own) is not list or len(own) != 2 or type(own[0]) is not int or type(own[1]) is not int:
        raise DataError(f"{where(n)}: its segmentation is no RLE: size must be [height, width]")
    counts = mask.get("counts")
    if type(counts) is str and counts[:2] not in ("b'", 'b"'):
        return mask
    if not isinstance(counts, list | str):
        raise DataError(
            f"{where(n)}: its segmentation is no RLE: counts must be a string or a list of runs"
        )
    try:
        return run_lengths.normalize(mask)
    except DataError as error:
        raise DataError(f"{where(n)}: {error}") from None


def refuse_unsound(rles: Sequence[dict], sizes: np.ndarray, where: Callable[[int], str]) -> None:
    """DataError for the first compressed RLE that is not of its image's size (N,2; 0, 0 where unknown), or does not cover it."""
    if not rles:
        return
    own = np.array([rle["size"] for rle in rles], np.int64)
    wrong = np.flatnonzero((own != sizes).any(axis=1) & (sizes > 0).all(axis=1))
    if wrong.size:
        i = int(wrong[0])
        raise DataError(
            f"{where(i)}: its RLE is for a picture of height x width {own[i, 0]}x{own[i, 1]}, "
            f"but the picture is {sizes[i, 0]}x{sizes[i, 1]}; export the masks at the picture's size"
        )
    faults = rle_faults(rles)
    if faults:
        first = min(faults)
        raise DataError(f"{where(first)}: {faults[first]}; export the masks again")


def rasterized(polygons: list, size: np.ndarray, where: str) -> dict:
    """Polygons as RLE by COCO's rule."""
    height, width = (int(side) for side in size)
    if not height or not width:
        raise DataError(f"{where}: its polygons need the picture's size; give --images")
    try:
        paths = [Outline.from_coco(part) for part in as_parts(polygons)]
        return rasterize.polygons_to_rle(paths, height, width, rule="coco")
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def note_duplicates(results: Results) -> None:
    """Count entries that repeat another one wholly; COCO's protocol counts each repetition as a false detection."""
    columns = [results.image, results.category, results.scores]
    columns += list(results.boxes.T) if results.boxes is not None else []
    table = np.stack([np.asarray(c, np.float64) for c in columns], axis=1)
    if len(table) < 2:
        return
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
