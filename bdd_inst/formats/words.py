"""What the words of a label file mean: the one place that says which class an object is of, for every tool.

BDD100K's own kinds of files write one class in many ways (``Car``, ``van``, ``person``); their words go by the official mapping.
Files of other kinds keep their words: ``person`` there is a person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from bdd_inst.base.vocabulary import (
    BDD100K_ALIASES,
    BDD100K_DET,
    BDD100K_INS_SEG,
    BDD100K_ONLY,
    bdd_word,
)
from bdd_inst.formats.records import LabelSet

BDD_KINDS = ("scalabel", "bdd-v1", "bitmask")
ResolvedClass = tuple[str, bool]


def resolve_classes(labels: LabelSet, words: Iterable[str]) -> dict[str, ResolvedClass]:
    """For each word of a label set the class it means, and whether it only excuses detections of that class.

    Args:
        labels: whose kind and list of categories decide whose words they are.
        words: as its labels write them.

    Returns:
        Word -> ``(class, ignored)``.
    """
    words = list(words)
    if not speaks_bdd(labels, words):
        return {word: (word, False) for word in words}
    return {word: bdd_word(word) or (word, False) for word in words}


def speaks_bdd(labels: LabelSet, words: Iterable[str]) -> bool:
    """Whether a label set's words are BDD100K's: a file of its kinds, at least one of its words, no list of other classes."""
    words = list(words)
    return (
        labels.kind in BDD_KINDS
        and any(bdd_word(word) for word in words)
        and not own_vocabulary(labels, words)
    )


def own_vocabulary(labels: LabelSet, words: Iterable[str]) -> bool:
    """Whether a source of BDD100K's kinds lists classes of another data set, whose words mean what they say (``person`` stays one).

    So it is where the list holds all words in use and some that BDD100K does not have, and none that only BDD100K has.

    Args:
        labels: of one of BDD100K's kinds.
        words: in use in it.

    Returns:
        True where the words go unchanged.
    """
    listed = set(labels.categories or ())
    if not listed or not set(words) <= listed:
        return False
    # lane/..., area/...: the words of before August 2018
    if listed & BDD100K_ONLY or any(word.startswith(("lane/", "area/")) for word in listed):
        return False
    return any(bdd_word(word) is None for word in listed)


def class_list(names: Iterable[str]) -> tuple[str, ...]:
    """BDD100K's eight classes, or ten where a light or sign is among ``names``.

    Args:
        names: classes in use.

    Returns:
        BDD100K_DET or BDD100K_INS_SEG, in contract order.
    """
    lights = set(BDD100K_DET[len(BDD100K_INS_SEG) :])
    return BDD100K_DET if lights & set(names) else BDD100K_INS_SEG


def match_class(word: str, names: Collection[str]) -> ResolvedClass | None:
    """Which of the classes ``names`` a word from another file stands for, and whether it only excuses detections; None for none.

    The word itself goes first, then the class it is an alias of, then an alias of it (``pedestrian`` where the classes have ``person``).

    Args:
        word: of another file.
        names: the classes to choose from.

    Returns:
        ``(class, ignored)``, or None.
    """
    if word in names:
        return word, False
    found = bdd_word(word)
    # "other person" excuses pedestrians in BDD100K's vocabulary only, which no other one shares the rider with.
    if found is not None and found[0] in names and (not found[1] or "rider" in names):
        return found
    meant = found[0] if found is not None and not found[1] else word
    back = (alias for alias, name in BDD100K_ALIASES.items() if name == meant and alias in names)
    return next(((alias, False) for alias in back), None)
