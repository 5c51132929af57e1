"""A data set seen through a model's classes: DATASETS.CLASSES chooses them, DATASETS.CLASS_MAP gives and joins names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError, ProblemLog
from bdd_inst.config.class_map import class_map, entry_of
from bdd_inst.datasets.catalog import MetadataCatalog
from bdd_inst.datasets.dict_array import DictArray

IDS = "thing_dataset_id_to_contiguous_id"
UNLABELED = "unlabeled_classes"


@dataclass(frozen=True)
class ClassView:
    """Which class of the model each class of a data set is.

    Attributes:
        names: the model's classes.
        table: by class number of the data set, N int: its number in ``names``, -1 where it is left out.
        words: the data set's own names, N.
    """

    names: tuple[str, ...]
    table: np.ndarray
    words: tuple[str, ...]

    @property
    def unlabeled(self) -> tuple[str, ...]:
        """The model's classes that none of the data set's is: where such an object stands in its images, no label says so."""
        return tuple(name for n, name in enumerate(self.names) if n not in self.table)

    def metadata(self, known: Mapping) -> dict:
        """The metadata of the data set as it is seen.

        Args:
            known: its own.

        Returns:
            ``thing_classes`` are the model's, category ids follow them where no two are joined, and are 1, 2, ... otherwise.
        """
        ids = {
            own: int(self.table[number])
            for own, number in (known.get(IDS) or {}).items()
            if self.table[number] >= 0
        }
        if sorted(ids.values()) != list(range(len(self.names))):
            ids = {n + 1: n for n in range(len(self.names))}
        # Colors go by class numbers, which are others now.
        rest = {key: value for key, value in known.items() if key != "thing_colors"}
        return rest | {"thing_classes": list(self.names), IDS: ids, UNLABELED: self.unlabeled}

    def dicts(self, name: str, dicts: Sequence[dict], problems: ProblemLog) -> Sequence[dict]:
        """The dicts with the model's class numbers; nothing is copied of a DictArray.

        Args:
            name: the data set's, for the count.
            dicts: Detectron2's standard dicts.
            problems: takes the objects of classes that are left out, by class.

        Returns:
            as many, each without those objects.
        """
        own = dicts if isinstance(dicts, DictArray) else None
        numbers = (
            np.array([a["category_id"] for d in dicts for a in d.get("annotations", ())], np.int64)
            if own is None
            else own.category_numbers()
        )
        counts = np.bincount(numbers[numbers >= 0], minlength=len(self.table))
        for word, new, count in zip(self.words, self.table.tolist(), counts.tolist()):
            if new < 0 and count:
                message = f"class {word!r} is not among DATASETS.CLASSES; {count} objects left out"
                problems.add("category-left-out", name, message, count=count)
        if own is not None:
            return ClassedDicts(own, self.table)
        return [renumbered(record, self.table) for record in dicts]


class ClassedDicts(DictArray):
    """A DictArray with other class numbers; objects of classes that are left out are not there."""

    def __init__(self, inner: DictArray, table: np.ndarray):
        """``table``: by class number, N int: the new number, -1 for none."""
        super().__init__(inner.arrays, inner.index)
        self.inner, self.table = inner, table

    def select(self, chosen: np.ndarray) -> ClassedDicts:
        return ClassedDicts(self.inner.select(chosen), self.table)

    def category_numbers(self) -> np.ndarray:
        return self.table[self.inner.category_numbers()]

    def __reduce__(self):
        # What is inside knows how it goes to another process: by name where it is a mapped file.
        return ClassedDicts, (self.inner, self.table)

    def _objects(self, begin: int, end: int, height: int, width: int) -> list[dict]:
        found = super()._objects(begin, end, height, width)
        return list(_renumbered(found, self.table))


def renumbered(record: dict, table: np.ndarray) -> dict:
    """A standard dict whose objects have other class numbers.

    Args:
        record: stays as it is.
        table: by class number, N int64: the new number, -1 for objects to leave out.

    Returns:
        a copy; without ``annotations`` where the record has none.
    """
    if "annotations" not in record:
        return dict(record)
    objects = ({**one} for one in record["annotations"])
    return record | {"annotations": list(_renumbered(objects, table))}


def _renumbered(objects: Iterator[dict] | list[dict], table: np.ndarray) -> Iterator[dict]:
    for one in objects:
        number = int(table[one["category_id"]])
        if number >= 0:
            one["category_id"] = number
            yield one


def class_view(name: str, metadata: Mapping, options: CfgNode) -> ClassView | None:
    """How a data set is seen.

    Args:
        name: the data set's.
        metadata: ``thing_classes`` in the order of its class numbers.
        options: the section DATASETS; its CLASSES and CLASS_MAP.

    Returns:
        None where it is seen as it is: no CLASSES, or its own in its own order.

    Raises:
        ConfigError: none of its classes is among CLASSES, or it is label maps, whose values stay as they are.
    """
    wanted, words = tuple(options.CLASSES), tuple(metadata.get("thing_classes") or ())
    meant = class_map(name, options.CLASS_MAP)
    names = [meant.get(word, word) for word in words]
    if not wanted or names == list(wanted):
        return None
    if metadata.get("stuff_classes"):
        raise ConfigError(
            f"{name}: its label maps keep their classes, {', '.join(words[:4])}, ...; DATASETS.CLASSES and CLASS_MAP choose "
            "among objects. Leave them empty"
        )
    place = {word: n for n, word in enumerate(wanted)}
    table = np.array([place.get(word, -1) for word in names], np.int64)
    if not (table >= 0).any():
        raise ConfigError(
            f"{name}: none of its classes ({', '.join(words)}) is among DATASETS.CLASSES ({', '.join(wanted)}); "
            f"say which is which: DATASETS.CLASS_MAP \"['{words[0] if words else 'theirs'}={wanted[0]}']\""
        )
    return ClassView(wanted, table, words)


def seen_metadata(name: str, options: CfgNode) -> dict:
    """The catalog's metadata of a data set, with the classes that DATASETS.CLASSES makes of its own.

    Args:
        name: of the catalog.
        options: the section DATASETS.

    Returns:
        ``thing_classes`` and whatever else is known; its own where it has none of CLASSES, as where weights are tried elsewhere.
    """
    known = MetadataCatalog.get(name).as_dict()
    try:
        view = class_view(name, known, options)
    except ConfigError:
        return known
    return known if view is None else view.metadata(known)


def check_map_words(cfg: CfgNode) -> None:
    """Refuse an entry of DATASETS.CLASS_MAP that is about nothing: a misspelt class would be left out without a word.

    Args:
        cfg: a whole config, its label files registered.

    Raises:
        ConfigError: an entry whose class none of the data sets has that it is said of.
    """
    sets = dict.fromkeys([*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST])
    known = {name: MetadataCatalog.get(name).get("thing_classes") or () for name in sets}
    for entry in cfg.DATASETS.CLASS_MAP:
        theirs, _, pattern = entry_of(entry)
        meant = {name: words for name, words in known.items() if fnmatchcase(name, pattern)}
        if meant and not any(theirs in words for words in meant.values()):
            there = "; ".join(f"{name}: {', '.join(words)}" for name, words in meant.items())
            raise ConfigError(
                f"DATASETS.CLASS_MAP {entry!r}: no data set has a class {theirs!r} ({there})"
            )
