"""Label files of every kind read and written, by the table of formats, with what all kinds share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.base.output_paths import refuse_overlap
from bdd_inst.formats.conversion import Conversion, Progress, convert, fingerprint_of
from bdd_inst.formats.join_masks import with_masks
from bdd_inst.formats.plan import make_plan
from bdd_inst.formats.records import ImageLabels, LabelSet, LazyImages
from bdd_inst.formats.sniff import NOTE_FILE, Found, sniff
from bdd_inst.formats.table import (
    FORMATS,
    Finder,
    Format,
    Reader,
    Signs,
    check_options,
    kinds,
    part_of,
)
from bdd_inst.formats.target import Target
from bdd_inst.formats.usable import usable_images
from bdd_inst.images.finder import ImageFinder


def read(
    path: str | os.PathLike | Found,
    kind: str | None = None,
    images: str | os.PathLike | ImageFinder | None = None,
    bitmasks: str | os.PathLike | None = None,
    class_attribute: str | None = None,
    values: Mapping[int, str] | None = None,
) -> LabelSet:
    """Read a label source of any kind; ``path`` may be what :func:`sniff` found there, which is not read again.

    ``kind`` spares the look at its content; ``images``, a folder or its finder, fills in sizes that the labels lack; ``bitmasks``, a folder of them, the masks;
    ``class_attribute`` names the attribute that is an object's class (VIA); ``values`` says what the values of label maps mean.
    """
    found = path if isinstance(path, Found) else sniff(path, kind, named=bool(values))
    path = found.path
    finder = ImageFinder(images) if isinstance(images, (str, os.PathLike)) else images
    found.images = None if finder is None else finder.folder
    found.class_attribute = class_attribute
    found.values = dict(values) if values else None
    check_options(found.kind, {"values": values, "class_attribute": class_attribute}, str(path))
    labels = part_of(found.kind, "read")(found)
    if bitmasks is not None:
        labels.images = with_masks(labels, bitmasks)
        labels.notes += (f"masks from the bitmasks in {bitmasks}",)
    if finder is not None:
        labels.images = with_sizes(labels, finder)
    labels.images = usable_images(labels)
    return labels


def with_sizes(labels: LabelSet, finder: ImageFinder) -> LazyImages:
    """The images of a label set with the sizes that it lacks read from the image files; those that cannot be are counted.

    Labels of another size than their image's are left out, counted: nobody can tell which pixels they mean.
    """
    images = labels.images

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        for image in images:
            unknown = image.width is None or image.height is None
            try:
                height, width = finder.size(image)
            except DataError as error:
                if unknown:
                    log.add("no-image-size", labels.source, str(error))
                yield image
                continue
            if unknown:
                image.height, image.width = height, width
            elif (image.height, image.width) != (height, width):
                message = f"the image is shown {width}x{height}, its labels are for {image.width}x{image.height}; left out"
                log.add("wrong-size-image", f"{labels.source} ({image.name})", message)
                continue
            yield image

    return LazyImages(generate, labels.problems)


def register_format(
    kind: str,
    *,
    read: Reader | None = None,
    signs: Signs | None = None,
    find: Finder | None = None,
    write: type[Target] | None = None,
    **facts: Any,
) -> None:
    """Enter a label format of one's own, which is asked before all others; of a kind that is there already, only what is given changes.

    Args:
        kind: its name, as ``--kind`` and ``--to`` take it.
        read: from a label source (``found.path``, ``found.files``) to its label set.
        signs: for JSON files, whether an object is of this kind (:class:`bdd_inst.formats.signs.Glimpse`).
        find: for other files, from a path to its label files of this kind, none where it has none. Without both the kind is read as
            ``--kind`` only.
        write: the writer's class.
        facts: the other fields of :class:`bdd_inst.formats.table.Format`.
    """
    parts = {"read": read, "signs": signs, "find": find, "write": write, **facts}
    entry = FORMATS.pop(kind, None) or Format(name=kind)
    for name, part in parts.items():
        if part is not None:
            setattr(entry, name, part)
    others = dict(FORMATS)
    FORMATS.clear()
    FORMATS.update({kind: entry} | others)


def write(
    labels: LabelSet,
    path: str | os.PathLike,
    to: str,
    *,
    raster: str | None = None,
    categories: Sequence[str] | None = None,
    masks: str = "auto",
    prefer: str = "paths",
    images: str | os.PathLike | None = None,
    workers: int | None = 1,
    progress: Progress | None = None,
    writer: type[Target] | None = None,
) -> Conversion:
    """Write a label set as ``to``; what each option means is told by :class:`bdd_inst.formats.target.Target` and the writers.

    ``raster``: the rule that draws outlines, ``official`` or ``coco`` (default: the label set's own). ``images``: the folder of images,
    for dicts. ``writer``: another room's writer, in place of the one that ``to`` names. An interrupted run is taken up where the source
    is a file or folder that has not changed since.
    """
    if writer is None and to not in kinds("write"):
        raise DataError(f"unknown target {to!r}; known are {', '.join(kinds('write'))}")
    rule = raster or labels.drawing_rule
    plan = make_plan(labels, rule, categories)
    writer = writer or part_of(to, "write")
    options = {
        "to": to,
        "raster": rule,
        "categories": plan.categories,
        "masks": masks,
        "prefer": prefer,
        "images": str(images),
    }
    options["notes"] = labels.notes
    extra = (
        {"images": str(images)}
        if images is not None and "images" in writer.__dataclass_fields__
        else {}
    )
    target = writer(plan, Path(path), prefer=prefer, masks=masks, **extra)
    check_output(target, labels, images)
    mark = fingerprint_of(labels.source, labels.files, options) if labels.files else ""
    return convert(labels, target, fingerprint=mark, workers=workers, progress=progress)


def check_output(target: Target, labels: LabelSet, images: str | os.PathLike | None = None) -> None:
    """Refuse an output that would overwrite what it is made from, or images that lie in its place, before anything is written.

    Raises:
        DataError: a folder of results in or over the folder of labels or images, or one that holds PNGs of others; a file of
            results over a file of labels; images that would overwrite each other's files.
    """
    target.check_names(labels.source)
    folder = target.image_folder
    if folder != target.path:
        refuse_overlap(target.path, *labels.files)
    if folder is None:
        return
    source = Path(labels.source)
    refuse_overlap(folder, images, source if source.is_dir() else None)
    parts = target.path.parent / f".{target.path.name}.parts"
    # What marks files as those of an earlier run of ours: a note in the folder, or the file that the folder belongs to.
    ours = folder / NOTE_FILE if folder == target.path else target.path
    if folder.is_dir() and not parts.exists() and not ours.exists():
        found = next((p for p in folder.rglob("[!.]*") if p.suffix.lower() == target.suffix), None)
        if found is not None:
            raise DataError(
                f"{folder}: holds {target.suffix} files of others ({found.name}), which could be overwritten; "
                "name a new or empty folder"
            )
