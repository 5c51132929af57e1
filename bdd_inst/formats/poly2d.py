"""Every spelling of Scalabel's ``poly2d`` (and ``seg2d``) as paths: parts with vertices and letters, or 2018's ``[[x, y, "L"], ...]``."""

from __future__ import annotations

from typing import Any

from bdd_inst.base.errors import DataError
from bdd_inst.masks.outlines import Outline

# A filled outline needs three vertices, a line two.
FEWEST_CLOSED, FEWEST_OPEN = 3, 2


def parse_poly2d(value: Any) -> tuple[list[Outline], list[str]]:
    """Paths of a ``poly2d`` or ``seg2d`` as plain objects, and one sentence for each part that had to be left out.

    Understood: a list of ``{"vertices", "types", "closed"}``; one such object; one path of ``[x, y, letter]`` rows (before August 2018);
    a list of such paths (``seg2d``); a JSON null for none.
    """
    if value is None:
        return [], []
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return [], ["poly2d is neither a list nor an object"]
    # One path alone, as files before August 2018 have it: a list of one.
    if value and _is_row(value[0]):
        value = [value]
    paths, faults = [], []
    for part in value:
        try:
            paths.append(_part(part))
        except (DataError, ValueError, TypeError, OverflowError) as error:
            faults.append(str(error))
    return paths, faults


def _is_row(row: Any) -> bool:
    """Whether this is one vertex, ``[x, y]`` or ``[x, y, letter]``, and not a path of them."""
    return (
        isinstance(row, list)
        and 2 <= len(row) <= 3
        and all(isinstance(v, int | float) for v in row[:2])
    )


def _part(part: Any) -> Outline:
    if isinstance(part, dict):
        # Closed unless it says otherwise: some exporters leave the key out, or write null.
        vertices, types, closed = part.get("vertices"), part.get("types"), part.get("closed", True)
        if not isinstance(vertices, list):
            raise ValueError("a polygon without a list of vertices")
        if not all(_is_row(v) for v in vertices):
            raise ValueError("a polygon with a vertex that is not two numbers")
        if any(len(v) == 3 for v in vertices):
            path = Outline.from_v1(vertices, closed is not False)
        else:
            path = Outline.checked(vertices, letters(types, len(vertices)), closed is not False)
    elif isinstance(part, list):
        if not all(_is_row(v) for v in part):
            raise ValueError("a polygon with a vertex that is not [x, y, letter]")
        path = Outline.from_v1(
            [[x, y, str(rest[0]).upper() if rest else "L"] for x, y, *rest in part]
        )
    else:
        raise ValueError("a polygon that is neither an object nor a list")
    check_length(path)
    # All corners: without letters an outline needs no look at curves later on.
    if "C" not in path.types:
        path.types = ""
    return path


def letters(types: Any, number: int) -> str:
    """The letters of a part's vertices; empty where all are corners. ValueError unless there is one for each vertex."""
    if types is None or types == "" or types == []:
        return ""
    text = "".join(map(str, types)) if isinstance(types, list) else types
    if not isinstance(text, str) or len(text) != number:
        raise ValueError(f"a polygon with {number} vertices but types {str(types)[:20]!r}")
    return text.upper()


def check_length(path: Outline) -> None:
    """ValueError for an outline of too few vertices to be one."""
    if len(path) < (FEWEST_CLOSED if path.closed else FEWEST_OPEN):
        raise ValueError(f"a polygon of {len(path)} points")
