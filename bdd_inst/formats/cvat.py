"""CVAT's XML 1.1, for images and for video: polygons, boxes (turned ones too), ellipses and masks; in videos as tracks over frames.

A video's frames are called ``frame_000000`` as its export calls them. A track's shape holds on a frame that the file lists; between two
that it lists apart, boxes and outlines of as many corners move evenly, as CVAT shows them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import fields
from bdd_inst.formats.cvat_shapes import SHAPES, instance_of, moved
from bdd_inst.formats.reading import label_set
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.sniff import Found
from bdd_inst.formats.xml_files import Element, elements, root_tag, text_of

# A video of more is a broken number: eleven hours at 25 frames a second.
MOST_FRAMES = 1 << 20
# Frames between two that a track lists; CVAT itself lists every one.
MOST_BETWEEN = 1 << 12


def find(path: Path) -> list[Path]:
    """The XML file itself, or those of an export's folder (``annotations.xml``), where they are CVAT's; else none."""
    if path.is_dir():
        files = sorted(path.glob("*.xml")) or sorted(path.glob("*/*.xml"))
        return files if files and root_tag(files[0]) == "annotations" else []
    return [path] if path.suffix.lower() == ".xml" and root_tag(path) == "annotations" else []


def read(found: Found) -> LabelSet:
    """The label set of one export, or of several in a folder. Classes keep the order of the tasks' label tables."""
    categories: dict[str, None] = {}
    for file in found.files:
        for meta in elements(file, frozenset({"meta"})):
            for label in meta.iter("label"):
                if text_of(label, "type") not in (
                    "polyline",
                    "points",
                    "cuboid",
                    "skeleton",
                    "tag",
                ):
                    categories.setdefault(text_of(label, "name"))
    categories.pop("", None)

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        for file in found.files:
            yield from _images(file, log)

    return label_set(found, generate, "coco", categories=tuple(categories) or None)


def _images(file: Path, log: ProblemLog) -> Iterator[ImageLabels]:
    """The images of one file, or the frames of its video."""
    tracks: dict[int, list[Instance]] = defaultdict(list)
    meta = {"size": None, "name": None, "frames": 0}
    video = False
    for element in elements(file, frozenset({"meta", "image", "track"})):
        if element.tag == "meta":
            meta = _video_of(element, file)
        elif element.tag == "image":
            image = _image(element, file, log)
            if image is not None:
                yield image
        else:
            video = True
            where = f"{file}: track {element.get('id')!s:.20}"
            _track(element, tracks, meta["size"], where=where, log=log)
    if not video:
        return
    width, height = meta["size"] or (None, None)
    for number in range(max(meta["frames"], max(tracks, default=-1) + 1)):
        yield ImageLabels(
            f"frame_{number:06d}.jpg",
            width,
            height,
            instances=tracks.get(number, []),
            video=meta["name"],
            frame_index=number,
        )


def _video_of(meta: Element, file: Path) -> dict:
    """Size, name and number of frames of a task, as far as its table says them."""
    task = next(
        (meta.find(tag) for tag in ("task", "job", "project") if meta.find(tag) is not None), meta
    )
    size = meta.find(".//original_size")
    sides = (
        [fields.side(text_of(size, k)) for k in ("width", "height")] if size is not None else [None]
    )
    frames = text_of(task, "size")
    number = int(frames) if frames.isdecimal() and len(frames) < 10 else 0
    if number > MOST_FRAMES:
        raise DataError(f"{file}: a video of {number} frames is none that CVAT exports")
    return {
        "size": tuple(sides) if all(sides) else None,
        "name": text_of(task, "name") or None,
        "frames": number,
    }


def _image(element: Element, file: Path, log: ProblemLog) -> ImageLabels | None:
    """One ``image``; None, counted, where it has no name. Its number in the task is no id that results would know it by."""
    name = (element.get("name") or "").strip()
    if not name:
        log.add(
            "bad-record", f"{file}: image {element.get('id')!s:.20}", "without a name; left out"
        )
        return None
    image = ImageLabels(
        name,
        fields.side(element.get("width")),
        fields.side(element.get("height")),
    )
    for number, shape in enumerate(element):
        where = f"{file} ({name}), {shape.tag} #{number}"
        if shape.tag == "tag":
            image.attributes[str(shape.get("label"))] = True
            continue
        try:
            image.instances.append(instance_of(shape, image.width, image.height))
        except (DataError, ValueError, TypeError, OverflowError) as error:
            log.add("bad-label", where, f"{error}; left out")
    return image


def _track(
    element: Element,
    frames: dict[int, list[Instance]],
    size: tuple[int, int] | None,
    *,
    where: str,
    log: ProblemLog,
) -> None:
    """Put one track's object on the frames on which it is seen."""
    width, height = size or (None, None)
    before: tuple[int, Instance] | None = None
    for shape in element:
        if shape.tag not in SHAPES:
            continue
        place = f"{where}, frame {shape.get('frame')!s:.12}"
        try:
            frame = _frame_of(shape)
            instance = None
            if not fields.truth(shape.get("outside")):
                instance = instance_of(shape, width, height, label=element.get("label"))
                instance.id = fields.identity(element.get("id"))
        except (DataError, ValueError, TypeError, OverflowError) as error:
            log.add("bad-label", place, f"{error}; left out")
            before = None
            continue
        if before is not None and frame - before[0] > MOST_BETWEEN:
            message = f"{frame - before[0]} frames after the one before; left out between them"
            log.add("bad-label", place, message)
        elif before is not None:
            # Up to the frame on which it is next listed, as it leaves the image too.
            for between in range(before[0] + 1, frame):
                frames[between].append(
                    moved(before[1], instance, (between - before[0]) / (frame - before[0]))
                )
        if instance is not None:
            frames[frame].append(instance)
        before = None if instance is None else (frame, instance)


def _frame_of(shape: Element) -> int:
    text = shape.get("frame") or ""
    if not text.isdecimal() or len(text) > 9 or int(text) > MOST_FRAMES:
        raise ValueError(f"frame {text[:20]!r} is no frame's number")
    return int(text)
