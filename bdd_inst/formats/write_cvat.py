"""CVAT's XML 1.1 for images: outlines as polygons, masks in its run lengths, boxes; a label table with colors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from bdd_inst.base.files import atomic_write
from bdd_inst.formats import shapes
from bdd_inst.formats.cvat_shapes import runs_of
from bdd_inst.formats.label_map import class_colors
from bdd_inst.formats.names import full_name
from bdd_inst.formats.records import ImageLabels, Instance
from bdd_inst.formats.target import Parts, Target


@dataclass
class CvatTarget(Target):
    """An ``image`` element each; ``masks`` set to ``rle`` makes a mask of every object that has one."""

    def encode(self, image: ImageLabels) -> dict | None:
        size = self.known_size(image)
        if size is None:
            return None
        height, width = size
        lines = []
        for instance, rle in self.drawn(image, height, width):
            lines += self._shapes(instance, rle, shapes.instance_name(image, instance))
        if not image.labeled:
            message = "CVAT tells no unlabeled image from one of nothing; left out"
            self.skipped.add("unlabelled-image", image.name, message)
            return None
        if image.attributes:
            message = "CVAT's images have tags, no attributes"
            self.lost.add("lost-image-attributes", image.name, message)
        if image.image_id is not None:
            self.lost.add("lost-image-ids", image.name, "CVAT numbers images itself")
        return {"name": full_name(image), "width": width, "height": height, "lines": lines}

    def _shapes(self, instance: Instance, rle: dict | None, where: str) -> list[str]:
        """The elements of one object."""
        found = self.category(instance.category)
        if found is None:
            return []
        for field, lost in (("score", "lost-scores"), ("area", "lost-areas"), ("id", "lost-ids")):
            if getattr(instance, field) is not None:
                self.lost.add(lost, where, f"CVAT's shapes have no {field}")
        named = {"label": found[0], "source": "file", "occluded": int(instance.occluded)}
        order = instance.attributes.get("z_order")
        named["z_order"] = order if isinstance(order, int) else 0
        inner = self._attributes(instance, found[1])
        geometry = self._geometry(instance, rle, where)
        if geometry is None:
            self.skipped.add("no-shape", where, "neither a box nor a mask; left out")
            return []
        tag, values = geometry
        words = " ".join(
            f"{key}={quoteattr(str(value))}" for key, value in (named | values).items()
        )
        return [f"    <{tag} {words}>", *inner, f"    </{tag}>"]

    def _attributes(self, instance: Instance, ignored: bool) -> list[str]:
        flags = {"crowd": instance.crowd, "ignored": instance.ignored or ignored}
        flags["truncated"] = instance.truncated
        known = {k: v for k, v in instance.attributes.items() if k != "z_order"}
        known |= {key: "true" for key, true in flags.items() if true}
        return [
            f"      <attribute name={quoteattr(str(key))}>{escape(as_text(value))}</attribute>"
            for key, value in known.items()
        ]

    def _geometry(
        self, instance: Instance, rle: dict | None, where: str
    ) -> tuple[str, dict[str, Any]] | None:
        """Tag and attributes of an object's shape; None where it has none."""
        if self.masks != "rle" and shapes.uses_outlines(instance, self.prefer):
            flat, curved, left_out = shapes.flat_polygons(instance)
            if curved:
                self.lost.add("lost-curves", where, "Bezier curves became straight pieces")
            if left_out:
                self.lost.add("lost-lines", where, "the open part is left out")
            if len(flat) == 1:
                pairs = zip(flat[0][::2], flat[0][1::2], strict=True)
                return "polygon", {"points": ";".join(f"{x!r},{y!r}" for x, y in pairs)}
        runs = None if rle is None else runs_of(rle)
        if runs is not None:
            if instance.paths:
                self.lost.add("lost-outlines", where, "became one mask of whole pixels")
            place = dict(zip(("left", "top", "width", "height"), runs[1], strict=True))
            return "mask", {"rle": ", ".join(map(str, runs[0]))} | place
        if instance.box is None:
            return None
        return "box", dict(zip(("xtl", "ytl", "xbr", "ybr"), map(repr, instance.box), strict=True))

    def finish(self, parts: Parts) -> None:
        with atomic_write(self.path) as stream:
            stream.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n')
            stream.write("  <version>1.1</version>\n  <meta><task><labels>\n")
            colors = class_colors()
            for number, name in enumerate(self.plan.categories, 1):
                color = "#{:02x}{:02x}{:02x}".format(*colors[number % 256].tolist())
                stream.write(
                    f"    <label><name>{escape(name)}</name><color>{color}</color></label>\n"
                )
            stream.write("  </labels></task></meta>\n")
            for number, part in enumerate(parts()):
                sides = f'width="{part["width"]}" height="{part["height"]}"'
                name = quoteattr(part["name"])
                lines = [
                    f'  <image id="{number}" name={name} {sides}>',
                    *part["lines"],
                    "  </image>",
                ]
                stream.write("\n".join([*lines, ""]))
            stream.write("</annotations>\n")


def as_text(value: Any) -> str:
    """An attribute's value as CVAT has it: text, truth as ``true`` and ``false``."""
    return str(value).lower() if isinstance(value, bool) else str(value)
