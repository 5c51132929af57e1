"""What a writer must know before the first picture: which classes there are and under which ids, which ids and sizes hold."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bdd_inst.base import vocabulary as classes
from bdd_inst.base.errors import DataError
from bdd_inst.formats.records import LabelSet, Picture

log = logging.getLogger(__name__)

BDD_KINDS = ("scalabel", "bdd-v1", "bitmask")
# Every BDD100K picture has this size; its label files do not say it.
BDD_SIZE = (1280, 720)


@dataclass(slots=True)
class Plan:
    """How the pictures of one label set are to be written.

    ``categories`` and ``ids`` go together; ``words`` says for each word of the source which category it is and whether that makes the
    object an ignored one. ``keep_ids`` and ``keep_image_ids``: the source's are whole numbers from 1 and unique, so they stay.
    ``size``: width and height of pictures that do not say theirs. ``rule`` draws outlines; ``made_by`` is how the masks that are written
    came about: by that rule where there are outlines, else however the source's masks did.
    """

    kind: str
    categories: tuple[str, ...]
    ids: tuple[int, ...]
    words: dict[str, tuple[str, bool]]
    keep_ids: bool
    keep_image_ids: bool
    pictures: int
    instances: int
    size: tuple[int, int] | None
    rule: str = "official"
    made_by: str = "official"
    common_size: tuple[int, int] | None = None
    number: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.number = dict(zip(self.categories, self.ids, strict=True))


def make_plan(labels: LabelSet, rule: str, wanted: Sequence[str] | None = None) -> Plan:
    """Go through a label set once and lay down how it is to be written.

    ``wanted`` names the categories to keep, in the order of their ids from 1. Without it, a source's own list is kept as it is; BDD100K's
    words go by the names and the order of its official conversion, others by their first appearance. DataError where a wanted category
    occurs nowhere, or nothing is there to write.
    """
    words: dict[str, None] = {}
    ids: set = set()
    image_ids: set = set()
    sizes: set = set()
    pictures = instances = outlined = 0
    numbers = image_numbers = True
    for picture in labels.pictures:
        pictures += 1
        numbers_ok = isinstance(picture.image_id, int) and picture.image_id not in image_ids
        image_numbers = image_numbers and numbers_ok
        image_ids.add(picture.image_id)
        sizes.add(size_of(picture))
        for instance in picture.instances:
            instances += 1
            outlined += bool(instance.paths)
            words.setdefault(instance.category)
            if numbers:
                numbers = type(instance.id) is int and instance.id > 0 and instance.id not in ids
                ids.add(instance.id)
    if not pictures:
        why = f" ({labels.problems.lines()[0]})" if labels.problems else ""
        raise DataError(f"{labels.source}: no picture in it that can be used{why}")
    names, numbers_of, table = vocabulary(labels, list(words), wanted)
    return Plan(
        labels.kind,
        names,
        numbers_of,
        table,
        numbers,
        image_numbers,
        pictures,
        instances,
        BDD_SIZE if labels.kind in BDD_KINDS else None,
        rule,
        rule if outlined else labels.rule,
        sizes.pop() if len(sizes) == 1 else None,
    )


def size_of(picture: Picture) -> tuple[int, int] | None:
    """Width and height of a picture from itself or from a mask of its."""
    if picture.width and picture.height:
        return picture.width, picture.height
    for instance in picture.instances:
        if instance.rle is not None:
            height, width = instance.rle["size"]
            return width, height
    return None


def vocabulary(
    labels: LabelSet, words: list[str], wanted: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[int, ...], dict[str, tuple[str, bool]]]:
    """Category names, their ids, and for each word of the source the category it means (with whether it is ignored)."""
    meaning = {word: (word, False) for word in words}
    if (
        labels.kind in BDD_KINDS
        and any(bdd_word(word) for word in words)
        and not own_vocabulary(labels, words)
    ):
        meaning = {word: bdd_word(word) or (word, False) for word in words}
    present = list(dict.fromkeys(name for name, _ in meaning.values()))
    if wanted:
        # Asked for by the source's own word (person), an object is what it is called there.
        meaning |= {word: (word, False) for word in words if word in wanted and word not in present}
        present = list(dict.fromkeys(name for name, _ in meaning.values()))
        missing = [
            name for name in wanted if name not in present and name not in (labels.categories or ())
        ]
        if missing:
            raise DataError(
                f"{labels.source}: no category {missing[0]!r} in it; there are {', '.join(present) or 'none'}"
            )
        return (
            tuple(wanted),
            tuple(range(1, len(wanted) + 1)),
            {w: m for w, m in meaning.items() if m[0] in wanted},
        )
    if labels.categories is not None and all(name in labels.categories for name in present):
        ids = labels.category_ids or tuple(range(1, len(labels.categories) + 1))
        return labels.categories, ids, meaning
    if (
        labels.kind in BDD_KINDS
        and any(name in classes.BDD100K_DET for name in present)
        and not own_vocabulary(labels, words)
    ):
        lights = any(
            name in classes.BDD100K_DET[len(classes.BDD100K_INS_SEG) :] for name in present
        )
        known = classes.BDD100K_DET if lights else classes.BDD100K_INS_SEG
        present = [*known, *(name for name in present if name not in known)]
    return tuple(present), tuple(range(1, len(present) + 1)), meaning


def own_vocabulary(labels: LabelSet, words: Iterable[str]) -> bool:
    """Whether a source of BDD100K's kinds lists classes of another data set, whose words mean what they say (``person`` stays one).

    So it is where the list holds all words in use and some that BDD100K does not have, and none that only BDD100K has.
    """
    listed = set(labels.categories or ())
    if not listed or not set(words) <= listed:
        return False
    # lane/..., area/...: the words of before August 2018
    if listed & classes.BDD100K_ONLY or any(word.startswith(("lane/", "area/")) for word in listed):
        return False
    return any(bdd_word(word) is None for word in listed)


def bdd_word(word: str) -> tuple[str, bool] | None:
    """The BDD100K class that a word means, and whether it is one of the ignored categories; None for other words."""
    if word in classes.BDD100K_DET:
        return word, False
    if word in classes.BDD100K_ALIASES:
        return classes.BDD100K_ALIASES[word], False
    if word in classes.BDD100K_IGNORED:
        return classes.BDD100K_IGNORED[word], True
    return None
