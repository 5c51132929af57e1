"""COCO's entries as they are met, by one of two policies: labels are mended and counted, results that are scored are refused.

Ids, sizes and flags written as text (VIA's export) or as floats (a data frame's) are read as the numbers that they mean.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.json_files import describe, place, plain

Id = int | str


class Image(msgspec.Struct, gc=False):
    """One entry of ``images``."""

    id: Id
    file_name: str
    width: int | None = None
    height: int | None = None
    attributes: dict[str, Any] | None = None
    video_name: str | None = None
    frame_index: int | None = None
    labeled: bool = msgspec.field(default=True, name="labelled")


class Annotation(msgspec.Struct, gc=False):
    """One annotation or result, its segmentation still raw."""

    image_id: Id
    category_id: int
    id: Id | None = None
    bbox: tuple[float, float, float, float] | None = None
    segmentation: msgspec.Raw = msgspec.Raw()
    iscrowd: bool | int | None = 0
    ignore: bool | int | None = 0
    ignored: bool | int | None = 0
    area: float | None = None
    score: float | None = None
    attributes: dict[str, Any] | None = None
    file_name: str | None = None
    category_name: str | None = None


class Result(msgspec.Struct, gc=False):
    """One entry of a results file that is to be scored; its segmentation as it stands."""

    image_id: Id
    category_id: int
    score: float
    bbox: tuple[float, float, float, float] | None = None
    segmentation: Any = None
    file_name: str | None = None
    category_name: str | None = None


class Category(msgspec.Struct, gc=False):
    """One entry of ``categories``."""

    id: int
    name: str


def key_of(identity: Id) -> Id:
    """An id to compare by: files that write ``"5"`` in one place and ``5`` or ``5.0`` in another mean the same.

    Args:
        identity: as a file writes it.

    Returns:
        The number that a text of digits stands for, else the id itself.
    """
    if (
        isinstance(identity, str)
        and identity.isdecimal()
        and len(identity) < 19
        # "007" stays a word: another image may be called "7".
        and str(int(identity)) == identity
    ):
        return int(identity)
    return identity


def categories(raws: list[msgspec.Raw], where: str) -> dict[int, str]:
    """Names by id. Ids that collide are an error: no label could be told from another."""
    names: dict[int, str] = {}
    for number, raw in enumerate(raws):
        try:
            category = msgspec.json.decode(raw, type=Category, strict=False)
        except (msgspec.MsgspecError, RecursionError):
            raise DataError(
                f"{where}: category #{number} is no object with a whole number 'id' and a 'name'"
            ) from None
        if category.id in names and names[category.id] != category.name.strip():
            raise DataError(
                f"{where}: categories {names[category.id]!r} and {category.name!r} share the id {category.id}"
            )
        names[category.id] = category.name.strip()
    return names


def without_unused_doubles(names: dict[int, str], used: set[int], where: str) -> dict[int, str]:
    """The categories without those that no object has and whose name another one has (an export's root class).

    Raises:
        DataError: two categories of one name that both have objects; nothing tells them apart but a number.
    """
    by_name: dict[str, list[int]] = defaultdict(list)
    for own, name in names.items():
        by_name[name].append(own)
    dropped: set[int] = set()
    for name, ids in by_name.items():
        filled = [own for own in ids if own in used] or ids[:1]
        if len(filled) > 1:
            numbers = " and ".join(map(str, filled))
            raise DataError(
                f"{where}: categories {numbers} are both called {name!r}; rename one, or give both one id"
            )
        dropped |= set(ids) - set(filled)
    return {own: name for own, name in names.items() if own not in dropped}


def image(raw: msgspec.Raw, where: str, log: ProblemLog) -> Image | None:
    """An entry of ``images`` that does not follow the schema; None, counted, where it has no id."""
    try:
        value = plain(raw)
    except ValueError as error:
        value, reason = None, str(error)
    else:
        reason = describe(value)
    own = fields.identity(value.get("id")) if isinstance(value, dict) else None
    if own is None:
        log.add("bad-record", where, f"{reason} without an id; left out")
        return None
    if any(isinstance(value.get(key), str) for key in ("width", "height")):
        log.add("number-as-text", where, "its size is written as text; read as numbers")
    name = value.get("file_name")
    if not isinstance(name, str) or not name.strip():
        name = url_name(value.get("coco_url"))
        if name is None:
            log.add("no-file-name", where, f"image {own!r} has no file_name; called by its id")
            name = str(own).strip() or f"#{where.rpartition('#')[2]}"
    width, height = fields.side(value.get("width")), fields.side(value.get("height"))
    if (value.get("width") and width is None) or (value.get("height") and height is None):
        shown = f"{value.get('width')!s:.20}x{value.get('height')!s:.20}"
        log.add("bad-image-size", where, f"{shown} is the size of no image; taken for unknown")
    return Image(own, name, width, height)


def url_name(url: Any) -> str | None:
    """``train2017/000000037777.jpg`` from LVIS's ``coco_url``, which names folder and file; None where it names none."""
    if not isinstance(url, str):
        return None
    try:
        parts = [part for part in unquote(urlsplit(url).path).split("/") if part]
    except ValueError:
        return None
    return "/".join(parts[-2:]) or None


def annotation(raw: msgspec.Raw, where: str, log: ProblemLog) -> Annotation | None:
    """An annotation or result that does not follow the schema; None, counted, where it belongs to no image or class."""
    try:
        value = plain(raw)
        if not isinstance(value, dict):
            raise ValueError(f"{describe(value)} where an annotation should be")
        image, category = (
            fields.identity(value.get("image_id")),
            fields.identity(value.get("category_id")),
        )
        if image is None:
            raise ValueError("no image_id")
        if isinstance(category, str):
            category = key_of(category.strip())
        if not isinstance(category, int):
            raise ValueError("category_id is no whole number")
        out = Annotation(
            image,
            category,
            fields.identity(value.get("id")),
            score=fields.score_of(value.get("score")),
        )
    except ValueError as error:
        log.add("bad-label", where, f"{error}; left out")
        return None
    texts = [
        key
        for key in ("category_id", "area", "iscrowd")
        if isinstance(value.get(key), str) and as_float(value[key]) is not None
    ]
    if texts:
        log.add("number-as-text", where, f"{', '.join(texts)} written as text; read as numbers")
    if value.get("bbox") is not None:
        try:
            fields.sized_box(value["bbox"])
            out.bbox = tuple(value["bbox"])
        except ValueError as error:
            log.add("bad-box", f"{where} (id {out.id!r})", f"{error}; box left out")
    # A figure that is none is judged with the others, where the shape is known.
    out.area = as_float(value.get("area"))
    crowd = value.get("iscrowd")
    out.iscrowd = crowd if isinstance(crowd, int) else fields.truth(crowd)
    out.ignore = fields.truth(value.get("ignore"))
    out.ignored = fields.truth(value.get("ignored"))
    out.attributes = value["attributes"] if isinstance(value.get("attributes"), dict) else None
    out.category_name = (
        value["category_name"] if isinstance(value.get("category_name"), str) else None
    )
    out.file_name = value["file_name"] if isinstance(value.get("file_name"), str) else None
    out.segmentation = msgspec.Raw(msgspec.json.encode(value.get("segmentation")))
    return out


def strict_results(raws: Iterable[msgspec.Raw], where: str) -> Iterator[Result]:
    """Entries of a results file by the strict policy: figures count every entry, so one that is not what the format says is refused.

    Args:
        raws: the items of the list; ids written as text or as floats are the numbers that they mean.
        where: the file, for messages.

    Yields:
        The entries in order.

    Raises:
        DataError: naming the first entry that is none.
    """
    decoder = msgspec.json.Decoder(Result)
    for number, raw in enumerate(raws, 1):
        try:
            try:
                row = decoder.decode(raw)
            except msgspec.ValidationError:
                row = _with_plain_ids(raw)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{where}: not a COCO results list: entry {number}, {place(str(error))}"
            ) from None
        yield row


def _with_plain_ids(raw: msgspec.Raw) -> Result:
    """An entry whose ids do not follow the schema. ValueError for what is none."""
    value = plain(raw)
    if not isinstance(value, dict):
        raise ValueError(f"{describe(value)} where an entry should be")
    ids = {key: fields.identity(value.get(key)) for key in ("image_id", "category_id")}
    if isinstance(ids["category_id"], str):
        ids["category_id"] = key_of(ids["category_id"].strip())
    return msgspec.convert(value | ids, Result)


def as_float(value: Any) -> float | None:
    """A number or its text as a float; None for anything else."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
