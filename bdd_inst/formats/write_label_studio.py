"""Label Studio tasks with predictions, which the tool shows as pre-labels: one outline becomes a polygon, other masks brushes, boxes rectangles.

``NAME.config.xml`` beside the tasks is the labeling interface that goes with them. Images are named as Label Studio's local files
(``/data/local-files/?d=NAME``), below the folder that its server is told of.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import msgspec
import numpy as np

import bdd_inst
from bdd_inst.base.files import atomic_write
from bdd_inst.formats import shapes
from bdd_inst.formats.names import full_name
from bdd_inst.formats.records import ImageLabels, Instance
from bdd_inst.formats.target import Parts, Target
from bdd_inst.masks import brush_rle

LOCAL_FILES = "/data/local-files/?d="
CONTROLS = {"polygonlabels": "PolygonLabels", "brushlabels": "BrushLabels", "rectanglelabels": "RectangleLabels"}  # fmt: skip


@dataclass
class LabelStudioTarget(Target):
    """One task an image; ``masks`` set to ``rle`` makes a brush of every mask."""

    def encode(self, image: ImageLabels) -> dict | None:
        size = self.known_size(image)
        if size is None:
            return None
        height, width = size
        results = [
            self._result(instance, rle, number, image=image, size=(height, width))
            for number, (instance, rle) in enumerate(self.drawn(image, height, width))
        ]
        results = [result for result in results if result is not None]
        if image.attributes:
            message = "tasks have choices of an own interface, no attributes"
            self.lost.add("lost-image-attributes", image.name, message)
        if image.image_id is not None:
            self.lost.add("lost-image-ids", image.name, "Label Studio numbers tasks itself")
        task: dict[str, Any] = {"data": {"image": LOCAL_FILES + quote(full_name(image))}}
        task["predictions"] = []
        if image.labeled:
            made_by = f"bdd_inst {bdd_inst.__version__}"
            prediction: dict[str, Any] = {"model_version": made_by, "result": results}
            scores = [result["score"] for result in results if "score" in result]
            if scores:
                prediction["score"] = sum(scores) / len(scores)
            task["predictions"].append(prediction)
        return task

    def _result(
        self,
        instance: Instance,
        rle: dict | None,
        number: int,
        *,
        image: ImageLabels,
        size: tuple[int, int],
    ) -> dict | None:
        found = self.category(instance.category)
        if found is None:
            return None
        where = shapes.instance_name(image, instance)
        kind, value = self._value(instance, rle, where, size)
        if kind is None:
            self.skipped.add("no-shape", where, "neither a box nor a mask; left out")
            return None
        flags = {"crowd": instance.crowd, "ignored": instance.ignored or found[1]}
        flags |= {"occluded": instance.occluded, "truncated": instance.truncated}
        meta = instance.attributes | {key: True for key, true in flags.items() if true}
        if instance.area is not None:
            self.lost.add("lost-areas", where, "Label Studio has no field for COCO's area")
        out: dict[str, Any] = {
            "id": f"r{number}",
            "type": kind,
            "from_name": kind.removesuffix("labels"),
            "to_name": "image",
            "original_width": size[1],
            "original_height": size[0],
            "image_rotation": 0,
            "value": value | {kind: [found[0]]},
        }
        if meta:
            out["meta"] = meta
        if instance.id is not None:
            self.lost.add("lost-ids", where, "Label Studio gives regions ids of its own")
        return out if instance.score is None else out | {"score": instance.score}

    def _value(
        self, instance: Instance, rle: dict | None, where: str, size: tuple[int, int]
    ) -> tuple[str | None, dict[str, Any]]:
        """The kind of region that says an object's shape, and the shape; None where it has none."""
        share = np.array([size[1], size[0]]) / 100
        if self.masks != "rle" and shapes.uses_outlines(instance, self.prefer):
            flat, curved, left_out = shapes.flat_polygons(instance)
            if curved:
                self.lost.add("lost-curves", where, "Bezier curves became straight pieces")
            if left_out:
                self.lost.add("lost-lines", where, "regions are closed; that part is left out")
            if len(flat) == 1:
                points = np.array(flat[0]).reshape(-1, 2) / share
                return "polygonlabels", {"points": points.tolist(), "closed": True}
        if rle is not None:
            if instance.paths:
                self.lost.add("lost-outlines", where, "several parts became one brush mask")
            return "brushlabels", {"format": "rle", "rle": brush_rle.encode(rle)}
        if instance.box is None:
            return None, {}
        x, y, right, bottom = (np.array(instance.box) / np.tile(share, 2)).tolist()
        return "rectanglelabels", {"x": x, "y": y, "width": right - x, "height": bottom - y, "rotation": 0}  # fmt: skip

    def finish(self, parts: Parts) -> None:
        with atomic_write(config_path(self.path)) as stream:
            stream.write(interface(self.plan.categories))
        with atomic_write(self.path, "wb") as stream:
            stream.write(b"[")
            for number, part in enumerate(parts(), 1):
                stream.write((b",\n" if number > 1 else b"\n") + msgspec.json.encode(part))
            stream.write(b"\n]\n")


def config_path(path: Path) -> Path:
    """Where the interface of a file of tasks goes: ``tasks.config.xml`` beside ``tasks.json``."""
    return path.with_name(f"{path.name.removesuffix('.json')}.config.xml")


def interface(classes: tuple[str, ...]) -> str:
    """Label Studio's labeling interface for these classes.

    Args:
        classes: in order.

    Returns:
        XML to paste into a project's settings.
    """
    lines = ["<View>", '  <Image name="image" value="$image" zoom="true"/>']
    for kind, tag in CONTROLS.items():
        lines.append(f'  <{tag} name="{kind.removesuffix("labels")}" toName="image">')
        lines += [f"    <Label value={quoteattr(name)}/>" for name in classes]
        lines.append(f"  </{tag}>")
    return "\n".join([*lines, "</View>", ""])
