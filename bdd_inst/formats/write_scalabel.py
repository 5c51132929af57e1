"""Scalabel JSON from any label set: outlines as ``poly2d`` (``scalabel``), or masks as ``rle`` (``rle``), as BDD100K publishes both.

The file is ``{"frames": [...], "config": {...}}``, which the official tools load as they load lists; ``config`` has the categories, the
common image size, and ``maskRule``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from bdd_inst.base.files import atomic_write
from bdd_inst.formats import shapes
from bdd_inst.formats.records import Box, ImageLabels, Instance
from bdd_inst.formats.target import Parts, Target
from bdd_inst.masks.outlines import Outline


@dataclass
class ScalabelTarget(Target):
    """Keeps words, outlines and carried masks as they are."""

    def encode(self, image: ImageLabels) -> dict:
        size = (image.height, image.width) if image.width and image.height else None
        labels = [self._label(i, p, image) for p, i in enumerate(image.instances)]
        return self.frame(image, size, labels)

    def frame(
        self, image: ImageLabels, size: tuple[int, int] | None, labels: list[dict | None]
    ) -> dict:
        """One frame; ``labels`` None entries are left out."""
        out: dict[str, Any] = {"name": image.name}
        if image.video is not None:
            out["videoName"] = image.video
        if image.frame_index is not None:
            out["frameIndex"] = image.frame_index
        if size is not None and size != self.plan.common_size:
            out["size"] = {"width": size[1], "height": size[0]}
        if image.attributes:
            out["attributes"] = image.attributes
        if image.image_id is not None:
            self.lost.add("lost-image-ids", image.name, "Scalabel frames have names, no ids")
        out["labels"] = [label for label in labels if label is not None] if image.labeled else None
        return out

    def label(self, instance: Instance, place: int, image: ImageLabels) -> dict | None:
        """What both forms say of an instance: everything but its shape."""
        if self.plan.words and instance.category not in self.plan.words:
            self.category(instance.category)
            return None
        flags = {
            "occluded": instance.occluded,
            "truncated": instance.truncated,
            "crowd": instance.crowd,
        }
        if instance.ignored:
            flags["ignored"] = True
        attributes = {
            key: value
            for key, value in instance.attributes.items()
            if key not in ("index", "category_id")
        }
        out: dict[str, Any] = {
            "id": str(instance.id if instance.id is not None else place + 1),
            "category": instance.category,
            "attributes": attributes | flags,
        }
        if isinstance(instance.attributes.get("index"), int):
            out["index"] = instance.attributes["index"]
        if instance.score is not None:
            out["score"] = instance.score
        if instance.box is not None:
            out["box2d"] = box2d(instance.box)
        if instance.area is not None:
            self.lost.add(
                "lost-areas",
                shapes.instance_name(image, instance),
                "Scalabel has no field for COCO's area",
            )
        return out

    def _label(self, instance: Instance, place: int, image: ImageLabels) -> dict | None:
        out = self.label(instance, place, image)
        if out is not None and instance.paths is not None:
            out["poly2d"] = [poly2d(path) for path in instance.paths]
        if out is not None and instance.rle is not None:
            out["rle"] = {"counts": instance.rle["counts"], "size": instance.rle["size"]}
        return out

    def finish(self, parts: Parts) -> None:
        plan = self.plan
        used = [word for word in plan.words if plan.words[word][0] in plan.categories]
        names = list(plan.categories) if plan.kind not in ("scalabel", "bdd-v1") else used
        config: dict[str, Any] = {
            "categories": [{"name": name} for name in names],
            "maskRule": plan.made_by,
        }
        if plan.common_size:
            config["imageSize"] = {"width": plan.common_size[1], "height": plan.common_size[0]}
        with atomic_write(self.path, "wb") as stream:
            stream.write(b'{"frames": [')
            for number, part in enumerate(parts()):
                stream.write((b",\n" if number else b"\n") + msgspec.json.encode(part))
            stream.write(b'\n],\n"config": ' + msgspec.json.encode(config) + b"}\n")


@dataclass
class RleTarget(ScalabelTarget):
    """Every shape as a mask, drawn by the plan's rule; outlines do not stay."""

    def encode(self, image: ImageLabels) -> dict | None:
        size = self.known_size(image)
        if size is None:
            return None
        height, width = size
        labels = []
        for place, (instance, rle) in enumerate(self.drawn(image, height, width)):
            label = self.label(instance, place, image)
            if label is not None and rle is not None:
                label["rle"] = {"counts": rle["counts"], "size": rle["size"]}
                if instance.paths:
                    self.lost.add(
                        "lost-outlines",
                        shapes.instance_name(image, instance),
                        "became masks of whole pixels",
                    )
            labels.append(label)
        return self.frame(image, (height, width), labels)


def box2d(box: Box) -> dict[str, float]:
    """A box whose ``x2, y2`` name the last pixel."""
    x1, y1, x2, y2 = box
    return {
        "x1": x1,
        "y1": y1,
        "x2": shapes.shortest(x2 - 1, x2, 1),
        "y2": shapes.shortest(y2 - 1, y2, 1),
    }


def poly2d(path: Outline) -> dict[str, Any]:
    """One part of an outline."""
    return {
        "vertices": path.vertices.tolist(),
        "types": path.types or "L" * len(path),
        "closed": bool(path.closed),
    }
