"""Folders of PNGs from any label set: BDD100K bitmasks, palette label maps, 0/255 masks; each written whole or not at all.

None of them can hold overlaps: the higher score's pixel stays, without scores the later label's. ``.conversion.json`` in the folder
notes the class names, their numbers and the rule that drew the masks. A PNG has no place for scores: those of bitmasks go to
``FOLDER.json`` beside the folder, a Scalabel list whose labels name instance numbers under ``index``, as the official evaluation reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bdd_inst.base import vocabulary as classes
from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.formats import bitmask, label_map, shapes
from bdd_inst.formats.records import ImageLabels, Instance
from bdd_inst.formats.sniff import NOTE_FILE
from bdd_inst.formats.target import Parts, Target
from bdd_inst.formats.words import BDD_KINDS
from bdd_inst.masks import run_lengths
from bdd_inst.masks.label_runs import drawing_order

# The objects that are drawn: each with its mask, its class, and whether that is an ignored one.
Chosen = list[tuple[Instance, dict, str, bool]]


@dataclass
class PngTarget(Target):
    """One PNG an image, of its stem, below ``path``; frames of a video in a folder of its name."""

    folder, suffix = True, ".png"

    def encode(self, image: ImageLabels) -> Any:
        size = self.size_to_draw(image, "PNG")
        if size is None:
            return None
        height, width = size
        chosen: Chosen = []
        for instance, rle in self.drawn(image, height, width):
            found = self.category(instance.category)
            if found is None or self.class_number(found[0]) is None:
                if found is not None:
                    self.skipped.add(
                        "category-left-out",
                        found[0],
                        f"{type(self).__name__[:-6]} has no number for this class",
                    )
                continue
            if rle is None:
                self.skipped.add(
                    "no-mask",
                    shapes.instance_name(image, instance),
                    "a label without outline or mask; left out",
                )
                continue
            chosen.append((instance, rle, *found))
        file = self.path / self.file_of(image)
        values = self.pixels(chosen, height, width)
        self._count_lost(image, chosen, values)
        size = self.save(file, values)
        return [image.name, str(file.relative_to(self.path)), self.scores(chosen), size]

    def _count_lost(
        self,
        image: ImageLabels,
        chosen: Chosen,
        values: np.ndarray,
    ) -> None:
        """Count what a PNG of these values cannot say of the image and its instances."""
        covered = sum(run_lengths.area(rle) for _, rle, _, _ in chosen) - int(
            np.count_nonzero(values if values.ndim == 2 else values[..., 0])
        )
        if covered:
            self.lost.add(
                "lost-overlaps",
                image.name,
                f"{covered} pixels belong to several objects; one keeps each",
            )
        if image.attributes:
            self.lost.add("lost-image-attributes", image.name, "a PNG has none")
        if not self.keeps_scores and any(instance.score is not None for instance, *_ in chosen):
            self.lost.add("lost-scores", image.name, "decide on overlaps, and are not kept")

    def intact(self, part: Any) -> bool:
        _, name, _, size = part
        try:
            found = (self.path / name).stat().st_size
        except OSError:
            return False
        return found == size if size else found > 0

    def file_of(self, image: ImageLabels) -> Path:
        """Where an image's PNG goes, relative to the folder and inside it."""
        return Path(self.name_of(image))

    def class_number(self, name: str) -> int | None:
        """The number of a class in the pixels; None where the format has none for it."""
        number = self.plan.number[name]
        return number if 0 < number <= 255 else None

    def pixels(self, chosen: Chosen, height: int, width: int) -> np.ndarray:
        """The PNG's values: H,W uint8, or H,W,4 uint8 for bitmasks."""
        raise NotImplementedError

    keeps_scores = False

    def scores(self, chosen: Chosen) -> list[dict]:
        """Scalabel labels with the scores of an image's instances; empty for formats that no scores go with."""
        return []

    def save(self, file: Path, values: np.ndarray) -> int | None:
        """Write the values of :meth:`pixels`, H,W or H,W,4 uint8; how many bytes that made, where the disk may not have them yet."""
        raise NotImplementedError

    def finish(self, parts: Parts) -> None:
        names = [name for name in self.plan.categories if self.class_number(name) is not None]
        note = {
            "mask_rule": self.plan.made_by,
            "source": self.plan.kind,
            "categories": names,
            "ids": [self.class_number(name) for name in names],
        } | self.write_scores(parts)
        with atomic_write(self.path / NOTE_FILE, "wb") as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(note), indent=1))

    def write_scores(self, parts: Parts) -> dict:
        """Write the file of scores where any image has some; what the note says of it."""
        return {}


