"""COCO results files, read strictly: pictures and classes are matched to the ground truth, and every entry is proved sound."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bdd_inst.errors import DataError, ProblemLog
from bdd_inst.evaluation.coco_files import ResultRow, decode, no_collection
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.names import PictureNames
from bdd_inst.evaluation.results import Results
from bdd_inst.evaluation.rle_check import check_rles
from bdd_inst.geometry import rle as rle_tools


def read_results(path: str | Path, truth: GroundTruth) -> Results:
    """A COCO results list (``image_id, category_id, score``, ``bbox`` and/or ``segmentation``) on the pictures of ``truth``.

    Pictures are matched by id; classes by id, and by name where the file says ``category_name``: the two must agree.

    Raises:
        DataError: for anything that the protocol has no answer to, naming file and entry.
    """
    path = Path(path)
    with no_collection():
        rows = decode(path, list[ResultRow], "a COCO results list")
        return from_rows(rows, truth, str(path))


def from_rows(rows: Sequence[ResultRow], truth: GroundTruth, source: str) -> Results:
    """Rows of a results file as columns; see :func:`read_results`."""

    def where(n: int) -> str:
        return f"{source}: entry {n + 1} (picture {rows[n].image_id!r})"

    problems = ProblemLog()
    image = match_pictures(rows, truth, source, problems)
    category = match_classes(rows, truth, source)
    scores = np.fromiter((row.score for row in rows), np.float64, len(rows))
    refuse(~np.isfinite(scores), where, "its score is not a finite number")
    boxes = read_boxes(rows, where, problems)
    masks = read_masks(rows, truth.sizes[image], where)
    if len(rows) and boxes is None and masks is None:
        raise DataError(f"{source}: its entries have neither bbox nor segmentation; there is nothing to score")
    results = Results(image, category, scores, boxes, masks, source, problems)
    note_duplicates(results)
    return results


def refuse(bad: np.ndarray, where: callable, message: str) -> None:
    """DataError for the first entry that is ``bad`` (N bool), with the number of such entries."""
    if bad.any():
        also = f" ({int(bad.sum())} entries like this)" if bad.sum() > 1 else ""
        raise DataError(f"{where(int(np.flatnonzero(bad)[0]))}: {message}{also}")


def match_pictures(rows: Sequence[ResultRow], truth: GroundTruth, source: str, problems: ProblemLog) -> np.ndarray:
    """N int64: positions of the rows' pictures, by id; file names that disagree are refused, or followed where no id fits."""
    index, names = truth.image_index(), PictureNames(truth.file_names)
    known = {name: names.find(name) for name in {row.file_name for row in rows} if name}
    found = [index.get(row.image_id, -1) for row in rows]
    named = [-1 if not row.file_name or known[row.file_name] is None else known[row.file_name] for row in rows]
    if found != named and min(named) >= 0 and (truth.numbered or min(found) < 0):
        # Where the ground truth has no ids of its own, or other ones, and every entry names its picture, names decide.
        problems.add("matched-by-name", source, "picture ids are not the ground truth's; pictures were matched by name", count=len(rows))
        return np.asarray(named, np.int64)
    for n, (by_id, by_name) in enumerate(zip(found, named, strict=True)):
        if by_id < 0 and isinstance(rows[n].image_id, str):
            by_id = found[n] = -1 if names.find(rows[n].image_id) is None else names.find(rows[n].image_id)
        if by_id < 0:
            raise DataError(f"{source}: entry {n + 1}: {unknown_picture(rows[n].image_id, truth)}")
        if 0 <= by_name != by_id:
            raise DataError(
                f"{source}: entry {n + 1}: image_id {rows[n].image_id!r} is {truth.file_names[by_id]} in the ground truth, "
                f"but the entry says {rows[n].file_name}; the ids do not belong together"
            )
    return np.asarray(found, np.int64).reshape(-1)


