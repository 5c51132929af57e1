"""Outlines to masks: the official BDD100K rule and the COCO rule.

**official**: what the BDD100K toolkit draws (scalabel's ``poly_to_patch`` on a matplotlib canvas without antialiasing). Vertices snap
to whole pixels, control points included; curves become lines (:mod:`bdd_inst.masks.bezier`); every pixel that the outline touches
is painted, by the non-zero winding rule (:mod:`bdd_inst.masks.coverage`); an open path is a thin line
(:mod:`bdd_inst.masks.stroke`); the parts of an object are painted one over the other.
**coco**: pycocotools' fill, on curves flattened without snapping.

Masks of the official rule are larger: by 11 % for small objects, 2 % for large ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.config import rules
from bdd_inst.masks import coco_fill, run_lengths
from bdd_inst.masks.bezier import flatten_many, flatten_points
from bdd_inst.masks.coverage import outline_cells, touched_places
from bdd_inst.masks.outlines import Outline, as_outline, check_vertices
from bdd_inst.masks.rle_check import MAX_PIXELS
from bdd_inst.masks.rle_text import pack_edges
from bdd_inst.masks.stroke import CENTER, clip_line, stroke_outlines

RULES = rules.VALUES["DATASETS.RASTER"]
Part = Outline | np.ndarray | Sequence

_DOTS_AN_INCH = 100
# Objects drawn in one go: enough to hide NumPy's overhead, few enough to stay in the cache.
_BATCH = 64
# Pixels along all outlines drawn in one go: bounds memory.
_LENGTH_AT_ONCE = 2e6


def polygons_to_mask(
    parts: Sequence[Part], height: int, width: int, rule: str = "official"
) -> np.ndarray:
    """One object's parts -> H,W bool.

    Args:
        parts: the outlines of one object: Outline, array V,2 of x, y, or COCO's flat list, in pixels.
        height, width: of the image, in pixels.
        rule: ``official`` or ``coco``.

    Returns:
        H,W bool.
    """
    return run_lengths.decode(polygons_to_rle(parts, height, width, rule))


def polygons_to_rle(parts: Sequence[Part], height: int, width: int, rule: str = "official") -> dict:
    """One object's parts -> COCO RLE.

    Args:
        parts: the outlines of one object: Outline, array V,2 of x, y, or COCO's flat list, in pixels.
        height, width: of the image, in pixels.
        rule: ``official`` or ``coco``.

    Returns:
        One RLE of (height, width).

    Raises:
        DataError: coordinates that are not finite or beyond any image.
    """
    return objects_to_rles([parts], height, width, rule)[0]


def with_holes(outline: Outline, holes: Sequence[Outline], height: int, width: int) -> dict:
    """The mask of an outline without its holes, each by COCO's fill: a list of outlines cannot say which of them are holes.

    Args:
        outline: the outer one, x,y in pixels.
        holes: inside it.
        height, width: of the image, in pixels.

    Returns:
        The RLE of (height, width).
    """
    filled, empty = (
        run_lengths.decode(coco_fill.from_polygons_coco([p.vertices for p in paths], height, width))
        for paths in ([outline], holes)
    )
    return run_lengths.encode(filled & ~empty)


def objects_to_rles(
    objects: Iterable[Sequence[Part]], height: int, width: int, rule: str = "official"
) -> list[dict]:
    """Many objects of images of one size -> one RLE each; much faster than one by one.

    Raises DataError as :func:`polygons_to_rle`; where objects come from files that may be broken, check their vertices first
    (:func:`bdd_inst.masks.outlines.check_vertices`).

    Args:
        objects: N objects, each a sequence of outlines as :func:`polygons_to_rle` takes them.
        height, width: of their images, in pixels.
        rule: ``official`` or ``coco``.

    Returns:
        N RLEs of (height, width).

    Raises:
        DataError: coordinates that are not finite or beyond any image, an image larger than any; where objects come from files that may
            be broken use :func:`draw_objects`.
        ValueError: another rule.
    """
    if rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}, not {rule!r}")
    if height < 0 or width < 0 or height * width > MAX_PIXELS:
        raise DataError(f"an image of {width}x{height} is larger than any image")
    draw = _draw_official if rule == "official" else _draw_coco
    objects = [[as_outline(part) for part in parts] for parts in objects]
    out: list[dict] = []
    for start in range(0, len(objects), _BATCH):
        out.extend(draw(objects[start : start + _BATCH], int(height), int(width)))
    return out


def draw_objects(
    objects: Sequence[Sequence[Part]], height: int, width: int, rule: str = "official"
) -> list[dict | DataError]:
    """:func:`objects_to_rles` where an object that cannot be drawn costs itself alone: in its place stands what is wrong with it.

    Args:
        objects: N objects, as :func:`objects_to_rles` takes them.
        height, width: of their images, in pixels.
        rule: ``official`` or ``coco``.

    Returns:
        N of RLE or DataError.
    """
    try:
        return list(objects_to_rles(objects, height, width, rule))
    except DataError:
        out: list[dict | DataError] = []
        for parts in objects:
            try:
                out.append(polygons_to_rle(parts, height, width, rule))
            except DataError as error:
                out.append(error)
        return out


def _draw_official(objects: list[list[Outline]], height: int, width: int) -> list[dict]:
    paths = [path for parts in objects for path in parts if len(path.vertices)]
    texts = _outlines_to_counts(paths, height, width)
    out, place = [], 0
    for parts in objects:
        count = sum(1 for path in parts if len(path.vertices))
        rles = [{"size": [height, width], "counts": text} for text in texts[place : place + count]]
        place += count
        if count == 1:
            out.append(rles[0])
        else:
            out.append(run_lengths.union(rles) if rles else run_lengths.empty(height, width))
    return out


def _outlines_to_counts(paths: list[Outline], height: int, width: int) -> list[str]:
    """One RLE string a path, by the official rule."""
    if not paths:
        return []
    check_vertices(np.concatenate([path.vertices for path in paths]))
    areas = np.array([path.closed for path in paths], dtype=bool)
    owner = np.flatnonzero(areas)
    corners, lengths = _flat([path for path in paths if path.closed], height, width, 0.0)
    edges, ring = _ring_edges(corners, lengths)
    edge_owner = owner[ring]
    if not areas.all():
        line_edges, line_owner = _line_edges(paths, height, width)
        edges, edge_owner = (
            np.concatenate([edges, line_edges]),
            np.concatenate([edge_owner, line_owner]),
        )
    texts: list[str] = []
    for first, last in _groups(edges, edge_owner, count=len(paths), height=height, width=width):
        chosen = (
            slice(None)
            if last - first == len(paths)
            else (edge_owner >= first) & (edge_owner < last)
        )
        places, owner = touched_places(
            outline_cells(edges[chosen], edge_owner[chosen], height, width), height, width
        )
        texts += pack_edges(
            places, np.bincount(owner - first, minlength=last - first), height * width
        )
    return texts


def _groups(
    edges: np.ndarray, owner: np.ndarray, count: int, height: int, width: int
) -> Iterator[tuple[int, int]]:
    """Ranges of outlines that are short enough together; one that is too long by itself stands alone."""
    # An edge is cut to the image: no more of it counts than the image is wide and high.
    spans = np.abs(edges[:, 2:] - edges[:, :2])
    lengths = np.bincount(owner, np.minimum(spans, [width, height]).sum(axis=1), count)
    first, total = 0, 0.0
    for index, length in enumerate(lengths.tolist()):
        if index > first and total + length > _LENGTH_AT_ONCE:
            yield first, index
            first, total = index, 0.0
        total += length
    yield first, count


def _flat(
    paths: list[Outline], height: int, width: int, shift: float
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices snapped to whole pixels plus ``shift``, then flattened: corners end to end, and their number a path."""
    if not paths:
        return np.empty((0, 2)), np.zeros(0, dtype=np.int64)
    points = np.concatenate([path.vertices for path in paths])
    # Halves go up, as the canvas snaps; ``np.rint`` would move every second one down.
    return flatten_points(
        np.floor(_on_canvas(points, height, width) + 0.5) + shift, paths, corner=shift
    )


