"""Images into a folder, drawn and encoded in several threads, each file whole or absent."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path

import cv2
import jinja2
import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.base.files import atomic_write
from bdd_inst.base.output_paths import OutputPaths
from bdd_inst.base.pipeline import ordered_map
from bdd_inst.drawing.draw import caption, count, draw_objects, enlarge, side_by_side
from bdd_inst.drawing.matching import with_verdicts
from bdd_inst.drawing.paint import Style
from bdd_inst.images.names import WRITTEN
from bdd_inst.images.read import read_bgr
from bdd_inst.report.annotated_images import AnnotatedImage, ClassTable

JPEG_QUALITY = 92


def image_paths(folder: str | os.PathLike) -> OutputPaths:
    """Where drawn images go, by their names: JPEG and PNG keep theirs, others become PNG (``a.tif.png``).

    Args:
        folder: below which they go.

    Returns:
        a function of an image's name that gives no path twice.
    """
    return OutputPaths(folder, ".png", keep=WRITTEN)


def save_image(path: str | os.PathLike, image: np.ndarray) -> Path:
    """Encode H,W,3 uint8 BGR by the suffix of ``path`` and write it (any characters in the path, on any system).

    Args:
        path: its suffix says the format.
        image: H,W,3 uint8 BGR, or H,W,4 for PNG.

    Returns:
        the path.

    Raises:
        DataError: an image that the format cannot hold.
        OSError: a full disk and the like.
    """
    path = Path(path)
    options = (
        [cv2.IMWRITE_PNG_COMPRESSION, 3]
        if path.suffix.lower() == ".png"
        else [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    done, data = cv2.imencode(path.suffix.lower(), image, options)
    if not done:
        raise DataError(
            f"{path}: an image of {image.shape[1]}x{image.shape[0]} cannot be encoded as {path.suffix}"
        )
    with atomic_write(path, "wb") as stream:
        stream.write(data.tobytes())
    return path


@dataclass(frozen=True)
class AlbumOptions:
    """What a page of the album shows. ``show``: ``both`` (side by side where there are both), ``labels``, ``predictions``."""

    show: str = "both"
    verdicts: bool = False
    iou: float = 0.5
    score_threshold: float = 0.5
    style: Style = field(default_factory=Style)


def compose(entry: AnnotatedImage, class_table: ClassTable, options: AlbumOptions) -> np.ndarray:
    """The finished image H,W,3 uint8 BGR of an entry.

    Raises:
        DataError: the image cannot be read, or labels or predictions do not fit it.
    """
    image = read_bgr(entry.path)
    size = image.shape[:2]
    labels = entry.labels.objects(size, class_table) if entry.labels is not None else None
    found = (
        entry.predictions.objects(size, class_table, options.score_threshold)
        if entry.predictions is not None
        else None
    )
    if labels is not None and found is not None and options.show == "both":
        return side_by_side(
            image,
            labels,
            found,
            verdicts=options.verdicts,
            iou=options.iou,
            title=entry.name,
            style=options.style,
        )
    style = options.style
    if labels is not None and found is not None and options.verdicts:
        labels, found = with_verdicts(labels, found, options.iou)
        style = replace(style, color_by="verdict")
    alone, what = (
        (labels, "labeled") if found is None or options.show == "labels" else (found, "predicted")
    )
    if alone is None:
        raise DataError("nothing to show: the image is not labeled")
    canvas, alone = enlarge(image, alone)
    return caption(
        draw_objects(canvas, alone, style), f"{entry.name}  ·  {count(len(alone))} {what}"
    )


def fill_album(
    entries: Iterable[AnnotatedImage],
    folder: str | os.PathLike,
    class_table: ClassTable,
    options: AlbumOptions,
    problems: ProblemLog,
    workers: int = 2,
) -> Iterator[Path]:
    """Draw every entry below ``folder`` in ``workers`` threads, a few ahead; yields the files in order, problems are counted.

    Args:
        entries: images with labels and predictions; read as they are needed.
        folder: where the drawings go, below it by the entries' names.
        class_table: names and colors by class index.
        options: what a page shows.
        problems: counts what could not be drawn.
        workers: threads.

    Yields:
        the files in the order of the entries.
    """

    def page(entry: AnnotatedImage) -> Path | DataError:
        try:
            return save_image(target[entry.name], compose(entry, class_table, options))
        except DataError as error:
            return error

    places, target = image_paths(folder), {}
    pending: deque[AnnotatedImage] = deque()
    names: set[str] = set()

    def passed() -> Iterator[AnnotatedImage]:
        for entry in entries:
            if entry.path is None:
                problems.add("missing-image", entry.name, "labeled, but there is no such image")
            elif entry.name in names:
                problems.add(
                    "duplicate-image",
                    entry.name,
                    "labeled a second time; the first one is drawn",
                )
            else:
                names.add(entry.name)
                target[entry.name] = places(entry.name)  # here, where the order is fixed
                pending.append(entry)
                yield entry

    for result in ordered_map(page, passed(), workers):
        entry = pending.popleft()
        if isinstance(result, DataError):
            problems.add("not-drawn", entry.name, str(result).removeprefix(f"{entry.path}: "))
        else:
            yield result


def write_index(folder: str | os.PathLike, pages: Sequence[Path], title: str) -> Path:
    """``index.html`` beside the images: all of them as a grid, one at a time by click and arrow keys; works offline.

    Args:
        folder: of the album.
        pages: the images, below it.
        title: of the page.

    Returns:
        the page's path.
    """
    template = (
        resources.files("bdd_inst.report")
        .joinpath("templates", "album.html")
        .read_text(encoding="utf-8")
    )
    names = [page.relative_to(folder).as_posix() for page in pages]
    text = (
        jinja2.Environment(autoescape=True, trim_blocks=True)
        .from_string(template)
        .render(names=names, title=title)
    )
    path = Path(folder, "index.html")
    with atomic_write(path) as stream:
        stream.write(text)
    return path