def unknown_picture(image_id: int | str, truth: GroundTruth) -> str:
    """What to say of a picture id that the ground truth does not have."""
    other = str(image_id) if isinstance(image_id, int) else (int(image_id) if image_id.lstrip("-").isdigit() else None)
    if other in truth.image_index():
        return f"image_id {image_id!r} is of another type than the ground truth's {other!r}; write it the same way"
    near = difflib.get_close_matches(str(image_id), [str(i) for i in truth.image_ids[:20000]], 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"picture {image_id!r} is not in the ground truth ({len(truth.image_ids)} pictures){hint}"


def match_classes(rows: Sequence[ResultRow], truth: GroundTruth, source: str) -> np.ndarray:
    """N int64: positions of the rows' classes."""
    position = {category_id: k for k, category_id in enumerate(truth.category_ids)}
    found = [position.get(row.category_id, -1) for row in rows]
    for n, k in enumerate(found):
        if k < 0:
            known = ", ".join(f"{i} {name}" for i, name in list(zip(truth.category_ids, truth.class_names))[:12])
            more = " ..." if len(truth.class_names) > 12 else ""
            category = rows[n].category_id
            raise DataError(f"{source}: entry {n + 1}: category_id {category} is not in the ground truth, which has {known}{more}")
        name = rows[n].category_name
        if name is not None and name != truth.class_names[k]:
            raise DataError(
                f"{source}: entry {n + 1}: category_id {rows[n].category_id} is {truth.class_names[k]!r} in the ground truth but {name!r} "
                "in the predictions; the class numbers of the two files differ"
            )
    return np.asarray(found, np.int64).reshape(-1)


def read_boxes(rows: Sequence[ResultRow], where: callable, problems: ProblemLog) -> np.ndarray | None:
    """N,4 float64 x, y, w, h; None where no row has a box."""
    lacking = np.fromiter((row.bbox is None for row in rows), bool, len(rows))
    if lacking.all() and len(rows):
        return None
    refuse(lacking, where, "it has no bbox, though other entries have one")
    boxes = np.array([row.bbox for row in rows], np.float64).reshape(-1, 4)
    refuse(~np.isfinite(boxes).all(axis=1), where, "its bbox is not finite")
    refuse((boxes[:, 2:] < 0).any(axis=1), where, "its bbox has a negative width or height; COCO's boxes are [x, y, width, height]")
    flat = (boxes[:, 2:] == 0).any(axis=1)
    if flat.any():
        example = where(int(np.flatnonzero(flat)[0]))
        problems.add("box-without-area", example, "a predicted box without area matches nothing and counts as false", count=int(flat.sum()))
    return boxes


def read_masks(rows: Sequence[ResultRow], sizes: np.ndarray, where: callable) -> list[dict] | None:
    """N compressed RLE dicts with str counts; None where no row has a mask."""
    lacking = np.fromiter((row.segmentation is None for row in rows), bool, len(rows))
    if lacking.all():
        return [] if not len(rows) else None
    refuse(lacking, where, "it has no segmentation (or null), though other entries have one")
    masks = [row.segmentation for row in rows]
    for n, mask in enumerate(masks):
        size, counts = mask.get("size"), mask.get("counts")
        if type(size) is not list or len(size) != 2 or type(size[0]) is not int or type(size[1]) is not int:
            raise DataError(f"{where(n)}: its segmentation is no RLE: size must be [height, width]")
        if type(counts) is not str:
            masks[n] = uncompressed(mask, sizes[n], where(n))
    check_rles(masks, sizes, where)
    return masks


def uncompressed(mask: dict, size: np.ndarray, where: str) -> dict:
    """An RLE with a list of counts as a compressed one."""
    if not isinstance(mask.get("counts"), list):
        raise DataError(f"{where}: its segmentation is no RLE: counts must be a string or a list of runs")
    try:
        return rle_tools.normalize(mask)
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
        pairs = np.array([p for p in pairs if results.masks[order[p]] == results.masks[order[p + 1]]], np.int64)
    if len(pairs):
        example = f"{results.source}: entry {order[pairs[0] + 1] + 1}"
        message = "wholly repeats another entry; each repetition counts as a false detection (were two files joined?)"
        results.problems.add("repeated-entry", example, message, count=len(pairs))
