"""What a writer must know before the first image: which classes there are and under which ids, which ids and sizes hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bdd_inst.base import vocabulary as classes
from bdd_inst.base.errors import DataError
from bdd_inst.formats.names import bare, full_name
from bdd_inst.formats.records import BDD_SIZE, LabelSet, size_of
from bdd_inst.formats.usable import refuse_nothing_usable
from bdd_inst.formats.words import BDD_KINDS, class_list, own_vocabulary, resolve_classes


@dataclass(slots=True)
class Plan:
    """How the images of one label set are to be written.

    ``categories`` and ``ids`` go together; ``words`` says for each word of the source which category it is and whether that makes the
    object an ignored one. ``keep_ids`` and ``keep_image_ids``: the source's are whole numbers from 1 and unique, so they stay.
    ``size``: height and width of images that do not say theirs. ``rule`` draws outlines; ``made_by`` is how the masks that are written
    came about: by that rule where there are outlines, else however the source's masks did. ``doubles`` are names of images that differ
    in nothing but the ending (``a.jpg``, ``a.tif``); ``repeated`` is a name that several images have. ``things``: which categories are
    countable objects, the others being stuff; None where the source tells no difference.
    """

    kind: str
    categories: tuple[str, ...]
    ids: tuple[int, ...]
    words: dict[str, tuple[str, bool]]
    keep_ids: bool
    keep_image_ids: bool
    images: int
    instances: int
    size: tuple[int, int] | None
    rule: str = "official"
    made_by: str = "official"
    common_size: tuple[int, int] | None = None
    doubles: frozenset[str] = frozenset()
    repeated: str | None = None
    things: tuple[str, ...] | None = None
    number: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.number = dict(zip(self.categories, self.ids, strict=True))


def make_plan(labels: LabelSet, rule: str, wanted: Sequence[str] | None = None) -> Plan:
    """Go through a label set once and lay down how it is to be written.

    ``wanted`` names the categories to keep, in the order of their ids from 1. Without it, a source's own list is kept as it is; BDD100K's
    words go by the names and the order of its official conversion, others are sorted (so that two splits give a class one id).

    Args:
        labels: gone through once.
        rule: that draws outlines, ``official`` or ``coco``.
        wanted: the categories to keep; None keeps all.

    Returns:
        Classes with their ids, which ids stay, and how many images and instances there are.

    Raises:
        DataError: a wanted category occurs nowhere, or there is no image.
    """
    words: dict[str, None] = {}
    ids: set = set()
    image_ids, sizes = set(), set()
    images = instances = outlined = 0
    numbers = image_numbers = True
    names_seen = NamesSeen()
    for image in labels.images:
        images += 1
        names_seen.add(full_name(image))
        numbers_ok = isinstance(image.image_id, int) and image.image_id not in image_ids
        image_numbers = image_numbers and numbers_ok
        image_ids.add(image.image_id)
        sizes.add(size_of(image))
        for instance in image.instances:
            instances += 1
            outlined += bool(instance.paths)
            words.setdefault(instance.category)
            if numbers:
                numbers = type(instance.id) is int and instance.id > 0 and instance.id not in ids
                ids.add(instance.id)
    if not images:
        why = f" ({labels.problems.lines()[0]})" if labels.problems else ""
        raise DataError(f"{labels.source}: no image in it that can be used{why}")
    if not instances:
        refuse_nothing_usable(labels.source, labels.problems)
    names, numbers_of, table = vocabulary(labels, list(words), wanted)
    return Plan(
        labels.kind,
        categories=names,
        ids=numbers_of,
        words=table,
        keep_ids=numbers,
        keep_image_ids=image_numbers,
        images=images,
        instances=instances,
        size=BDD_SIZE if labels.kind in BDD_KINDS else None,
        rule=rule,
        made_by=rule if outlined else labels.rule,
        common_size=sizes.pop() if len(sizes) == 1 else None,
        doubles=frozenset(names_seen.doubles),
        repeated=names_seen.repeated,
        things=things_of(labels, names, table),
    )


def things_of(
    labels: LabelSet, names: Sequence[str], table: dict[str, tuple[str, bool]]
) -> tuple[str, ...] | None:
    """Which categories are countable objects: as the source says, or as BDD100K's panoptic labels have it.

    Args:
        labels: the source.
        names: the categories that are written.
        table: the source's words and what they mean.

    Returns:
        those among ``names``; None where nothing is stuff.
    """
    if labels.things is not None:
        told = {table.get(word, (word,))[0] for word in labels.things}
    elif labels.kind in BDD_KINDS and set(names) & set(classes.BDD100K_PAN_STUFF):
        told = set(names) - set(classes.BDD100K_PAN_STUFF)
    else:
        return None
    return tuple(name for name in names if name in told)


def vocabulary(
    labels: LabelSet, words: list[str], wanted: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[int, ...], dict[str, tuple[str, bool]]]:
    """What a source's words mean.

    Args:
        labels: the source; classes that it lacks are counted there.
        words: of its objects.
        wanted: the categories asked for; None for all.

    Returns:
        Category names, their ids, and for each word of the source the category it means (with whether it is ignored).

    Raises:
        DataError: nothing of what is wanted is there.
    """
    resolved = resolve_classes(labels, words)
    present = sorted({name for name, _ in resolved.values()})
    if wanted:
        # Asked for by the source's own word (person), an object is what it is called there.
        resolved |= {
            word: (word, False) for word in words if word in wanted and word not in present
        }
        present = sorted({name for name, _ in resolved.values()})
        missing = [
            name for name in wanted if name not in present and name not in (labels.categories or ())
        ]
        if len(missing) == len(wanted):
            raise DataError(
                f"{labels.source}: no category {missing[0]!r} in it; there are {', '.join(present) or 'none'}"
            )
        for name in missing:  # a split need not have them all
            labels.problems.add("category-absent", labels.source, f"no object of {name!r}")
        return (
            tuple(wanted),
            tuple(range(1, len(wanted) + 1)),
            {w: m for w, m in resolved.items() if m[0] in wanted},
        )
    listed = labels.categories
    if listed is not None and (labels.kind not in BDD_KINDS or set(present) <= set(listed)):
        ids = labels.category_ids or tuple(range(1, len(listed) + 1))
        others = [name for name in present if name not in listed]
        more = range(max(ids, default=0) + 1, max(ids, default=0) + 1 + len(others))
        return (*listed, *others), (*ids, *more), resolved
    if (
        labels.kind in BDD_KINDS
        and any(name in classes.BDD100K_DET for name in present)
        and not own_vocabulary(labels, words)
    ):
        known = class_list(present)
        present = [*known, *(name for name in present if name not in known)]
    return tuple(present), tuple(range(1, len(present) + 1)), resolved


class NamesSeen:
    """The names of a set's images: which differ in nothing but the ending, and whether one comes twice."""

    def __init__(self) -> None:
        self.by_stem: dict[str, str] = {}
        self.doubles: set[str] = set()
        self.repeated: str | None = None

    def add(self, name: str) -> None:
        """Take in the next image's name."""
        known = len(self.by_stem)
        first = self.by_stem.setdefault(bare(name), name)
        if len(self.by_stem) > known:
            return
        if first == name or name in self.doubles:
            self.repeated = self.repeated or name
        else:
            self.doubles |= {first, name}
