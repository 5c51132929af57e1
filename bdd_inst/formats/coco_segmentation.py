"""COCO's ``segmentation`` in all its spellings: polygons, runs as a list, runs as compressed text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats.json_files import plain
from bdd_inst.formats.records import ImageLabels, Instance
from bdd_inst.masks import run_lengths
from bdd_inst.masks.outlines import MAX_COORDINATE, Outline
from bdd_inst.masks.rle_check import rle_faults


class CompressedRle(msgspec.Struct, gc=False):
    """An RLE as COCO and Scalabel files both write it: text, and [height, width]."""

    counts: str
    size: tuple[int, int]


_decoder = msgspec.json.Decoder(list[list[float]] | CompressedRle | None)


class SegmentationReader:
    """Turns raw segmentations into the paths or RLE of their instances, one image at a time; what is wrong is counted in ``log``."""

    def __init__(self, log: ProblemLog) -> None:
        self.log = log

    def fill(
        self,
        instances: Sequence[Instance],
        raws: Sequence[msgspec.Raw],
        image: ImageLabels,
        where: str,
    ) -> None:
        """Give each instance the paths or the RLE of its raw segmentation (empty bytes for none)."""
        polygons: list[tuple[Instance, list[list[float]]]] = []
        coded: list[tuple[Instance, dict]] = []
        for instance, raw in zip(instances, raws, strict=True):
            # A key that is not in the file; ``null`` has bytes, and decodes to None.
            if not memoryview(raw).nbytes:
                continue
            try:
                value = _decoder.decode(raw)
            # Nested deeper than Python's stack: damage, too, and no reason to end with a traceback.
            except (msgspec.MsgspecError, RecursionError):
                self._careful(instance, raw, image, where)
                continue
            if isinstance(value, CompressedRle):
                coded.append((instance, {"size": list(value.size), "counts": value.counts}))
            elif value and all(len(p) >= 6 and len(p) % 2 == 0 for p in value):
                polygons.append((instance, value))
            elif value:
                self._careful(instance, raw, image, where)
        self._take_polygons(polygons, image, where)
        self._take_rles(coded, image, where)

    def _take_polygons(
        self, polygons: list[tuple[Instance, list[list[float]]]], image: ImageLabels, where: str
    ) -> None:
        """Well-shaped polygons of an image, their vertices views into one array."""
        parts = [part for _, value in polygons for part in value]
        # One array for all polygons of an image: an array each costs more than reading the file.
        flat = np.fromiter(chain.from_iterable(parts), dtype=np.float64).reshape(-1, 2)
        if flat.size and not (np.abs(flat) <= MAX_COORDINATE).all():
            for instance, value in polygons:
                self._careful_polygons(instance, value, image, where)
            return
        start = 0
        for instance, value in polygons:
            instance.paths = []
            for part in value:
                stop = start + len(part) // 2
                instance.paths.append(Outline(flat[start:stop]))
                start = stop

    def _take_rles(
        self, coded: list[tuple[Instance, dict]], image: ImageLabels, where: str
    ) -> None:
        # All at once, for the same reason: checks of single short strings are overhead.
        faults = rle_faults([rle for _, rle in coded])
        for place, (instance, rle) in enumerate(coded):
            if place not in faults and self._fits(rle, image):
                instance.rle = rle
            else:
                self._careful_rle(instance, rle, image, where)

    def _fits(self, rle: dict, image: ImageLabels) -> bool:
        # Where the file does not say the image's size, the mask's is believed.
        return not (image.height and image.width) or rle["size"] == [
            image.height,
            image.width,
        ]

    def _careful(
        self, instance: Instance, raw: msgspec.Raw, image: ImageLabels, where: str
    ) -> None:
        """A segmentation that does not follow the schema."""
        try:
            value = plain(raw)
        except ValueError as error:
            self._fault("bad-segmentation", instance, image=image, where=where, message=str(error))
            return
        if isinstance(value, dict):
            self._careful_rle(instance, value, image, where)
        elif isinstance(value, list):
            self._careful_polygons(instance, as_parts(value), image, where)
        else:
            self._fault(
                "bad-segmentation",
                instance,
                image=image,
                where=where,
                message=f"segmentation is {str(value)[:30]!r}",
            )

    def _careful_polygons(
        self, instance: Instance, value: list[Any], image: ImageLabels, where: str
    ) -> None:
        paths = []
        for part in value:
            try:
                path = Outline.from_coco(part)
                if len(path) < 3:
                    raise DataError(f"a polygon of {len(path)} points")
                paths.append(path)
            except DataError as error:
                self._fault(
                    "bad-polygon",
                    instance,
                    image=image,
                    where=where,
                    message=f"{error}; that part left out",
                )
        instance.paths = paths or None

    def _careful_rle(self, instance: Instance, value: dict, image: ImageLabels, where: str) -> None:
        known = (image.height, image.width) if image.height and image.width else None
        try:
            rle = run_lengths.normalize(value, default=known)
        except DataError as error:
            self._fault(
                "bad-rle", instance, image=image, where=where, message=f"{error}; mask left out"
            )
            return
        if not self._fits(rle, image):
            sizes = f"{rle['size'][1]}x{rle['size'][0]}, the image {image.width}x{image.height}"
            self._fault(
                "wrong-size-mask",
                instance,
                image=image,
                where=where,
                message=f"its mask is {sizes}; mask left out",
            )
            return
        instance.rle = rle

    def _fault(
        self, code: str, instance: Instance, image: ImageLabels, where: str, message: str
    ) -> None:
        self.log.add(code, f"{where} ({image.name}): annotation {instance.id!r}", message)


def as_parts(value: list) -> list:
    """The flat polygons of a list that may be one polygon, or have its points as pairs: slips that can mean nothing else.

    Args:
        value: a ``segmentation`` that is a list.

    Returns:
        Parts as they are, those with points in pairs flattened.
    """
    if value and all(isinstance(v, int | float) for v in value):
        return [value]
    # Two pairs are four numbers, which could as well be two points of a flat list.
    if len(value) > 2 and all(is_pair(v) for v in value):
        return [[number for pair in value for number in pair]]
    return [
        [number for pair in part for number in pair]
        if isinstance(part, list) and part and all(is_pair(v) for v in part)
        else part
        for part in value
    ]


def is_pair(value: Any) -> bool:
    """Whether this is a point, ``[x, y]``."""
    return (
        isinstance(value, list) and len(value) == 2 and all(type(v) in (int, float) for v in value)
    )
