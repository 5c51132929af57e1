"""The file of scores that goes with a folder of predicted bitmasks: a Scalabel list whose labels name instance ids."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bdd_inst.base.errors import DataError
from bdd_inst.formats.json_files import decode
from bdd_inst.formats.names import ImageNames
from bdd_inst.images import png_kinds


class ScoredLabel(msgspec.Struct, gc=False):
    """One label: the instance id of the bitmask under ``index`` (the official key), else ``id``."""

    score: float
    index: int | None = None
    id: int | str | None = None


class ScoredFrame(msgspec.Struct, gc=False):
    """One image's scores."""

    name: str
    labels: list[ScoredLabel] | None = None


class ScoredFrames(msgspec.Struct, gc=False):
    """The wrapped form."""

    frames: list[ScoredFrame]


def find_scores(folder: Path) -> Path | None:
    """The scores that lie with a bitmask folder: the one JSON file inside it, or ``<folder>.json`` next to it.

    Args:
        folder: of bitmasks.

    Returns:
        The file, or None.
    """
    inside = sorted(folder.glob("[!.]*.json")) if folder.is_dir() else []
    if len(inside) == 1:
        return inside[0]
    sibling = folder.with_name(folder.name + ".json")
    return sibling if sibling.is_file() else None


def within_bitmasks(folder: Path, scores: Path | None) -> bool:
    """Whether ``scores`` lies in a folder whose PNGs are BDD100K bitmasks, and so is their companion and not labels itself.

    Args:
        folder: that holds PNGs.
        scores: a JSON file, or None.

    Returns:
        True where the JSON is not the labels, and the PNGs are.
    """
    if scores is None or scores.parent != folder:
        return False
    pngs = sorted(p for p in folder.rglob("[!.]*.png") if p.is_file())
    try:
        return bool(pngs) and png_kinds.kind_of(pngs, folder) == "bitmask"
    except DataError:  # images, say, with their labels
        return False


class Scores:
    """The scores of a file, by image and instance id.

    Raises:
        DataError: broken JSON, a label without score or id, an id scored twice.
    """

    def __init__(self, path: str | Path) -> None:
        tables: dict[str, dict[str, float]] = {}
        path = Path(path)
        content = decode(
            path,
            list[ScoredFrame] | ScoredFrames,
            "a list of frames with labels of index and score",
        )
        for frame in content.frames if isinstance(content, ScoredFrames) else content:
            table = tables.setdefault(frame.name, {})
            for label in frame.labels or ():
                identity = label.index if label.index is not None else label.id
                if identity is None:
                    raise DataError(
                        f"{path}: {frame.name}: a score without index; it must say which instance id it belongs to"
                    )
                if str(identity) in table:
                    raise DataError(f"{path}: {frame.name}: instance {identity} has two scores")
                table[str(identity)] = label.score
        self._names, self._tables = ImageNames(list(tables)), list(tables.values())

    def of(self, name: str) -> dict[str, float]:
        """Instance id as text -> score, for an image by its name with or without folder and ending; empty where it has none."""
        place = self._names.find(name)
        return {} if place is None else self._tables[place]
