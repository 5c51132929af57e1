"""Paints the things of a scene from far to near and keeps which pixels each of them shows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from bdd_inst.synthetic.backdrop import SKY, clouds, fill, finish, paint_backdrop
from bdd_inst.synthetic.pen import Contour, cover
from bdd_inst.synthetic.scene import Camera, Scene, Thing
from bdd_inst.synthetic.stuff import StuffMap

FOG = {"foggy": 0.035, "snowy": 0.012, "rainy": 0.010, "overcast": 0.004}


@dataclass(slots=True)
class Painted:
    """A labeled thing in the image.

    ``outline`` are its whole paths in pixels (None where it is not one of known curves), ``whole`` its silhouette H,W bool inside the
    image, ``visible`` what nearer things leave of it, ``cut`` True where it runs over the image's border.
    """

    thing: Thing
    outline: list[Contour] | None
    whole: np.ndarray
    visible: np.ndarray
    cut: bool


def paint(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, list[Painted], StuffMap]:
    """The image, its labeled things, far to near, and what all else is.

    Args:
        scene: what stands where, and the weather.
        rng: of everything random in the image.

    Returns:
        H,W,3 uint8 RGB; the things, each with its pixels; and the class of every other pixel.
    """
    camera = scene.camera
    stuff = StuffMap(camera.height, camera.width)
    image = paint_backdrop(scene, rng, stuff)
    glow = np.zeros_like(image)
    texture = clouds(rng, camera.height, camera.width, (12, 50, 140))
    painted: list[Painted] = []
    for thing in scene.things:
        silhouette, outline = silhouette_of(thing, camera)
        if silhouette is None:
            continue
        cast_shadow(image, thing, camera, scene)
        paint_thing(image, thing, silhouette=silhouette, texture=texture, scene=scene)
        light_up(glow, thing, camera, silhouette)
        for other in painted:
            other.visible &= ~silhouette
        stuff.mark(silhouette, thing.stuff)
        if thing.category is not None:
            painted.append(
                Painted(
                    thing,
                    outline=outline,
                    whole=silhouette,
                    visible=silhouette.copy(),
                    cut=is_cut(thing, camera),
                )
            )
    return finish(image, scene, rng, glow), painted, stuff


def silhouette_of(thing: Thing, camera: Camera) -> tuple[np.ndarray | None, list[Contour] | None]:
    """The thing's pixels H,W bool (None if it is out of the image) and its curves where they alone bound it."""
    near = [thing.place(outline, camera) for outline in thing.shape.outline]
    mask = np.zeros((camera.height, camera.width), np.uint8)
    for outline in near:
        cover(mask, outline.flat())
    flank = flank_of(thing, camera)
    if flank is not None:
        cover(mask, flank)
    return (mask.astype(bool), near if flank is None else None) if mask.any() else (None, None)


def flank_of(thing: Thing, camera: Camera) -> np.ndarray | None:
    """The body swept from the near face to the far one, as a convex polygon P,2 float32, or None where only the face shows."""
    if not thing.shape.depth:
        return None
    near, far = (
        np.concatenate([thing.place(o, camera, behind).flat() for o in thing.shape.outline])
        for behind in (0.0, thing.shape.depth)
    )
    face, body = (
        cv2.convexHull(points.astype(np.float32)) for points in (near, np.concatenate([near, far]))
    )
    # A vehicle dead ahead hides its own sides behind its face.
    return body[:, 0] if cv2.contourArea(body) > 1.03 * cv2.contourArea(face) else None


def paint_thing(
    image: np.ndarray, thing: Thing, silhouette: np.ndarray, texture: np.ndarray, scene: Scene
) -> None:
    """Into ``image`` (H,W,3 float32 RGB): flank, face and parts, then shading, surface texture and the fog of its distance."""
    camera, shape = scene.camera, thing.shape
    layer = image.copy()
    flank = flank_of(thing, camera)
    if flank is not None:
        fill(layer, flank, tuple(0.62 * c for c in shape.color))
        paint_flank(layer, thing, camera)
    for outline in shape.outline:
        fill(layer, thing.place(outline, camera).flat(), shape.color)
    for outline, color in shape.parts:
        fill(layer, thing.place(outline, camera).flat(), color)
    ys, xs = np.nonzero(silhouette)
    y1, y2, x1, x2 = ys.min(), ys.max() + 1, xs.min(), xs.max() + 1
    box = layer[y1:y2, x1:x2]
    shading = (
        np.linspace(1.12, 0.86, y2 - y1, dtype=np.float32)[:, None, None]
        + 0.05 * texture[y1:y2, x1:x2, None]
    )
    fog = 1 - np.exp(-FOG.get(scene.weather, 0.0015) * thing.z)
    shaded = box * shading * (1 - fog) + fog * np.array(SKY[scene.weather], np.float32)
    here = silhouette[y1:y2, x1:x2, None]
    box[:] = np.where(here, shaded, box)
    image[:] = layer


