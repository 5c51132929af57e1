"""Label JSON and a folder of bitmasks that belong together: every label gets its mask from the PNG of its image.

Which instance is whose: by the label's ``index``, else by its id where that is a number of the PNG and of the same class, else by order,
the n-th label being instance n (what the official tools assume). A pair whose classes differ is no pair: the label stays without mask,
counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bdd_inst.base import vocabulary as classes
from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import bitmask
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet, LazyImages
from bdd_inst.images.finder import ImageFinder


def with_masks(labels: LabelSet, folder: str | os.PathLike) -> LazyImages:
    """The images of ``labels`` with the masks of a bitmask folder. DataError where there is no such folder."""
    finder = ImageFinder(folder)
    images = labels.images

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        for image in images:
            if image.labeled:
                _join(image, finder, log)
            yield image

    return LazyImages(generate, labels.problems)


def _join(image: ImageLabels, finder: ImageFinder, log: ProblemLog) -> None:
    try:
        path = finder.find(str(Path(image.name).with_suffix(".png")))
        if path is None:
            log.add("missing-bitmask", image.name, f"no bitmask of this name below {finder.folder}")
            return
        (image.height, image.width), found = bitmask.read_bitmask(path)
    except DataError as error:
        log.add("unreadable-file", image.name, str(error))
        return
    numbers = _numbers(image.instances, found)
    by_number = {item.number: item for item in found}
    used = set()
    for instance, number in zip(image.instances, numbers, strict=True):
        where = f"{image.name}: label {instance.id!r}"
        item = by_number.get(number)
        if item is None:
            # A label wholly covered by others has no pixel in the PNG.
            log.add(
                "no-mask",
                where,
                f"instance {number} is not in its bitmask; the label stays without mask",
            )
        elif number in used:
            log.add(
                "mask-mismatch",
                where,
                f"instance {number} of the bitmask is another label's already; the label stays without mask",
            )
        elif category_of(instance) != item.category:
            message = f"instance {number} is of class {item.category} in the bitmask, {instance.category} here"
            log.add("mask-mismatch", where, f"{message}; the label stays without mask")
        else:
            instance.rle = item.rle
            used.add(number)
    spare = len(by_number.keys() - used)
    if spare:
        log.add(
            "mask-without-label",
            image.name,
            f"{spare} instances of the bitmask belong to no label; left out",
            count=spare,
        )


def _numbers(instances: list[Instance], found: list[bitmask.BitmaskInstance]) -> list[int]:
    """The number in the bitmask for every label."""
    given = [instance.attributes.get("index") for instance in instances]
    if all(type(number) is int for number in given):
        return given
    categories = {item.number: item.category for item in found}
    ids = [int(i.id) if str(i.id).isdecimal() and len(str(i.id)) < 6 else -1 for i in instances]
    # Ids count as numbers of the PNG only where every label of the image agrees in class: one that fits by chance
    # would give its label another object's mask.
    if len(set(ids)) == len(ids) and all(
        categories.get(own) == category_of(i) for own, i in zip(ids, instances, strict=True)
    ):
        return ids
    return list(range(1, len(instances) + 1))


def category_of(instance: Instance) -> int | None:
    """The class number that a bitmask has for an instance's category; None for words that bitmasks do not have."""
    found = classes.bdd_word(instance.category)
    return classes.BDD100K_DET.index(found[0]) + 1 if found else None
