"""The masks and boxes of a picture's instances, for writers: outlines drawn by a stated rule, carried masks as they are."""

from __future__ import annotations

from collections.abc import Sequence

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats.records import Box, ImageLabels, Instance
from bdd_inst.masks import bezier, rasterize, run_lengths


def masks(
    picture: ImageLabels,
    height: int,
    width: int,
    rule: str,
    log: ProblemLog,
    *,
    prefer: str = "paths",
) -> list[dict | None]:
    """One RLE for each instance, None where it has no shape or one that cannot be drawn (counted).

    ``rule``: how outlines are drawn, ``official`` or ``coco``. ``prefer``: which of the two counts where a label carries outlines and a
    mask (``paths`` or ``rle``).
    """
    out: list[dict | None] = []
    to_draw: list[int] = []
    for place, instance in enumerate(picture.instances):
        carried = instance.rle
        if carried is not None and list(carried["size"]) != [height, width]:
            sizes = f"its mask is {carried['size'][1]}x{carried['size'][0]}, the picture {width}x{height}"
            log.add("wrong-size-mask", where(picture, instance), f"{sizes}; mask left out")
            carried = None
        if instance.paths and (carried is None or prefer == "paths"):
            to_draw.append(place)
        out.append(carried)
    drawn = _draw([picture.instances[place].paths for place in to_draw], height, width, rule)
    for place, rle in zip(to_draw, drawn, strict=True):
        if isinstance(rle, DataError):
            log.add(
                "bad-polygon", where(picture, picture.instances[place]), f"{rle}; mask left out"
            )
            rle = out[place]
        out[place] = rle
    return out


def _draw(objects: Sequence[list], height: int, width: int, rule: str) -> list[dict | DataError]:
    """All objects at once, or one by one where one of them cannot be drawn."""
    try:
        return list(rasterize.objects_to_rles(objects, height, width, rule))
    except DataError:
        out: list[dict | DataError] = []
        for paths in objects:
            try:
                out.append(rasterize.polygons_to_rle(paths, height, width, rule))
            except DataError as error:
                out.append(error)
        return out


def polygons(instance: Instance) -> tuple[list[list[float]], int, int]:
    """COCO polygons of an instance's closed outlines (curves flattened); how many were curved; how many are open and left out."""
    closed = [path for path in instance.paths or () if path.closed]
    flat = [points.reshape(-1).tolist() for points in bezier.flatten_many(closed)] if closed else []
    usable = [points for points in flat if len(points) >= 6]
    return usable, sum(path.curved for path in closed), len(instance.paths or ()) - len(usable)


def box_of(instance: Instance, rle: dict | None) -> Box | None:
    """An instance's box: the file's, else the tight one around its mask, else None."""
    if instance.box is not None:
        return instance.box
    if rle is not None:
        box = run_lengths.to_bbox(rle)
        if box[2] > box[0] and box[3] > box[1]:
            return box
    return None


def where(picture: ImageLabels, instance: Instance) -> str:
    """How messages call an instance."""
    return f"{picture.name}: label {instance.id!r}"


def shortest(value: float, check: float, base: float) -> float:
    """The shortest decimal near ``value`` for which ``base + decimal`` is exactly ``check`` (so that reading gives back what was written).

    Written widths and last pixels then look as the source wrote them, not like 62.269999999999996.
    """
    for digits in (0, 2, 6, 10, 13):
        rounded = round(value, digits)
        if base + rounded == check:
            return rounded
    return value