def _on_canvas(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Where the official canvas has its vertices (V,2), which decides those halfway between two pixels.

    It is made ``width / 100`` inches wide at 100 dots an inch, and its axes divide by the width again: for one size in eight what
    comes out differs from the vertex in the last bit. Sizes for which the canvas itself would lose a pixel (the official tool fails
    on them) are exact.
    """
    scale, offset = [], []
    for size in (width, height):
        pixels = size / _DOTS_AN_INCH * _DOTS_AN_INCH
        if not size or int(pixels) != size:
            return points
        scale.append(pixels * (1 / size))
        # The y axis is turned over twice, once by the data and once by the canvas.
        offset.append(0.0 if not offset else size - pixels * (size * (1 / size)))
    if scale == [1, 1] and offset == [0, 0]:
        return points
    return points * scale + offset


def _line_edges(paths: list[Outline], height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The edges around the open paths' lines, and the path each belongs to."""
    lines, owner = [], []
    for index, path in enumerate(paths):
        if not path.closed:
            pieces = (
                [path]
                if path.curved
                else [Outline(p, "", False) for p in clip_line(path.vertices, height, width)]
            )
            lines.extend(pieces)
            owner.extend([index] * len(pieces))
    corners, lengths = stroke_outlines(*_flat(lines, height, width, CENTER))
    edges, ring = _ring_edges(corners, lengths)
    return edges, np.array(owner, dtype=np.int64)[ring]


def _ring_edges(corners: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of rings end to end -> edges E,4 (the closing ones included) and their ring."""
    following = np.arange(1, len(corners) + 1)
    ends = np.cumsum(lengths)
    filled = lengths > 0
    following[ends[filled] - 1] = (ends - lengths)[filled]
    return np.concatenate([corners, corners[following]], axis=1), np.repeat(
        np.arange(len(lengths)), lengths
    )


def _draw_coco(objects: list[list[Outline]], height: int, width: int) -> list[dict]:
    flat = flatten_many([path for parts in objects for path in parts])
    out, place = [], 0
    for parts in objects:
        corners = flat[place : place + len(parts)]
        place += len(parts)
        # COCO knows areas only: a line, or fewer than three corners, has none.
        areas = [points for points, path in zip(corners, parts) if path.closed and len(points) >= 3]
        out.append(
            coco_fill.from_polygons_coco(areas, height, width)
            if areas
            else run_lengths.empty(height, width)
        )
    return out
