"""COCO instances files as ground truth: what the one reader of such files gives, with ids, boxes and areas as the file has them.

The reader's policy is that of every other tool: what is damaged is left out and counted, the object it belongs to is kept, and the
figures carry the counts as notes. The figures are defined on the file's own ``bbox`` and ``area``, to the last bit.
"""

from __future__ import annotations

from pathlib import Path

from bdd_inst import formats
from bdd_inst.evaluation.ground_truth import GroundTruth, GroundTruthBuilder
from bdd_inst.formats import shapes
from bdd_inst.formats.coco_entries import key_of
from bdd_inst.formats.records import Instance, size_of
from bdd_inst.formats.sniff import Found


def read_truth(path: str | Path | Found, images: str | Path | None = None) -> GroundTruth:
    """A COCO instances file as ground truth. Images and classes are ordered by id; objects whose class, image or shape cannot be told are
    left out, counted.

    Args:
        path: the file, or what :func:`formats.inspect` found there.
        images: the folder of images, for sizes that the file does not say.

    Returns:
        Its images, classes and objects, with what was left out.

    Raises:
        DataError: unreadable JSON, no images, classes that share an id or a name, outlines in an image of unknown size.
    """
    found = path if isinstance(path, Found) else formats.inspect(path, "coco")
    labels, path = formats.read(found, images=images).load(), found.path
    named = zip(labels.category_ids or (), labels.categories or (), strict=True)
    classes = dict(sorted(named)) or {
        int(word): word for word in sorted({i.category for p in labels.images for i in p.instances})
    }
    builder = GroundTruthBuilder(list(classes.values()), list(classes), str(path))
    builder.problems.merge(labels.problems)
    position = {name: k for k, name in enumerate(classes.values())}
    ordered = [(key_of(image.image_id), image) for image in labels.images]
    # Numbers before words: ids of both kinds in one file have no order of their own.
    for own, image in sorted(ordered, key=lambda pair: (isinstance(pair[0], str), pair[0])):
        height, width = size_of(image) or (0, 0)
        builder.image(own, image.name, height, width, image.attributes)
        for instance in image.instances:
            where = f"{path}: annotation {instance.id!r} of image {own}"
            add_object(builder, instance, position[instance.category], where)
    return builder.build()


def add_object(builder: GroundTruthBuilder, instance: Instance, category: int, where: str) -> None:
    """One object; a missing box is taken from its mask, a missing area from mask or box. One with neither is counted."""
    mask = instance.rle or shapes.flat_polygons(instance)[0] or None
    box = instance.xywh
    if box is None and mask is not None:
        box = builder.mask_box(mask)
    if box is None:
        builder.problems.add("no-shape", where, "neither box nor mask; left out")
        return
    flags = {
        name: getattr(instance, name) for name in ("occluded", "truncated", "ignored", "crowd")
    }
    builder.add(
        category,
        box=box,
        mask=mask,
        area=instance.area,
        crowd=instance.crowd,
        ignored=instance.ignored,
        attributes=instance.attributes | flags,
    )
