"""What kind of label file or folder this is, told from its content; never a guess, never from its name."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bdd_inst.base.errors import DataError
from bdd_inst.formats.json_files import Top, top_level
from bdd_inst.formats.signs import glimpses, seen
from bdd_inst.formats.table import FORMATS, kinds, known_formats, part_of
from bdd_inst.images import png_kinds
from bdd_inst.images.names import SUFFIXES

JSON_ENDINGS = (".json", ".json.gz")
# Written beside PNGs that we make; hidden, so that it is taken for no label file.
NOTE_FILE = ".conversion.json"
# Sub-folders of a BDD100K task that hold the same labels in different forms.
SAME_LABELS = {"polygons", "rles", "bitmasks", "colormaps"}
# How many of a folder's files are looked at.
FILES_LOOKED_AT = 24


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
    if kind is not None and kind not in kinds("read"):
        raise DataError(f"unknown label kind {kind!r}; known are {', '.join(kinds('read'))}")
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
        raise DataError(
            f"{path}: no label format that we know: {seen(top)}; known are {known_formats()}"
        )
    return Found(found, path, [path], top)


def _files_below(path: Path, kind: str | None = None) -> list[Path]:
    """The label files of a folder: JSON, or PNGs where there is none or ``kind`` asks for them; hidden ones are not looked at."""
    forms = sorted(d.name for d in path.iterdir() if d.is_dir() and d.name in SAME_LABELS)
    if len(forms) > 1:
        raise DataError(
            f"{path}: holds the same labels in several forms ({', '.join(forms)}); name one of these folders"
        )
    beside = {name for entry in FORMATS.values() for name in entry.beside}
    json_files, pngs = [], []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(d for d in folders if not d.startswith("."))
        for name in sorted(names):
            if name.startswith(".") or name in beside:
                continue
            if name.lower().endswith(JSON_ENDINGS):
                json_files.append(Path(folder, name))
            elif name.lower().endswith(".png"):
                pngs.append(Path(folder, name))
    if not json_files and not pngs:
        raise DataError(
            f"{path}: no JSON file and no PNG in this folder; {known_formats()} are understood"
        )
    return pngs if pngs and kind in png_kinds.KINDS else json_files or pngs


def _folder(path: Path, files: list[Path], kind: str | None, named: bool = False) -> Found:
    if files[0].suffix.lower() == ".png":
        if kind in (
            None,
            "cityscapes-instances",
        ):  # beside which gtFine has maps of classes and colors
            files = [f for f in files if f.stem.endswith("_instanceIds")] or files
        named = named or (path / NOTE_FILE).exists()
        return Found(kind or png_kinds.kind_of(files, path, named), path, files)
    if kind is None:
        kind = _common_kind(path, files)
    if len(files) == 1:
        return Found(kind, path, files, top_level(files[0]))
    if FORMATS[kind].one_file:
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
    """The kind of a JSON label file, by the ``signs`` of the table's entries in their order.

    Args:
        top: of a JSON file.

    Returns:
        The kind of its outermost object, or of the first item of its list that shows one; None where it is none that we know.
    """
    for glimpse in glimpses(top):
        for kind in kinds("signs"):
            if part_of(kind, "signs")(glimpse):
                return kind
    return None
