"""Scalabel JSON, BDD100K's format since August 2018: lists of frames, ``{"frames", "config"}``, single frames, folders of files.

Most frames follow the schema and are parsed as typed structs; one that does not is parsed again as plain objects
(:mod:`bdd_inst.formats.scalabel_careful`), so that what is wrong with it costs one label only.

Boxes: ``x2, y2`` name the last pixel (the official tools take ``w = x2 - x1 + 1``), so one is added. Files of the 2018 release keep
``x2, y2`` as they are, as that release's own converter did. ``url`` is never taken for a file name.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from bdd_inst.base.errors import ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.coco_segmentation import CompressedRle
from bdd_inst.formats.json_files import Top, items, plain, top_level
from bdd_inst.formats.poly2d import FEWEST_CLOSED, FEWEST_OPEN
from bdd_inst.formats.reading import contents, label_set
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.scalabel_careful import careful_frame
from bdd_inst.formats.signs import Glimpse
from bdd_inst.formats.sniff import Found
from bdd_inst.images.names import is_image_name
from bdd_inst.masks.outlines import MAX_COORDINATE, Outline
from bdd_inst.masks.rle_check import rle_faults

# What a frame may have beside its name.
FRAME_KEYS = {"labels", "url", "videoName", "frameIndex", "timestamp", "size", "attributes"}
WORDS_OF_2018 = {"bike", "motor", "drivable area", "lane"}


class _Box(msgspec.Struct, gc=False):
    x1: float
    y1: float
    x2: float
    y2: float


class _Part(msgspec.Struct, gc=False):
    vertices: list[tuple[float, float]]
    types: str | None = None
    closed: bool = True


class _Label(msgspec.Struct, gc=False):
    category: str
    id: str | int | None = None
    index: int | None = None
    score: float | None = None
    attributes: dict[str, Any] | None = None
    box2d: _Box | None = None
    poly2d: list[_Part] | None = None
    rle: CompressedRle | None = None
    seg2d: None = None


class _Size(msgspec.Struct, gc=False):
    width: int
    height: int


class _Frame(msgspec.Struct, gc=False):
    name: str
    labels: list[_Label] | None = None
    attributes: dict[str, Any] | None = None
    videoName: str | None = None
    frameIndex: int | None = None
    size: _Size | None = None


class _Mark(msgspec.Struct, gc=False):
    """What tells the 2018 release's labels from later ones."""

    id: str | int | None = None
    manualShape: bool | None = None
    category: str | None = None


class _Marks(msgspec.Struct, gc=False):
    labels: list[_Mark] | None = None


_marks_decoder = msgspec.json.Decoder(_Marks)
_frame_decoder = msgspec.json.Decoder(_Frame)


class _OddFrameError(Exception):
    """This frame needs the slow, forgiving way."""


def signs(glimpse: Glimpse) -> bool:
    """Whether a JSON object is a frame, or holds a list of frames (null for none)."""
    if not glimpse.listed:
        frames = glimpse.is_list("frames") or bytes(glimpse.fields.get("frames", b"")) == b"null"
        return frames or glimpse.has("name", "labels")
    if glimpse.has("category") and not glimpse.has("labels"):
        return False  # a flat detection of 2018 (name, category, bbox, score): as a frame it would be empty
    name = glimpse.value("name")
    if not glimpse.has("name") or FRAME_KEYS & glimpse.fields.keys():
        return glimpse.has("name")
    # Nothing but a name: a list of classes has names too.
    return isinstance(name, str) and (not name.strip() or is_image_name(name))


def read(found: Found) -> LabelSet:
    """The label set of Scalabel files. Categories and image size come from a wrapper's ``config`` where there is one."""
    top = found.top if found.top is not None else top_level(found.files[0])
    of_2018 = is_of_2018(frames_of(top))

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        for file, content in contents(found, log):
            raws = frames_of(content)
            config = content.get("config") if isinstance(content, dict) else None
            yield from read_frames(
                raws, str(file), log, inclusive=not is_of_2018(raws), size=_config_size(config)
            )

    note = (
        "the 2018 release: boxes end at x2, y2"
        if of_2018
        else "boxes include the pixel x2, y2: one was added"
    )
    return label_set(
        found, generate, _config_rule(top), categories=_config_categories(top), notes=(note,)
    )


def frames_of(top: Top) -> list[msgspec.Raw]:
    """The raw frames of a file: a list (of frames, or of a video's lists), ``{"frames": [...]}``, or one frame alone."""
    if isinstance(top, dict):
        if "frames" in top:
            return items(top["frames"]) or []
        return [msgspec.Raw(msgspec.json.encode(top))]
    if top and bytes(memoryview(top[0])[:1]) == b"[":
        return [frame for raw in top for frame in items(raw) or [raw]]
    return top


def _config_size(config: msgspec.Raw | None) -> _Size | None:
    """A wrapper's ``config.imageSize``."""
    size = _config(config).get("imageSize")
    width, height = (
        (fields.side(size.get(key)) for key in ("width", "height"))
        if isinstance(size, dict)
        else (None, None)
    )
    return _Size(width, height) if width and height else None