def paint_flank(layer: np.ndarray, thing: Thing, camera: Camera) -> None:
    """Windows and wheels along the side of a vehicle that shows it, into ``layer`` H,W,3 float32 RGB."""
    shape = thing.shape
    points = np.concatenate([outline.flat() for outline in shape.outline])
    half, top = np.abs(points[:, 0]).max(), points[:, 1].max()
    side = -half if thing.x > 0 else half

    def corner(y: float, behind: float) -> tuple[float, float]:
        x, ground = camera.ground(thing.x + side, thing.z + behind)
        return x, ground - camera.scale(thing.z + behind) * y

    count = max(2, int(shape.depth / 1.6))
    edges = np.linspace(0.08, 0.92, count + 1) * shape.depth
    if thing.category != "truck":
        for a, b in itertools.pairwise(edges):
            quad = [
                corner(top * 0.58, a + 0.1),
                corner(top * 0.58, b - 0.1),
                corner(top * 0.86, b - 0.1),
                corner(top * 0.86, a + 0.1),
            ]
            fill(layer, np.array(quad), (44, 52, 58))
    radius = 0.33 if thing.category == "car" else 0.48
    for behind in (0.16 * shape.depth, 0.8 * shape.depth):
        x, y = corner(radius, behind)
        (left, _), (right, _) = (
            corner(radius, behind + radius),
            corner(radius, max(behind - radius, 0)),
        )
        t = np.linspace(0, 2 * np.pi, 17)[:-1]
        disc = np.stack(
            [
                x + abs(right - left) / 2 * np.cos(t),
                y + camera.scale(thing.z + behind) * radius * np.sin(t),
            ],
            1,
        )
        fill(layer, disc, (24, 24, 26))


def cast_shadow(image: np.ndarray, thing: Thing, camera: Camera, scene: Scene) -> None:
    """A soft dark patch on ``image`` (H,W,3 float32 RGB) where the thing meets the road."""
    flat = np.concatenate([thing.place(outline, camera).flat() for outline in thing.shape.outline])
    x, y = camera.ground(thing.x, thing.z)
    rx = max(2.0, (flat[:, 0].max() - flat[:, 0].min()) * 0.54)
    t = np.linspace(0, 2 * np.pi, 25)[:-1]
    patch = np.zeros(image.shape[:2], np.float32)
    fill(
        patch,
        np.stack([x + rx * np.cos(t), y + max(1.0, 0.16 * camera.scale(thing.z)) * np.sin(t)], 1),
        (0.5 if scene.weather == "clear" else 0.3,),
    )
    image *= 1 - patch[..., None]


def light_up(glow: np.ndarray, thing: Thing, camera: Camera, silhouette: np.ndarray) -> None:
    """Add the thing's lamps to the layer of light (H,W,3 float32 RGB), and take away what it hides of lamps behind it."""
    glow[silhouette] = 0
    s = camera.scale(thing.z)
    for x, y, color in thing.shape.lights:
        px, py = camera.ground(thing.x, thing.z)
        center = (
            int(np.clip(px + (-s if thing.mirror else s) * x, -99, 9999)),
            int(np.clip(py - s * y, -99, 9999)),
        )
        cv2.circle(glow, center, max(1, int(0.07 * s)), color, -1, cv2.LINE_AA)


def is_cut(thing: Thing, camera: Camera) -> bool:
    """True where the thing's outline leaves the image."""
    points = [thing.place(outline, camera).flat() for outline in thing.shape.outline]
    flank = flank_of(thing, camera)
    flat = np.concatenate(points if flank is None else [*points, flank])
    return bool(
        (flat < 0).any() or (flat[:, 0] > camera.width).any() or (flat[:, 1] > camera.height).any()
    )
