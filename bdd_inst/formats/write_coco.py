"""COCO instances JSON from any label set: polygons (COCO's rule) or RLE (masks drawn by the official rule, or carried).

What COCO has no word for travels in extra keys that its tools pass over: ``attributes`` of images and annotations, ``video_name``,
``frame_index``, ``labelled``; the rule that made the masks stands in ``info.mask_rule``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from bdd_inst.base.files import atomic_write
from bdd_inst.formats import shapes
from bdd_inst.formats.records import Box, ImageLabels, Instance
from bdd_inst.formats.target import Parts, Target
from bdd_inst.masks import run_lengths


class WrittenObject(NamedTuple):
    """An object as it is written: its class, whether detections of it are excused, its box x1, y1, x2, y2, its mask in both forms."""

    instance: Instance
    name: str
    ignored: bool
    box: Box
    rle: dict | None
    segmentation: list | dict | None


@dataclass
class CocoTarget(Target):
    """``masks``: ``polygons``, ``rle``, or ``auto``: polygons where COCO's own fill is the rule, else RLE."""

    def encode(self, image: ImageLabels) -> dict | None:
        size = self.known_size(image)
        if size is None:
            return None
        height, width = size
        entry: dict[str, Any] = {
            "id": image.image_id,
            "file_name": image.name,
            "width": width,
            "height": height,
        }
        if image.attributes:
            entry["attributes"] = image.attributes
        if image.video is not None:
            entry |= {"video_name": image.video, "frame_index": image.frame_index}
        if not image.labeled:
            entry["labelled"] = False  # the key of the files that there are
        annotations = [self._annotation(one) for one in self.objects(image, height, width)]
        return {"image": entry, "annotations": annotations}

    def objects(self, image: ImageLabels, height: int, width: int) -> Iterator[WrittenObject]:
        """The objects that are written, with what COCO and Detectron2 both say of them; the others are counted."""
        for instance, rle in self.drawn(image, height, width):
            found = self.category(instance.category)
            if found is None:
                continue
            box = shapes.box_of(instance, rle)
            if box is None:
                self.skipped.add(
                    "no-shape",
                    shapes.instance_name(image, instance),
                    "neither a box nor a mask with any pixel; left out",
                )
                continue
            name, ignored = found
            segmentation = self._segmentation(instance, rle, image)
            yield WrittenObject(
                instance,
                name=name,
                ignored=ignored or instance.ignored,
                box=box,
                rle=rle,
                segmentation=segmentation,
            )

    def _annotation(self, one: WrittenObject) -> dict:
        instance = one.instance
        out: dict[str, Any] = {
            "id": instance.id,
            "image_id": None,
            "category_id": self.plan.number[one.name],
            "bbox": xywh(one.box),
        }
        if one.segmentation is not None:
            out["segmentation"] = one.segmentation
        # The file's own area first: it decides about small and large, which must not change on the way.
        out["area"] = (
            instance.area
            if instance.area is not None
            else run_lengths.area(one.rle)
            if one.rle
            else out["bbox"][2] * out["bbox"][3]
        )
        out["iscrowd"] = int(instance.crowd or one.ignored)
        flags = {
            "occluded": instance.occluded,
            "truncated": instance.truncated,
            "ignored": one.ignored,
        }
        attributes = instance.attributes | {key: True for key, value in flags.items() if value}
        if one.ignored:
            attributes["crowd"] = instance.crowd
        if attributes:
            out["attributes"] = attributes
        if instance.score is not None:
            out["score"] = instance.score
        if not self.plan.keep_ids and instance.id is not None:
            out["source_id"] = instance.id
        return out

    def _segmentation(
        self, instance: Instance, rle: dict | None, image: ImageLabels
    ) -> list | dict | None:
        if rle is None:
            return None
        as_polygons = self.masks == "polygons" or (
            self.masks == "auto" and self.plan.rule == "coco"
        )
        if (
            not as_polygons
            or not instance.paths
            or (self.prefer == "rle" and instance.rle is not None)
        ):
            return {"size": rle["size"], "counts": rle["counts"]}
        out, curved, left_out = shapes.flat_polygons(instance)
        if curved:
            self.lost.add(
                "lost-curves",
                shapes.instance_name(image, instance),
                "Bezier curves became straight pieces",
            )
        if left_out:
            self.lost.add(
                "lost-lines",
                shapes.instance_name(image, instance),
                "COCO has no open lines; that part is left out",
            )
        return out or None

    def finish(self, parts: Parts) -> None:
        plan = self.plan
        with atomic_write(self.path, "wb") as stream:
            info = {
                "description": f"converted from {plan.kind} by bdd_inst",
                "mask_rule": plan.made_by,
            }
            stream.write(
                b'{"info": ' + msgspec.json.encode(info) + b', "licenses": [],\n"categories": '
            )
            stream.write(
                msgspec.json.encode(
                    [{"id": i, "name": n, "supercategory": ""} for n, i in plan.number.items()]
                )
            )
            stream.write(b',\n"images": [')
            image_ids: list[Any] = []
            for number, part in enumerate(parts(), 1):
                image_ids.append(part["image"]["id"] if plan.keep_image_ids else number)
                part["image"]["id"] = image_ids[-1]
                stream.write((b",\n" if number > 1 else b"\n") + msgspec.json.encode(part["image"]))
            stream.write(b'\n],\n"annotations": [')
            numbers = itertools.count(1)
            first = True
            for image_id, part in zip(image_ids, parts(), strict=True):
                for annotation in part["annotations"]:
                    annotation["image_id"] = image_id
                    if not plan.keep_ids:
                        annotation["id"] = next(numbers)
                    stream.write((b"\n" if first else b",\n") + msgspec.json.encode(annotation))
                    first = False
            stream.write(b"\n]}\n")


def xywh(box: Box) -> list[float]:
    """x1, y1, x2, y2 -> x, y, width, height, in decimals that give the same box back when read."""
    x1, y1, x2, y2 = box
    return [x1, y1, shapes.shortest(x2 - x1, x2, x1), shapes.shortest(y2 - y1, y2, y1)]
