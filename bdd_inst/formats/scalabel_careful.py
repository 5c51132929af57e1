"""Frames and labels that do not follow Scalabel's schema: as much of them as can be used, what cannot is counted and named."""

from __future__ import annotations

from typing import Any

import msgspec

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.json_files import describe
from bdd_inst.formats.poly2d import parse_poly2d
from bdd_inst.formats.reading import named_record
from bdd_inst.formats.records import BDD_SIZE, ImageLabels, Instance
from bdd_inst.masks import run_lengths

Size = tuple[int | None, int | None]


def careful_frame(
    raw: msgspec.Raw, where: str, log: ProblemLog, *, inclusive: bool, size: Size = (None, None)
) -> ImageLabels | None:
    """One frame; None where nothing of it can be used.

    ``inclusive``: boxes name their last pixel. ``size``: height and width of images that do not say theirs.
    """
    frame = named_record(raw, "name", where, log)
    if frame is None:
        return None
    where = f"{where} ({frame['name']})"
    own = frame.get("size") if isinstance(frame.get("size"), dict) else {}
    image = ImageLabels(
        name=frame["name"],
        width=fields.side(own.get("width")) or size[1],
        height=fields.side(own.get("height")) or size[0],
        attributes=fields.split_flags(frame.get("attributes"))[1],
        video=frame.get("videoName") if isinstance(frame.get("videoName"), str) else None,
        frame_index=frame.get("frameIndex") if isinstance(frame.get("frameIndex"), int) else None,
        labeled=isinstance(frame.get("labels"), list),
    )
    if frame.get("labels") is not None and not image.labeled:
        log.add(
            "bad-labels",
            where,
            f"labels is {describe(frame['labels'])}, not a list; the image counts as unlabeled",
        )
    for number, label in enumerate(frame["labels"] if image.labeled else []):
        instance = careful_label(
            label,
            f"{where}, label {_name(label, number)}",
            log=log,
            inclusive=inclusive,
            size=(image.height, image.width),
        )
        if instance is not None:
            image.instances.append(instance)
    return image


def _name(label: Any, number: int) -> str:
    """How messages call a label: its id, or its place."""
    own = fields.identity(label.get("id")) if isinstance(label, dict) else None
    return repr(own) if own is not None else f"#{number}"


def careful_label(
    label: Any, where: str, log: ProblemLog, inclusive: bool, size: Size
) -> Instance | None:
    """One label as plain objects; None where it is left out (counted in ``log``). ``size``: the image's h, w where known."""
    if not isinstance(label, dict):
        log.add("bad-label", where, f"{describe(label)} where a label should be; left out")
        return None
    try:
        category, score = fields.word(label.get("category")), fields.score_of(label.get("score"))
    except ValueError as error:
        log.add("bad-label", where, f"{error}; left out")
        return None
    flags, others = fields.split_flags(label.get("attributes"))
    if isinstance(label.get("index"), int):
        others["index"] = label["index"]
    out = Instance(
        category, score=score, id=fields.identity(label.get("id")), attributes=others, **flags
    )
    faults = 0
    if label.get("box2d") is not None:
        try:
            out.box = fields.corners_box(label["box2d"], inclusive=inclusive)
        except ValueError as error:
            faults += 1
            log.add("bad-box", where, f"{error}; box left out")
    for key in ("poly2d", "seg2d"):
        paths, sentences = parse_poly2d(label.get(key))
        faults += len(sentences)
        for sentence in sentences:
            log.add("bad-polygon", where, f"{sentence}; that part left out")
        if paths and not out.paths:
            out.paths = paths
    if label.get("rle") is not None:
        try:
            out.rle = _careful_rle(label["rle"], size)
        except DataError as error:
            faults += 1
            log.add("bad-rle", where, f"{error}; mask left out")
    if faults and out.box is None and not out.has_mask:
        log.add("bad-label", where, "nothing of its shape can be used; left out")
        return None
    return out


def _careful_rle(rle: Any, size: Size) -> dict:
    """An RLE in any spelling; a bare string or list takes the image's size, or BDD100K's where it adds up to that."""
    # Runs that do not add up to it are refused: a wrong guess does no harm.
    known = (size[0], size[1]) if size[0] and size[1] else BDD_SIZE
    return run_lengths.normalize(rle, default=known)
