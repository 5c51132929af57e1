"""What a panoptic data set knows: things and stuff, their class numbers, and the data set's own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bdd_inst.base import vocabulary as words

ARCHITECTURE = "PanopticFPN"  # MODEL.META_ARCHITECTURE of the models that learn them


@dataclass(frozen=True)
class PanopticClasses:
    """Names of things and of stuff. Classes are numbered things first, then stuff, from 0; segments count each kind by itself.

    Attributes:
        things, stuff: names in the order of class numbers.
        ids: name to the data set's own number; 1, 2, ... in the order of both where there are none.
        aliases: spelling to name.
    """

    things: tuple[str, ...]
    stuff: tuple[str, ...]
    ids: Mapping[str, int] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, metadata: Mapping) -> PanopticClasses:
        """Those of a data set or of weights.

        Args:
            metadata: ``thing_classes`` and ``stuff_classes``, which begin with ``things``; perhaps the tables of their own numbers.

        Returns:
            its classes.
        """
        things = tuple(metadata["thing_classes"])
        stuff = tuple(metadata["stuff_classes"][1:])
        own = {}
        for kind, names in (("thing", things), ("stuff", (words.THINGS, *stuff))):
            table = metadata.get(f"{kind}_dataset_id_to_contiguous_id") or {}
            own |= {names[i]: int(number) for number, i in table.items() if i < len(names)}
        own.pop(words.THINGS, None)
        known = all(name in own for name in (*things, *stuff))
        return cls(things, stuff, own if known else {})

    @property
    def names(self) -> tuple[str, ...]:
        """All of them in the order of their numbers."""
        return (*self.things, *self.stuff)

    def number(self, segment: Mapping) -> int:
        """The number of a segment's class.

        Args:
            segment: ``category_id``, of things from 0 and of stuff from 1, and ``isthing``.
        """
        own = segment["category_id"]
        return own if segment["isthing"] else len(self.things) + own - 1

    def own_ids(self) -> dict[str, int]:
        """Name to the data set's own number."""
        return dict(self.ids) or {name: n for n, name in enumerate(self.names, 1)}

    def metadata(self) -> dict:
        """Detectron2's words for it. ``stuff_classes`` begin with ``things``: what a pixel-wise head calls every pixel of an object."""
        ids = self.own_ids()
        stuff = {0: 0} | {ids[name]: n for n, name in enumerate(self.stuff, 1)}
        return {
            "thing_classes": list(self.things),
            "thing_dataset_id_to_contiguous_id": {ids[n]: i for i, n in enumerate(self.things)},
            "stuff_classes": [words.THINGS, *self.stuff],
            "stuff_dataset_id_to_contiguous_id": stuff,
            "evaluator_type": "coco_panoptic_seg",
        }
