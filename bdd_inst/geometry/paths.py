"""The outline of an object, as label files give it: vertices, one letter each, closed or open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(slots=True)
class Path:
    """One outline.

    ``vertices`` is float64 V,2 (x, y in pixels, as in the file); ``types`` one letter a vertex, ``L`` for a corner and ``C`` for a Bezier
    control point (BDD100K's rule: on a ``C``, that one and the next are control points and the one after is the end point, whatever its
    letter); ``closed`` paths are filled, open ones (lanes) are lines of one pixel.
    """

    vertices: np.ndarray
    types: str
    closed: bool = True
