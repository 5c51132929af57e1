"""Detectron2's standard dataset dicts as JSON: a list to load and register, class names and mask rule in ``NAME.meta.json`` beside it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.formats.dicts import annotation_dict, image_dict, meta_path
from bdd_inst.formats.records import ImageLabels
from bdd_inst.formats.target import Parts
from bdd_inst.formats.write_coco import CocoTarget, WrittenObject
from bdd_inst.images.finder import ImageFinder


@dataclass
class DictsTarget(CocoTarget):
    """As COCO's, with 0-based classes and corner boxes; ``images`` puts the images' folder into ``file_name``."""

    images: str | None = None

    def encode(self, image: ImageLabels) -> dict | None:
        size = self.known_size(image)
        if size is None:
            return None
        height, width = size
        out = image_dict(image, self._file_name(image), height, width)
        if image.labeled:
            out["annotations"] = [self._dict(one) for one in self.objects(image, height, width)]
        return out

    def _file_name(self, image: ImageLabels) -> str:
        if self.images is None:
            return image.name
        if not hasattr(self, "_finder"):
            self._finder = ImageFinder(self.images)
        try:
            found = self._finder.find(image)
        except DataError as error:
            self.skipped.add("ambiguous-image", image.name, f"{error}; its name stays as it is")
            return image.name
        if found is None:
            self.skipped.add(
                "missing-image",
                image.name,
                f"no such image below {self.images}; its name stays as it is",
            )
        return str(found or image.name)

    def _dict(self, one: WrittenObject) -> dict:
        number = self.plan.categories.index(one.name)
        out = annotation_dict(
            one.instance, number, ignored=one.ignored, box=one.box, segmentation=one.segmentation
        )
        # Detectron2's dicts have no scores: a list with them is a list of predictions.
        return out if one.instance.score is None else out | {"score": one.instance.score}

    def finish(self, parts: Parts) -> None:
        meta = {
            "thing_classes": self.plan.categories,
            "mask_rule": self.plan.made_by,
            "dataset_ids": self.plan.ids,
        }
        with atomic_write(meta_path(self.path), "wb") as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(meta), indent=1))
        with atomic_write(self.path, "wb") as stream:
            stream.write(b"[")
            for number, part in enumerate(parts(), 1):
                if not self.plan.keep_image_ids:
                    part["image_id"] = number
                stream.write((b",\n" if number > 1 else b"\n") + msgspec.json.encode(part))
            stream.write(b"\n]\n")
