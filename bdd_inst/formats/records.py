"""What every reader gives and every writer takes: label sets of images of instances, whatever file they came from.

Boxes are ``x1, y1, x2, y2`` in pixels, continuous and exclusive (a one-pixel object at the origin is ``0, 0, 1, 1``); readers of
formats with other conventions convert and say so. Polygons are :class:`bdd_inst.masks.outlines.Outline` in the file's own coordinates,
curves and all; masks are COCO compressed RLE with ``str`` counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bdd_inst.base.errors import ProblemLog
from bdd_inst.base.memory import gc_paused
from bdd_inst.images.names import as_text
from bdd_inst.masks.outlines import Outline

Box = tuple[float, float, float, float]


@dataclass(slots=True)
class Instance:
    """One labeled (or predicted) object.

    ``category`` is the file's own word, stripped; what it means (``person`` = ``pedestrian``) is the data set's business.
    ``box`` may be None, so may ``paths`` and ``rle``; a label that carries both keeps both. ``crowd`` and ``ignored`` are what the
    file says. ``attributes`` are the label's other attributes. ``rle`` is ``{"size": [h, w], "counts": str}``. ``area`` is the file's own
    figure (COCO), None where it has none. ``xywh`` is COCO's ``[x, y, width, height]`` as the file has it, for figures that are defined on it
    to the last bit.
    """

    category: str
    box: Box | None = None
    paths: list[Outline] | None = None
    rle: dict | None = None
    crowd: bool = False
    ignored: bool = False
    occluded: bool = False
    truncated: bool = False
    score: float | None = None
    id: str | int | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    area: float | None = None
    xywh: tuple[float, float, float, float] | None = None

    @property
    def has_mask(self) -> bool:
        """True where the file says which pixels are the object's, not only its box."""
        return bool(self.paths) or self.rle is not None


@dataclass(slots=True)
class ImageLabels:
    """One image and its labels.

    ``name`` is the image's file name as in the label file (``url`` is never used for it); ``width`` and ``height`` are None where
    the file does not say. ``labeled`` is False where the file has the image but no word on its objects (``labels: null`` or missing),
    which is not the same as an empty list: looked at, nothing there.
    """

    name: str
    width: int | None = None
    height: int | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)
    video: str | None = None
    frame_index: int | None = None
    image_id: int | str | None = None
    labeled: bool = True

    def __post_init__(self) -> None:
        # Of a file's name that is no UTF-8; formats could not write it.
        self.name = as_text(self.name)


# Height and width of every BDD100K image, for label files that do not say.
BDD_SIZE = (720, 1280)


def size_of(image: ImageLabels) -> tuple[int, int] | None:
    """Height and width of an image from itself, else from a mask of its; None where neither says.

    Args:
        image: of a label set.

    Returns:
        (height, width) in pixels, or None.
    """
    if image.height and image.width:
        return image.height, image.width
    return next((tuple(i.rle["size"]) for i in image.instances if i.rle is not None), None)


@dataclass
class LabelSet:
    """What one file or folder holds.

    ``images`` may be iterated any number of times; readers of large files parse as they go, so ``problems`` is complete after the
    first whole iteration (call :meth:`load` to have it all at once). ``categories`` is the file's own list in its own order, where it
    has one, and ``category_ids`` the ids that go with it. ``rule`` names the rule that made its masks, or that should make them from
    its polygons: ``official`` (BDD100K: snap, then every touched pixel), ``coco`` (pycocotools' fill), or ``pixels`` (the file holds
    masks drawn by hand or tool, no polygons to draw). ``notes`` say which reading of the format was chosen where there are two.
    ``things``: in panoptic labels, which categories are countable objects; the others are stuff. None where the file tells no difference.
    ``files`` are those that it was read from.
    """

    kind: str
    source: str
    categories: tuple[str, ...] | None
    images: Iterable[ImageLabels]
    problems: ProblemLog
    rule: str
    category_ids: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    things: tuple[str, ...] | None = None
    files: tuple[Path, ...] = ()

    @property
    def drawing_rule(self) -> str:
        """The rule that draws outlines of these labels into masks: ``official`` or ``coco``."""
        return "official" if self.rule == "official" else "coco"

    def load(self) -> LabelSet:
        """Parse everything now and keep it as a list; returns itself."""
        if not isinstance(self.images, list):
            with gc_paused():
                self.images = list(self.images)
        return self


class LazyImages:
    """An iterable that starts a fresh generator each time; problems are logged only on the first whole pass, so none counts twice."""

    def __init__(
        self, generate: Callable[[ProblemLog], Iterator[ImageLabels]], problems: ProblemLog
    ) -> None:
        self._generate = generate
        self._problems = problems
        self._logged = False

    def __iter__(self) -> Iterator[ImageLabels]:
        log = ProblemLog(keep=self._problems.keep)
        yield from self._generate(log)
        if not self._logged:
            self._logged = True
            self._problems.merge(log)
