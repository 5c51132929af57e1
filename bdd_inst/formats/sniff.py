"""What kind of label file or folder this is, told from its content; never a guess, never from its name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bdd_inst.base.errors import DataError
from bdd_inst.formats.json_files import Top, describe, items, keys, plain, top_level
from bdd_inst.formats.table import kinds, part_of
from bdd_inst.images import png_kinds
from bdd_inst.images.opening import SUFFIXES

JSON_ENDINGS = (".json", ".json.gz")
# Written beside PNGs that we make; hidden, so that it is taken for no label file.
NOTE_FILE = ".conversion.json"
# Files that stand beside labels and are none.
BESIDE = {"meta.json", "key_id_map.json", "obj_class_to_machine_color.json", "classes.json"}
# Sub-folders of a BDD100K task that hold the same labels in different forms.
SAME_LABELS = {"polygons", "rles", "bitmasks", "colormaps"}
# What a Scalabel frame may have beside its name.
FRAME_KEYS = {"labels", "url", "videoName", "frameIndex", "timestamp", "size", "attributes"}
# How many of a folder's files, and of a list's items, are looked at.
FILES_LOOKED_AT, ITEMS_LOOKED_AT = 24, 50


@dataclass(slots=True)
class Found:
    """A label source and its kind; ``top`` is its content where it is one JSON file.

    ``images``: the folder of its images, for formats that cannot be read without. ``class_attribute``: which of an object's
    attributes is its class, for formats that do not say. ``values``: what the values of label maps mean, where the user has said it.
    """

    kind: str
    path: Path
    files: list[Path]
    top: Top | None = None
    images: Path | None = None
    class_attribute: str | None = None
    values: dict[int, str] | None = None


def sniff(path: str | os.PathLike, kind: str | None = None, named: bool = False) -> Found:
    """Find out what ``path`` (a file, a folder, or a folder with a pattern such as ``labels/*_person.png``) holds.

    With ``kind`` given it is taken at its word; with ``named``, the values of PNGs are known to be classes. DataError says what was seen
    where it is nothing that we know.
    """
    path = Path(path)
    for own in kinds("find"):
        files = part_of(own, "find")(path) if kind in (None, own) else []
        if files:
            return Found(own, path, files)
    if path.is_dir():
        return _folder(path, _files_below(path, kind), kind, named)
    if not path.exists() and any(c in path.name for c in "*?["):
        files = sorted(path.parent.glob(path.name))
        if not files:
            raise DataError(f"{path}: no file of this pattern")
        return _folder(path, files, kind, named)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if path.suffix.lower() == ".png":
        return Found(kind or png_kinds.kind_of([path], path, named), path, [path])
    if path.suffix.lower() in SUFFIXES:
        raise DataError(
            f"{path}: an image, not labels; name the label file, and its images with --images"
        )
    top = top_level(path)
    found = kind or kind_of_json(top)
    if found is None:
        raise DataError(f"{path}: no label format that we know: {seen(top)}; known are {KNOWN}")
    return Found(found, path, [path], top)


KNOWN = (
    "BDD100K/Scalabel, COCO (instances, panoptic, results), Detectron2 dicts, Supervisely, SuperAnnotate, LabelMe, VIA, Cityscapes, "
    "DeepFashion2 and SAM JSON, YOLO text, and folders of BDD100K bitmasks, instanceIds, label maps or 0/255 masks"
)


def _files_below(path: Path, kind: str | None = None) -> list[Path]:
    """The label files of a folder: JSON, or PNGs where there is none or ``kind`` asks for them; hidden ones are not looked at."""
    forms = sorted(d.name for d in path.iterdir() if d.is_dir() and d.name in SAME_LABELS)
    if len(forms) > 1:
        raise DataError(
            f"{path}: holds the same labels in several forms ({', '.join(forms)}); name one of these folders"
        )
    json_files, pngs = [], []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(d for d in folders if not d.startswith("."))
        for name in sorted(names):
            if name.startswith(".") or name in BESIDE:
                continue
            if name.lower().endswith(JSON_ENDINGS):
                json_files.append(Path(folder, name))
            elif name.lower().endswith(".png"):
                pngs.append(Path(folder, name))
    if not json_files and not pngs:
        raise DataError(f"{path}: no JSON file and no PNG in this folder; {KNOWN} are understood")
    return pngs if pngs and kind in png_kinds.KINDS else json_files or pngs


def _folder(path: Path, files: list[Path], kind: str | None, named: bool = False) -> Found:
    if files[0].suffix.lower() == ".png":
        if kind in (
            None,
            "cityscapes-instances",
        ):  # beside which gtFine has maps of classes and colours
            files = [f for f in files if f.stem.endswith("_instanceIds")] or files
        named = named or (path / NOTE_FILE).exists()
        return Found(kind or png_kinds.kind_of(files, path, named), path, files)
    if kind is None:
        kind = _common_kind(path, files)
    if len(files) == 1:
        return Found(kind, path, files, top_level(files[0]))
    if kind in ("coco", "coco-results", "dicts", "panoptic"):
        raise DataError(f"{path}: {len(files)} {kind} files; name one, e.g. {files[0]}")
    return Found(kind, path, files)


def _common_kind(path: Path, files: list[Path]) -> str:
    """The one kind that a folder's JSON files are of, from a sample spread over all of them."""
    step = max(1, len(files) // FILES_LOOKED_AT)
    kinds: Counter[str] = Counter()
    trouble = ""
    for file in files[::step]:
        try:
            top = top_level(file)
        except DataError as error:
            trouble = trouble or str(error)
            continue
        kind = kind_of_json(top)
        if kind is None:
            trouble = trouble or f"{file}: {seen(top)}"
        else:
            kinds[kind] += 1
    if len(kinds) == 1:
        return kinds.most_common(1)[0][0]
    if kinds:
        raise DataError(
            f"{path}: holds different kinds ({', '.join(kinds)}); give a folder or a file of one kind"
        )
    raise DataError(
        f"{path}: no label format that we know in {len(files)} JSON files, e.g. {trouble}"
    )


def kind_of_json(top: Top) -> str | None:
    """The kind of a JSON label file from its outermost keys and first items; None where it is none that we know."""
    if isinstance(top, dict):
        return _kind_of_object(top)
    return _kind_of_list(top)


def _kind_of_object(top: dict[str, msgspec.Raw]) -> str | None:
    names = set(top)
    if "frames" in names:
        frames = items(top["frames"])
        first = list(_looks(frames or []))
        if any("objects" in f for f in first) or (
            "name" in names and not any("name" in f for f in first)
        ):
            return "bdd-v1"
        return "scalabel" if frames is not None or bytes(top["frames"]) == b"null" else None
    if "shapes" in names and items(top["shapes"]) is not None:
        return "labelme"
    if "objects" in names and "size" in names:
        return "supervisely"
    if "images" in names and items(top["images"]) is not None:
        some = list(_looks(items(top.get("annotations")) or []))[:1]
        return "panoptic" if some and "segments_info" in some[0] else "coco"
    if {"image", "annotations"} <= names and items(top["annotations"]) is not None:
        return "sam"
    if {"metadata", "instances"} <= names and items(top["instances"]) is not None:
        return "superannotate"
    if {"imgHeight", "imgWidth", "objects"} <= names:
        return "cityscapes"
    if {"source", "pair_id"} <= names:
        return "deepfashion2"
    if "name" in names and "labels" in names:
        return "scalabel"
    regions = list(
        _looks((top.get("_via_img_metadata") and _values(top["_via_img_metadata"])) or top.values())
    )
    if regions and all("regions" in r and "filename" in r for r in regions):
        return "via"
    return None


def _kind_of_list(top: list[msgspec.Raw]) -> str | None:
    for item in _looks(_flat(top)):
        names = set(item)
        if "image_id" in names and "category_id" in names and "annotations" not in names:
            return "coco-results"
        if "file_name" in names and ("annotations" in names or "image_id" in names):
            return "dicts"
        if "frames" in names and "name" in names:
            return "bdd-v1"
        if "category" in names and "labels" not in names:
            return None  # the flat detections of 2018 (name, category, bbox, score): as frames they would all be empty
        if "name" in names and (names & FRAME_KEYS or is_image_name(item["name"])):
            return "scalabel"
    return None


def is_image_name(name: Any) -> bool:
    """Whether a frame could be called so; a list of classes has names too."""
    return isinstance(name, str) and (not name.strip() or name.lower().endswith(tuple(SUFFIXES)))


def _flat(top: list[msgspec.Raw]) -> Iterable[msgspec.Raw]:
    """The items of a list, those of inner lists (one a video) in its place."""
    for raw in top[:ITEMS_LOOKED_AT]:
        yield from (items(raw) or []) if bytes(memoryview(raw)[:1]) == b"[" else [raw]


def _looks(raws: Iterable[msgspec.Raw]) -> Iterable[dict[str, Any]]:
    """The first few items that are objects."""
    for number, raw in enumerate(raws):
        if number >= ITEMS_LOOKED_AT:
            return
        try:
            value = plain(raw)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def _values(raw: msgspec.Raw) -> list[msgspec.Raw]:
    try:
        return list(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).values())
    except msgspec.DecodeError:
        return []


def seen(top: Top) -> str:
    """What a JSON file holds, in words.

    Args:
        top: of a JSON file.

    Returns:
        For messages: its type, its first keys or its first item.
    """
    if isinstance(top, dict):
        return f"an object with keys {keys(top)}" if top else "an empty object"
    if not top:
        return "an empty list, which could be of any kind (say which)"
    try:
        return f"a list of {len(top)}, the first {describe(plain(top[0]))}"
    except ValueError:
        return f"a list of {len(top)}"
