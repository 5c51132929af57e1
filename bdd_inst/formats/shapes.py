"""The shapes of labeled objects, by one rule for training, evaluation, checks, drawing and conversion: masks, polygons, boxes.

An object's mask is the area that its closed outlines enclose, or the run lengths that it carries. One that has only open outlines is a
line: it has no area to train or score on, and where lines are wanted the official rule draws them one pixel wide.
"""

from __future__ import annotations

from collections.abc import Sequence

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats.records import Box, ImageLabels, Instance
from bdd_inst.masks import bezier, rasterize, run_lengths
from bdd_inst.masks.outlines import Outline

FEWEST_VERTICES = 3  # of an outline that encloses something


def area_outlines(instance: Instance) -> list[Outline]:
    """The outlines that bound an area: closed, of three vertices or more.

    Args:
        instance: of any format.

    Returns:
        Its outlines without open ones and those of fewer than three vertices.
    """
    return [path for path in instance.paths or () if path.closed and len(path) >= FEWEST_VERTICES]


def uses_outlines(instance: Instance, prefer: str = "paths") -> bool:
    """Whether an object's mask comes from its outlines rather than from the run lengths that it carries.

    Args:
        instance: of any format.
        prefer: which counts where it has both, ``paths`` or ``rle``.

    Returns:
        False where it has no outline that bounds an area.
    """
    return bool(area_outlines(instance)) and (instance.rle is None or prefer == "paths")


def image_masks(
    image: ImageLabels,
    height: int,
    width: int,
    rule: str,
    log: ProblemLog,
    *,
    prefer: str = "paths",
    lines: bool = True,
) -> list[dict | None]:
    """The masks of an image's objects; see :func:`object_masks`.

    Args:
        image: N objects.
        height, width: of the image, in pixels.
        rule, log, prefer, lines: as there; lines are drawn unless this is False.

    Returns:
        N RLEs of (height, width) or None.
    """
    names = [instance_name(image, instance) for instance in image.instances]
    return object_masks(
        image.instances,
        names,
        height=height,
        width=width,
        rule=rule,
        log=log,
        prefer=prefer,
        lines=lines,
    )


def object_masks(
    instances: Sequence[Instance],
    names: Sequence[str],
    height: int,
    width: int,
    rule: str,
    log: ProblemLog,
    *,
    prefer: str = "paths",
    lines: bool = False,
) -> list[dict | None]:
    """One mask for each object of images of one size, all drawn together.

    Args:
        instances: N objects, of one image or of several.
        names: N, how messages call them.
        rule: how outlines are drawn, ``official`` or ``coco``.
        log: takes masks of another size (``wrong-size-mask``) and outlines that cannot be drawn (``bad-polygon``).
        prefer: which counts where an object has outlines and carries a mask, ``paths`` or ``rle``.
        lines: whether an object of open outlines alone is drawn as a line.

    Returns:
        N RLEs of (height, width), None where an object has no mask or none that can be used.
    """
    out: list[dict | None] = []
    outlines: dict[int, list[Outline]] = {}
    for place, (instance, name) in enumerate(zip(instances, names, strict=True)):
        carried = instance.rle
        if carried is not None and tuple(carried["size"]) != (height, width):
            sizes = (
                f"its mask is {carried['size'][1]}x{carried['size'][0]}, the image {width}x{height}"
            )
            log.add("wrong-size-mask", name, f"{sizes}; mask left out")
            # Nobody can tell which pixels of the image it means: its outline counts, where it has one.
            carried = None
        if carried is None or prefer == "paths":
            drawable = area_outlines(instance) or (lines and instance.paths)
            if drawable:
                outlines[place] = drawable
        out.append(carried)
    # One call for all of them: drawing one by one would take several times as long.
    drawn = rasterize.draw_objects(list(outlines.values()), height, width, rule)
    for place, rle in zip(outlines, drawn, strict=True):
        if isinstance(rle, DataError):
            log.add("bad-polygon", names[place], f"{rle}; mask left out")
        else:
            out[place] = rle
    return out


def flat_polygons(instance: Instance) -> tuple[list[list[float]], int, int]:
    """COCO polygons of an instance's closed outlines (curves flattened); how many were curved; how many are open and left out.

    Args:
        instance: of any format.

    Returns:
        Flat lists x1, y1, x2, y2, ... in pixels, of three corners or more; and the two counts.
    """
    areas = area_outlines(instance)
    corners = [points for points in bezier.flatten_many(areas) if len(points) >= FEWEST_VERTICES]
    flat = [points.reshape(-1).tolist() for points in corners]
    return flat, sum(path.curved for path in areas), len(instance.paths or ()) - len(flat)


def box_of(instance: Instance, rle: dict | None) -> Box | None:
    """An instance's box x1, y1, x2, y2: the file's, else the tight one around its mask, else None.

    Args:
        instance: of any format.
        rle: its mask, or None.

    Returns:
        In pixels, exclusive.
    """
    if instance.box is not None:
        return instance.box
    if rle is not None:
        box = run_lengths.to_bbox(rle)
        # A mask without a pixel has no box.
        if box[2] > box[0] and box[3] > box[1]:
            return box
    return None


def instance_name(image: ImageLabels, instance: Instance) -> str:
    """How messages call an instance."""
    return f"{image.name}: label {instance.id!r}"


def shortest(value: float, check: float, base: float) -> float:
    """The shortest decimal near ``value`` for which ``base + decimal`` is exactly ``check`` (so that reading gives back what was written).

    Written widths and last pixels then look as the source wrote them, not like 62.269999999999996.
    """
    for digits in (0, 2, 6, 10, 13):
        rounded = round(value, digits)
        if base + rounded == check:
            return rounded
    return value
