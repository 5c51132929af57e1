"""Labels of painted scenes: Scalabel frames (curves where an object is seen whole, traced polygons where something cuts it), and panoptic segments."""

from __future__ import annotations

import cv2
import numpy as np

from bdd_inst.formats.bitmask import BitmaskInstance
from bdd_inst.synthetic.paint import Painted
from bdd_inst.synthetic.scene import Scene
from bdd_inst.synthetic.stuff import StuffMap, panoptic_instances

MIN_PIXELS = 40  # smaller remains are left unlabeled, as annotators do
MIN_SHARE = 0.15  # so is what shows less than this share of itself
TOLERANCE = 0.7  # pixels that a traced polygon may stray from the mask


def frame_of(name: str, scene: Scene, painted: list[Painted], timestamp: int = 10000) -> dict:
    """The Scalabel frame of one image, as BDD100K's ``ins_seg`` polygons JSON has it, with the image's size: those are all of one."""
    labels = []
    for item in painted:
        label = label_of(item, str(len(labels)))
        if label is not None:
            labels.append(label)
    attributes = {"weather": scene.weather, "scene": scene.kind, "timeofday": scene.time}
    return {
        "name": name,
        "size": {"width": scene.camera.width, "height": scene.camera.height},
        "attributes": attributes,
        "timestamp": timestamp,
        "labels": labels,
    }


def label_of(item: Painted, identity: str) -> dict | None:
    """One Scalabel label, or None where too little of the object shows."""
    if not is_labeled(item):
        return None
    if item.outline is not None and not item.cut and (item.visible == item.whole).all():
        parts = [poly2d(rounded(path.vertices), path.types) for path in item.outline]
    else:
        parts = [poly2d(points.tolist(), "L" * len(points)) for points in trace(item.visible)]
    if not parts:
        return None
    ys, xs = np.nonzero(item.visible)
    # Scalabel boxes are inclusive: x2, y2 are the last pixel.
    box = {
        "x1": float(xs.min()),
        "y1": float(ys.min()),
        "x2": float(xs.max()),
        "y2": float(ys.max()),
    }
    attributes = {"occluded": is_occluded(item), "truncated": item.cut}
    return {
        "id": identity,
        "category": item.thing.category,
        "attributes": attributes,
        "box2d": box,
        "poly2d": parts,
    }


def is_labeled(item: Painted) -> bool:
    """Whether enough of the object shows."""
    shown = int(item.visible.sum())
    return shown >= MIN_PIXELS and shown >= MIN_SHARE * int(item.whole.sum())


def is_occluded(item: Painted) -> bool:
    """Whether something covers the object."""
    return int(item.visible.sum()) < 0.98 * int(item.whole.sum())


def segments_of(painted: list[Painted], stuff: StuffMap) -> list[BitmaskInstance]:
    """The segments of one image, as BDD100K's ``pan_seg`` bitmasks have them; what nobody labels belongs to none."""
    things = [
        (item.thing.category, item.visible, is_occluded(item), item.cut)
        for item in painted
        if is_labeled(item)
    ]
    return panoptic_instances(stuff, things)


def poly2d(vertices: list, types: str) -> dict:
    """One closed part of an outline in Scalabel's form."""
    return {"vertices": vertices, "types": types, "closed": True}


def rounded(vertices: list[tuple[float, float]]) -> list[list[float]]:
    """Vertices with five decimals, about what BDD100K's own files carry."""
    return [[round(float(x), 5), round(float(y), 5)] for x, y in vertices]


def trace(mask: np.ndarray) -> list[np.ndarray]:
    """Polygons V,2 int along the pixel edges of a mask (H,W bool); parts with holes are split until they have none.

    Args:
        mask: H,W bool.

    Returns:
        Polygons V,2 int of x, y in pixels; components of fewer than six pixels are left out.
    """
    out: list[np.ndarray] = []
    # By edges: pixels that touch at a corner only would give an outline that crosses itself.
    count, ids = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    for i in range(1, count):
        component = ids == i
        if component.sum() < 6:
            continue
        out += trace_component(component)
    return out


def trace_component(component: np.ndarray) -> list[np.ndarray]:
    """Polygons V,2 int of one connected component (H,W bool)."""
    # On the doubled grid the border pixels of an object name its pixel edges: both 2i and 2i - 1 belong to edge i.
    doubled = np.repeat(np.repeat(component, 2, axis=0), 2, axis=1).astype(np.uint8)
    contours, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    holes = [c for c, h in zip(contours, hierarchy[0]) if h[3] >= 0 and cv2.contourArea(c) >= 60]
    if holes:
        # A polygon cannot say that it has a hole: cut through it, and both halves are plain.
        column = int(holes[0][:, 0, 0].mean()) // 2
        left, right = component.copy(), component.copy()
        left[:, column + 1 :] = False
        right[:, : column + 1] = False
        return trace(left) + trace(right)
    outer = next(c for c, h in zip(contours, hierarchy[0]) if h[3] < 0)
    simple = cv2.approxPolyDP((outer + 1) // 2, TOLERANCE, True)[:, 0]
    return [simple] if len(simple) >= 3 else []
