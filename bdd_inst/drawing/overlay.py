"""Images with their labels drawn in, as a target of conversion: one JPEG for each labeled image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.drawing.draw import draw_instances
from bdd_inst.formats import shapes
from bdd_inst.formats.records import ImageLabels
from bdd_inst.formats.target import Parts, Target
from bdd_inst.images.finder import ImageFinder
from bdd_inst.images.read import read_bgr
from bdd_inst.masks import run_lengths

QUALITY = 90


@dataclass
class OverlayTarget(Target):
    """``images`` is the folder of images; those that are missing or unlabeled are counted and left out."""

    folder = True

    images: str = ""

    def encode(self, image: ImageLabels) -> str | None:
        """Draw one image; its file's name."""
        if not hasattr(self, "_finder"):
            self._finder = ImageFinder(self.images)
        try:
            source = self._finder.find(image)
        except DataError as error:
            self.skipped.add("ambiguous-image", image.name, str(error))
            return None
        if source is None:
            self.skipped.add("missing-image", image.name, f"not below {self.images}")
            return None
        try:
            pixels = read_bgr(source)
        except DataError as error:
            self.skipped.add("unreadable-image", image.name, str(error))
            return None
        if not image.labeled:
            self.skipped.add(
                "unlabelled-image", image.name, "labels are null or missing; nothing to draw"
            )
            return None
        height, width = pixels.shape[:2]
        if image.width and (image.width, image.height) != (width, height):
            message = (
                f"the image is {width}x{height}, its labels are for {image.width}x{image.height}"
            )
            self.skipped.add("wrong-size-image", image.name, message)
            return None
        drawn = self._draw(image, pixels)
        file = self.file_of(image)
        self._save(self.path / file, drawn)
        return str(file)

    def files_of(self, part: str) -> list[Path]:
        return [self.path / part]

    def file_of(self, image: ImageLabels) -> Path:
        return Path(self.name_of(image))

    def _draw(self, image: ImageLabels, pixels):
        """The image with every instance that has a box or a mask."""
        height, width = pixels.shape[:2]
        rows = []
        for instance, rle in self.drawn(image, height, width):
            found, box = self.category(instance.category), shapes.box_of(instance, rle)
            if found is None or box is None:
                continue
            rle = rle or run_lengths.empty(height, width)
            rows.append(
                (
                    box,
                    rle,
                    self.plan.categories.index(found[0]),
                    instance.score,
                    instance.crowd or found[1],
                )
            )
        if not rows:
            return pixels
        boxes, rles, classes, scores, crowd = (list(column) for column in zip(*rows, strict=True))
        return draw_instances(
            pixels,
            boxes=boxes,
            masks=rles,
            classes=classes,
            scores=scores if all(score is not None for score in scores) else None,
            names=self.plan.categories,
            crowd=crowd,
        )

    def _save(self, path: Path, image) -> None:
        good, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if not good:
            raise DataError(f"{path}: the drawn image cannot be encoded")
        with atomic_write(path, "wb") as stream:
            stream.write(data.tobytes())

    def finish(self, parts: Parts) -> None:
        """Nothing belongs to the whole: the images are there."""
