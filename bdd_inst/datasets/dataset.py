"""What a data set loader gives: Detectron2's standard dicts, what is known of the whole, and what was skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bdd_inst.base.errors import ProblemLog


@dataclass(slots=True)
class DatasetRecords:
    """A loaded data set.

    ``dicts``: Detectron2's standard dicts (``file_name, height, width, image_id, annotations``); annotations carry ``bbox`` (x1, y1, x2,
        y2,
    exclusive) with ``bbox_mode`` XYXY_ABS, ``category_id`` from 0, ``iscrowd``, ``segmentation`` (flat polygons, or compressed RLE with
    str counts) where there are masks, and ``attributes``.
    ``metadata``: ``thing_classes`` and whatever else the catalog shall hold.
    """

    dicts: Sequence[dict]
    metadata: dict
    problems: ProblemLog = field(default_factory=ProblemLog)


@dataclass(frozen=True)
class Categories:
    """Class names in contract order and the other words for them.

    ``aliases``: spelling -> name. ``ignored``: category -> the class whose detections it excuses. ``known``: words that are expected in the
    files but are no class of this data set (lanes among the objects, say), left out without being called unknown.
    """

    names: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()

    def resolve(self, word: str) -> tuple[int, bool] | None:
        """Class index and whether the word stands for an ignored region; None for a word that is no class here."""
        for spelling in (word, word.lower()):
            name = self.ignored.get(spelling)
            if name is not None:
                return self.names.index(name), True
            name = self.aliases.get(spelling, spelling)
            if name in self.names:
                return self.names.index(name), False
        return None

    def is_known(self, word: str) -> bool:
        """True for a word that is rightly in the file but no class of this data set."""
        word = word.lower()
        return word in self.known or word.startswith(("area/", "lane/", "drivable", "lane"))
