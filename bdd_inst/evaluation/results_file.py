"""COCO results files, read strictly: pictures and classes are matched to the ground truth, and every entry is proved sound."""

from __future__ import annotations

import difflib
import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from math import nan
from pathlib import Path

import msgspec
import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.evaluation.coco_files import ResultRow
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.results import Results
from bdd_inst.evaluation.rle_check import check_rles
from bdd_inst.formats.json_files import decode, no_collection, place
from bdd_inst.formats.names import PictureNames
from bdd_inst.masks import rle as rle_tools


def read_results(path: str | Path, truth: GroundTruth) -> Results:
    """A COCO results list (``image_id, category_id, score``, ``bbox`` and/or ``segmentation``) on the pictures of ``truth``.

    Pictures are matched by id; classes by id, and by name where the file says ``category_name``: the two must agree.

    Raises:
        DataError: for anything that the protocol has no answer to, naming file and entry.
    """
    source = str(path)
    with no_collection():
        rows = read_columns(Path(path))

    def where(n: int) -> str:
        return f"{source}: entry {n + 1} (picture {rows.image_ids[n]!r})"

    problems = ProblemLog()
    image = match_pictures(rows, truth, source, problems)
    category = match_classes(rows, truth, source)
    scores = np.array(rows.scores, np.float64)
    refuse(~np.isfinite(scores), where, "its score is not a finite number")
    boxes = check_boxes(rows, where, problems)
    masks = check_masks(rows, truth.sizes[image], where)
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


def read_columns(path: Path) -> Columns:
    """Parse the file entry by entry: only columns and masks are kept, so memory is little more than the masks'."""
    entries = decode(path, list[msgspec.Raw], "a COCO results list")
    decoder, out = msgspec.json.Decoder(ResultRow), Columns()
    sizes: dict[tuple, list[int]] = {}
    for n, raw in enumerate(entries):
        try:
            row = decoder.decode(raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise DataError(
                f"{path}: not a COCO results list: entry {n + 1}, {place(str(error))}"
            ) from None
        out.image_ids.append(row.image_id)
        out.category_ids.append(row.category_id)
        out.scores.append(row.score)
        if row.bbox is None:
            out.boxless.add(n)
            out.boxes.extend((nan, nan, nan, nan))
        else:
            out.boxes.extend(row.bbox)
        mask = row.segmentation
        if (
            mask is not None
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


def match_pictures(
    rows: Columns, truth: GroundTruth, source: str, problems: ProblemLog
) -> np.ndarray:
    """N int64: positions of the rows' pictures, by id; file names that disagree are refused, or followed where no id fits."""
    index, names = truth.image_index(), PictureNames(truth.file_names)
    known = {name: names.find(name) for name in set(rows.file_names.values())}
    found = [index.get(image_id, -1) for image_id in rows.image_ids]
    named = [known.get(rows.file_names.get(n)) for n in range(len(rows))] if known else []
    if named and None not in named and found != named and (truth.numbered or min(found) < 0):
        # Where the ground truth has no ids of its own, or other ones, and every entry names its picture, names decide.
        problems.add(
            "matched-by-name",
            source,
            "picture ids are not the ground truth's; pictures were matched by name",
            count=len(rows),
        )
        return np.asarray(named, np.int64)
    for n in [n for n, position in enumerate(found) if position < 0]:
        by_name = names.find(rows.image_ids[n]) if isinstance(rows.image_ids[n], str) else None
        if by_name is None:
            raise DataError(f"{source}: entry {n + 1}: {unknown_picture(rows.image_ids[n], truth)}")
        found[n] = by_name
    for n, by_name in enumerate(named):
        if by_name is not None and by_name != found[n]:
            raise DataError(
                f"{source}: entry {n + 1}: image_id {rows.image_ids[n]!r} is {truth.file_names[found[n]]} in the ground truth, "
                f"but the entry says {rows.file_names[n]}; the ids do not belong together"
            )
    return np.asarray(found, np.int64).reshape(-1)


def unknown_picture(image_id: int | str, truth: GroundTruth) -> str:
    """What to say of a picture id that the ground truth does not have."""
    other = (
        str(image_id)
        if isinstance(image_id, int)
        else (int(image_id) if image_id.lstrip("-").isdigit() else None)
    )
    if other in truth.image_index():
        return f"image_id {image_id!r} is of another type than the ground truth's {other!r}; write it the same way"
    near = difflib.get_close_matches(str(image_id), [str(i) for i in truth.image_ids[:20000]], 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return (
        f"picture {image_id!r} is not in the ground truth ({len(truth.image_ids)} pictures){hint}"
    )


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
            "box-without-area",
            example,
            "a predicted box without area matches nothing and counts as false",
            count=int(flat.sum()),
        )
    return boxes


def check_masks(rows: Columns, sizes: np.ndarray, where: Callable[[int], str]) -> list[dict] | None:
    """N compressed RLE dicts with str counts; None where no row has a mask."""
    masks = rows.masks
    lacking = np.fromiter((mask is None for mask in masks), bool, len(masks))
    if lacking.all():
        return [] if not len(masks) else None
    refuse(lacking, where, "it has no segmentation (or null), though other entries have one")
    for n, mask in enumerate(masks):
        size, counts = mask.get("size"), mask.get("counts")
        if (
            type(size) is not list
            or len(size) != 2
            or type(size[0]) is not int
            or type(size[1]) is not int
        ):
            raise DataError(f"{where(n)}: its segmentation is no RLE: size must be [height, width]")
        if type(counts) is not str:
            masks[n] = uncompressed(mask, where(n))
    check_rles(masks, sizes, where)
    return masks


def uncompressed(mask: dict, where: str) -> dict:
    """An RLE with a list of counts as a compressed one."""
    if not isinstance(mask.get("counts"), list):
        raise DataError(
            f"{where}: its segmentation is no RLE: counts must be a string or a list of runs"
        )
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
        pairs = np.array(
            [p for p in pairs if results.masks[order[p]] == results.masks[order[p + 1]]], np.int64
        )
    if len(pairs):
        example = f"{results.source}: entry {order[pairs[0] + 1] + 1}"
        message = "wholly repeats another entry; each repetition counts as a false detection (were two files joined?)"
        results.problems.add("repeated-entry", example, message, count=len(pairs))