def _config_categories(top: Top) -> tuple[str, ...] | None:
    """A wrapper's ``config.categories``, the leaves of its tree in order (the official ids count them from 1)."""

    def leaves(nodes: Any) -> Iterator[str]:
        for node in nodes if isinstance(nodes, list) else []:
            if (
                isinstance(node, dict)
                and isinstance(node.get("subcategories"), list)
                and node["subcategories"]
            ):
                yield from leaves(node["subcategories"])
            elif isinstance(node, dict) and isinstance(node.get("name"), str):
                yield node["name"].strip()

    config = _config(top.get("config")) if isinstance(top, dict) else {}
    try:
        return tuple(leaves(config.get("categories"))) or None
    except RecursionError:
        return None


def _config_rule(top: Top) -> str:
    """The rule that a file of ours says its outlines are drawn by (``config.maskRule``); BDD100K's own where it says nothing."""
    rule = _config(top.get("config")).get("maskRule") if isinstance(top, dict) else None
    return rule if rule in ("official", "coco", "pixels") else "official"


def _config(raw: msgspec.Raw | None) -> dict:
    try:
        value = plain(raw) if raw is not None else {}
    except ValueError:
        value = {}
    return value if isinstance(value, dict) else {}


def read_frames(
    raws: list[msgspec.Raw],
    source: str,
    log: ProblemLog,
    *,
    inclusive: bool,
    size: _Size | None = None,
) -> Iterator[ImageLabels]:
    """Images of raw frames in order. ``inclusive``: boxes name their last pixel. ``size``: the file's own default image size."""
    default = (size.height, size.width) if size else (None, None)
    for number, raw in enumerate(raws):
        try:
            yield _quick(_frame_decoder.decode(raw), inclusive, size)
        # Again, label by label: the quick way knows only whole frames.
        except (msgspec.MsgspecError, RecursionError, _OddFrameError):
            image = careful_frame(
                raw, f"{source}: frame {number}", log, inclusive=inclusive, size=default
            )
            if image is not None:
                yield image


def is_of_2018(raws: list[msgspec.Raw]) -> bool:
    """Whether frames come from the 2018 release: ids are numbers, and its marks (manual flags, ``bike``, ``motor``, ...) are there."""
    # The marks are on every label of that release: a few frames tell.
    for raw in raws[:50]:
        try:
            labels = _marks_decoder.decode(raw).labels or []
        except (msgspec.MsgspecError, RecursionError):
            continue
        for label in labels:
            if isinstance(label.id, int) and (
                isinstance(label.manualShape, bool) or label.category in WORDS_OF_2018
            ):
                return True
    return False


def _quick(frame: _Frame, inclusive: bool, size: _Size | None) -> ImageLabels:
    """A frame that follows the schema; _OddFrameError for anything that has to be counted."""
    labels = frame.labels or []
    outlines = _outlines(labels)
    coded = [label.rle for label in labels if label.rle is not None]
    if coded and rle_faults([{"size": rle.size, "counts": rle.counts} for rle in coded]):
        raise _OddFrameError
    if not frame.name.strip() or any(not label.category.strip() for label in labels):
        raise _OddFrameError
    size = frame.size or size
    if size is not None and not (0 < size.width <= 1 << 20 and 0 < size.height <= 1 << 20):
        raise _OddFrameError
    return ImageLabels(
        name=frame.name,
        width=size.width if size else None,
        height=size.height if size else None,
        attributes=fields.split_flags(frame.attributes)[1] if frame.attributes else {},
        instances=[
            _instance(label, paths, inclusive)
            for label, paths in zip(labels, outlines, strict=True)
        ],
        video=frame.videoName,
        frame_index=frame.frameIndex,
        labeled=frame.labels is not None,
    )


def _instance(label: _Label, paths: list[Outline] | None, inclusive: bool) -> Instance:
    flags, others = fields.split_flags(label.attributes)
    if label.index is not None:
        others["index"] = label.index
    box = label.box2d
    if box is not None:
        x1, y1, x2, y2 = box.x1, box.y1, box.x2 + inclusive, box.y2 + inclusive
        if not (
            -MAX_COORDINATE <= x1 < x2 <= MAX_COORDINATE
            and -MAX_COORDINATE <= y1 < y2 <= MAX_COORDINATE
        ):
            raise _OddFrameError
        box = (x1, y1, x2, y2)
    rle = label.rle and {"size": list(label.rle.size), "counts": label.rle.counts}
    get = flags.get
    return Instance(
        label.category.strip(),
        box=box,
        paths=paths,
        rle=rle,
        crowd=get("crowd", False),
        ignored=get("ignored", False),
        occluded=get("occluded", False),
        truncated=get("truncated", False),
        score=label.score,
        id=label.id,
        attributes=others,
    )


def _outlines(labels: list[_Label]) -> list[list[Outline] | None]:
    """The paths of all labels of a frame, their vertices views into one array. _OddFrameError where one is not as it should be."""
    parts = [part for label in labels if label.poly2d for part in label.poly2d]
    flat = np.fromiter(
        chain.from_iterable(chain.from_iterable([part.vertices for part in parts])),
        dtype=np.float64,
    ).reshape(-1, 2)
    if flat.size and not (np.abs(flat) <= MAX_COORDINATE).all():
        raise _OddFrameError
    out, start = [], 0
    for label in labels:
        paths = None
        if label.poly2d is not None:
            paths = []
            for part in label.poly2d:
                number, types = len(part.vertices), part.types or ""
                if number < (FEWEST_CLOSED if part.closed else FEWEST_OPEN) or (
                    types and (len(types) != number or types.strip("LC"))
                ):
                    raise _OddFrameError
                paths.append(
                    Outline(
                        flat[start : start + number], types if "C" in types else "", part.closed
                    )
                )
                start += number
        out.append(paths)
    return out