@dataclass
class BitmaskTarget(PngTarget):
    """BDD100K bitmasks. Its own classes are 1 to 8, in panoptic labels 1 to 40; other vocabularies count from 1 in their order."""

    keeps_scores = True

    def class_number(self, name: str) -> int | None:
        names = self.vocabulary
        return names.index(name) + 1 if name in names[:255] else None

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Names in the order of their numbers, from 1."""
        own = self.plan.categories
        if self.plan.things is not None and set(own) <= set(classes.BDD100K_PAN_SEG):
            return classes.BDD100K_PAN_SEG
        return classes.BDD100K_INS_SEG if self.official else own

    @property
    def official(self) -> bool:
        return self.plan.kind in BDD_KINDS and any(
            name in classes.BDD100K_INS_SEG for name in self.plan.categories
        )

    def pixels(self, chosen: Chosen, height: int, width: int) -> np.ndarray:
        return bitmask.to_bitmask(self.items(chosen), height, width, _scores(chosen))

    def items(self, chosen: Chosen) -> list[bitmask.BitmaskInstance]:
        """The instances as bitmasks know them."""
        numbers = _numbers([instance for instance, *_ in chosen])
        return [
            bitmask.BitmaskInstance(
                rle,
                category=self.class_number(name),
                number=number,
                truncated=i.truncated,
                occluded=i.occluded,
                crowd=i.crowd,
                ignored=ignored or i.ignored,
            )
            for (i, rle, name, ignored), number in zip(chosen, numbers, strict=True)
        ]

    def scores(self, chosen: Chosen) -> list[dict]:
        numbers = bitmask.numbers_of(self.items(chosen), _scores(chosen))
        return [
            {"id": str(number), "index": number, "category": name, "score": instance.score}
            for (instance, _, name, _), number in zip(chosen, numbers, strict=True)
            if instance.score is not None
        ]

    def write_scores(self, parts: Parts) -> dict:
        file = self.path.with_name(self.path.name + ".json")
        if not any(labels for _, _, labels, _ in parts()):
            if self._ours(file):  # scores of an earlier conversion into this folder
                file.unlink(missing_ok=True)
            return {}
        if file.exists() and not self._ours(file):
            raise DataError(
                f"{file}: the scores of these bitmasks go there, and it holds something else; move it, or write elsewhere"
            )
        with atomic_write(file, "wb") as stream:
            for number, (name, _, labels, _) in enumerate(parts()):
                stream.write(b",\n" if number else b"[\n")
                stream.write(msgspec.json.encode({"name": name, "labels": labels}))
            stream.write(b"\n]\n")
        return {"scores": file.name}

    def _ours(self, file: Path) -> bool:
        """Whether an earlier conversion into this folder has written ``file``."""
        try:
            note = msgspec.json.decode((self.path / NOTE_FILE).read_bytes())
        except (OSError, ValueError, RecursionError):
            return False
        return isinstance(note, dict) and note.get("scores") == file.name

    def _count_lost(
        self,
        image: ImageLabels,
        chosen: Chosen,
        values: np.ndarray,
    ) -> None:
        super()._count_lost(image, chosen, values)
        hidden = len(chosen) - len(np.unique(bitmask.instance_numbers(values)[values[..., 0] > 0]))
        if hidden:
            self.lost.add(
                "hidden-objects",
                image.name,
                f"{hidden} objects have no pixel left under others",
                count=hidden,
            )
        if len(chosen) and not any(_numbers([instance for instance, *_ in chosen])):
            self.lost.add("lost-ids", image.name, "numbers within the image take their place")

    def save(self, file: Path, values: np.ndarray) -> None:
        bitmask.write_bitmask(file, values)


@dataclass
class LabelMapTarget(PngTarget):
    """Palette PNGs of class numbers."""

    def pixels(self, chosen: Chosen, height: int, width: int) -> np.ndarray:
        chosen = [chosen[i] for i in drawing_order(_scores(chosen), len(chosen))]
        return label_map.to_label_map(
            [rle for _, rle, _, _ in chosen],
            [self.class_number(n) for _, _, n, _ in chosen],
            height,
            width,
        )

    def save(self, file: Path, values: np.ndarray) -> None:
        label_map.write_label_map(file, values)


@dataclass
class BinaryTarget(PngTarget):
    """Gray PNGs, 255 where any object is, 0 elsewhere."""

    def class_number(self, name: str) -> int | None:
        return 255

    def _count_lost(
        self,
        image: ImageLabels,
        chosen: Chosen,
        values: np.ndarray,
    ) -> None:
        super()._count_lost(image, chosen, values)
        if len(chosen) > 1:
            self.lost.add(
                "lost-instances", image.name, f"{len(chosen)} objects become one foreground"
            )
        if len({name for _, _, name, _ in chosen}) > 1:
            self.lost.add(
                "lost-classes", image.name, "all are foreground; their classes are not kept"
            )

    def pixels(self, chosen: Chosen, height: int, width: int) -> np.ndarray:
        return label_map.to_label_map(
            [rle for _, rle, _, _ in chosen], [255] * len(chosen), height, width
        )

    def save(self, file: Path, values: np.ndarray) -> int:
        return label_map.write_gray(file, values)


def _scores(chosen: Chosen) -> list[float | None]:
    return [instance.score for instance, *_ in chosen]


def _numbers(instances: list[Instance]) -> list[int]:
    """The instances' numbers in the PNG: their ``index``, or their ids where these are such numbers; else 0, to be given."""
    for given in ([i.attributes.get("index") for i in instances], [i.id for i in instances]):
        if all(type(n) is int and 1 <= n <= bitmask.MAX_NUMBER for n in given) and len(
            set(given)
        ) == len(given):
            return given
    return [0] * len(instances)
