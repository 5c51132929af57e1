"""Street furniture that only panoptic labels know: lamps, trees, signs, bins, traffic lights, posters."""

from __future__ import annotations

import numpy as np

from bdd_inst.synthetic.pen import Contour, ellipse, rectangle
from bdd_inst.synthetic.shapes import Shape, paint_color

# What panoptic labels call them.
STUFF = {
    "lamp": "street light",
    "tree": "vegetation",
    "sign": "traffic sign",
    "bin": "static",
    "light": "traffic light",
    "poster": "billboard",
}


def distractor(name: str, rng: np.random.Generator) -> Shape:
    """Street furniture that is nobody's label: ``lamp``, ``tree``, ``sign``, ``bin``, ``light`` (traffic light), ``poster``."""
    if name == "tree":
        r = rng.uniform(0.9, 1.8)
        leaf = tuple(float(v) for v in rng.uniform((30, 60, 20), (90, 130, 60)))
        crowns = [
            ellipse(rng.uniform(-0.6, 0.6), 2.6 + rng.uniform(-0.4, 1.2), r * rng.uniform(0.6, 1.0))
            for _ in range(4)
        ]
        return Shape(
            [rectangle(-0.12, 0, 0.12, 2.6), *crowns],
            leaf,
            [(rectangle(-0.12, 0, 0.12, 2.0), (74, 58, 44))],
        )
    if name == "bin":
        return Shape(
            [rectangle(-0.3, 0, 0.3, 1.05)],
            paint_color(rng),
            [(rectangle(-0.34, 0.9, 0.34, 1.08), (50, 52, 54))],
        )
    if name == "poster":
        image = (
            (ellipse(0, 1.9, 0.16), (214, 170, 140)),
            (rectangle(-0.25, 1.1, 0.25, 1.72), paint_color(rng, 1.0)),
        )
        return Shape([rectangle(-0.6, 0.5, 0.6, 2.3)], (228, 226, 220), list(image))
    post = rectangle(-0.06, 0, 0.06, 2.6)
    if name == "sign":
        face = ellipse(0, 2.6, 0.36) if rng.random() < 0.5 else rectangle(-0.34, 2.25, 0.34, 2.95)
        inner = ellipse(0, 2.6, 0.27)
        return Shape(
            [post, face], (196, 30, 26), [(post, (110, 112, 114)), (inner, (235, 235, 230))]
        )
    if name == "light":
        head = rectangle(-0.18, 2.4, 0.18, 3.3)
        lamps = [
            (ellipse(0, y, 0.1), c)
            for y, c in (
                (3.12, (230.0, 40.0, 30.0)),
                (2.85, (60.0, 50.0, 10.0)),
                (2.58, (12.0, 50.0, 30.0)),
            )
        ]
        return Shape(
            [post, head],
            color=(34, 36, 38),
            parts=lamps,
            depth=0.0,
            lights=[(0, 3.12, (230, 40, 30))],
        )
    arm = Contour().line((-0.07, 0), (0.07, 0), (0.05, 5.6), (1.3, 5.9), (1.3, 6.0), (-0.05, 5.75))
    return Shape(
        [arm], color=(104, 108, 110), parts=[], depth=0.0, lights=[(1.15, 5.9, (255, 214, 150))]
    )
