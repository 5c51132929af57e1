"""The street without its traffic: sky, skyline, road with markings, pavements, light and weather."""

from __future__ import annotations

import cv2
import numpy as np

from bdd_inst.synthetic.scene import Scene
from bdd_inst.synthetic.stuff import StuffMap

SKY = {
    "clear": (120, 170, 225),
    "partly cloudy": (150, 182, 218),
    "overcast": (178, 184, 190),
    "rainy": (140, 147, 154),
    "snowy": (198, 203, 208),
    "foggy": (196, 199, 201),
}
LIGHT = {"daytime": (1.0, 1.0, 1.0), "dawn/dusk": (0.86, 0.68, 0.58), "night": (0.38, 0.39, 0.47)}


def clouds(
    rng: np.random.Generator, height: int, width: int, octaves: tuple[int, ...] = (4, 9, 23, 60)
) -> np.ndarray:
    """Smooth random texture H,W float32 of mean 0 and about unit spread: noise of several grid sizes, added."""
    out = np.zeros((height, width), np.float32)
    for cells in octaves:
        grid = rng.standard_normal((max(2, cells * height // width), cells)).astype(np.float32)
        out += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / np.sqrt(
            cells / octaves[0]
        )
    return out / (out.std() + 1e-6)


def paint_backdrop(scene: Scene, rng: np.random.Generator, stuff: StuffMap) -> np.ndarray:
    """The empty street, H,W,3 float32 RGB 0-255, in daylight (light and weather come last, over everything).

    ``stuff`` learns what each pixel is.
    """
    camera = scene.camera
    h, w, horizon = camera.height, camera.width, int(camera.horizon)
    image = np.empty((h, w, 3), np.float32)
    stuff.split(horizon)
    sky = np.array(SKY[scene.weather], np.float32)
    fall = np.linspace(0.75, 1.12, horizon, dtype=np.float32)[:, None, None]
    image[:horizon] = sky * fall
    spread = {"clear": 4, "partly cloudy": 26}.get(scene.weather, 9)
    image[:horizon] += spread * clouds(rng, horizon, w)[..., None]
    ground = {"residential": (96, 122, 70), "highway": (124, 120, 84)}.get(
        scene.kind, (136, 132, 126)
    )
    if scene.weather == "snowy":
        ground = (222, 224, 228)
    image[horizon:] = (
        np.array(ground, np.float32) + 14 * clouds(rng, h - horizon, w, (8, 30, 90))[..., None]
    )
    skyline(image, scene, rng, stuff)
    road(image, scene, rng, stuff)
    return image


def skyline(image: np.ndarray, scene: Scene, rng: np.random.Generator, stuff: StuffMap) -> None:
    """Houses with windows along both sides, or trees and hills on the open road, into ``image`` H,W,3 float32 RGB."""
    camera = scene.camera
    if scene.kind == "highway":
        for _ in range(3):
            base = camera.horizon - rng.uniform(2, 0.1 * camera.height) * (
                1 + clouds(rng, 2, camera.width, (3, 7))[0] * 0.35
            )
            xs = np.arange(camera.width)
            ridge = np.concatenate(
                [
                    np.stack([xs, base], 1),
                    [[camera.width, camera.horizon + 3], [0, camera.horizon + 3]],
                ]
            )
            cv2.fillPoly(
                image,
                [np.int32(ridge)],
                tuple(float(v) for v in rng.uniform((50, 80, 50), (110, 125, 100))),
                cv2.LINE_AA,
            )
            stuff.fill(ridge, "terrain")
        return
    for side in (-1, 1):
        z = 60.0
        while z > 8:
            depth = rng.uniform(6, 16)
            house(
                image,
                stuff,
                scene=scene,
                rng=rng,
                x=side * rng.uniform(8.5, 11),
                far=z,
                near=max(z - depth, 5.0),
                tall=rng.uniform(4, 13 if scene.kind == "city street" else 7),
            )
            z -= depth + (rng.uniform(0, 6) if scene.kind == "residential" else 0)


def house(
    image: np.ndarray,
    stuff: StuffMap,
    *,
    scene: Scene,
    rng: np.random.Generator,
    x: float,
    far: float,
    near: float,
    tall: float,
) -> None:
    """One facade along the road from ``far`` to ``near``, meters, with rows of windows in perspective, into ``image`` H,W,3 float32."""
    camera = scene.camera
    wall = rng.uniform(70, 200) * np.array([1, rng.uniform(0.8, 1.0), rng.uniform(0.68, 1.0)])

    def corner(z: float, y: float) -> tuple[float, float]:
        px, py = camera.ground(x, z)
        return px, py - camera.scale(z) * y

    def quad(z1: float, z2: float, y1: float, y2: float, color: np.ndarray) -> None:
        points = np.array([corner(z1, y1), corner(z2, y1), corner(z2, y2), corner(z1, y2)])
        fill(image, points, color)
        stuff.fill(points, "building")

    quad(far, near, y1=0, y2=tall, color=wall)
    # The face turned to the viewer, of a house that stands free.
    px, py = camera.ground(x, far)
    s = camera.scale(far)
    face = np.array(
        [
            (px, py),
            (px + np.sign(x) * 12 * s, py),
            (px + np.sign(x) * 12 * s, py - tall * s),
            (px, py - tall * s),
        ]
    )
    fill(image, face, wall * 0.8)
    stuff.fill(face, "building")
    lit = scene.time != "daytime"
    for y in np.arange(1.2, tall - 1.2, 3.0):
        for z in np.arange(near + 1, far - 1.5, 2.6):
            glow = lit and rng.random() < 0.35
            quad(
                z + 1.4,
                z,
                y1=y,
                y2=y + 1.5,
                color=np.array((900, 760, 420)) if glow else wall * rng.uniform(0.25, 0.6),
            )


def fill(image: np.ndarray, points: np.ndarray, color: np.ndarray | tuple[float, ...]) -> None:
    """Fill a polygon of float points V,2 (pixel corners are whole numbers) in an image H,W,3, in place; edges are smooth in uint8 only."""
    # OpenCV counts from pixel centers, in 1/16 pixel; far corners are pulled in, where they would overflow.
    shifted = np.round((np.clip(points, -4000, 4000) - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(image, [shifted], tuple(float(v) for v in color), cv2.LINE_AA, 4)


def road(image: np.ndarray, scene: Scene, rng: np.random.Generator, stuff: StuffMap) -> None:
    """Asphalt with grain, pavements, dashed and solid lines, a crossing now and then, into ``image`` H,W,3 float32."""
    camera = scene.camera
    half = 9.0 if scene.kind == "highway" else 4.6
    gray = rng.uniform(70, 115) * (
        1.25 if scene.weather == "snowy" else 0.8 if scene.weather == "rainy" else 1.0
    )

    def strip(
        x1: float, x2: float, z1: float, z2: float, color: tuple[float, ...], name: str = "road"
    ) -> None:
        corners = ((x1, z1), (x2, z1), (x2, z2), (x1, z2))
        points = np.array([camera.ground(x, z) for x, z in corners])
        fill(image, points, color)
        stuff.fill(points, name)

    if scene.kind != "highway":
        strip(
            -8.5, 8.5, z1=2.2, z2=200, color=(gray * 1.5, gray * 1.46, gray * 1.42), name="sidewalk"
        )
        strip(
            -half - 2.3, half + 2.3, z1=2.2, z2=200, color=(gray * 1.12, gray * 1.12, gray * 1.12)
        )
    strip(-half, half, z1=2.2, z2=200, color=(gray, gray, gray * 1.03))
    paint = (205, 205, 200)
    for x in (-1.6, 1.8) if scene.kind != "highway" else (-5.1, -1.7, 1.7, 5.1):
        for z in np.arange(3 + rng.uniform(0, 4), 60, 6.0):
            strip(x - 0.07, x + 0.07, z1=z, z2=z + 2.6, color=paint)
    for x in (-half + 0.3, half - 0.3):
        strip(x - 0.07, x + 0.07, z1=2.2, z2=120, color=paint)
    if scene.kind == "city street" and rng.random() < 0.35:
        z = rng.uniform(7, 14)
        for x in np.arange(-half + 0.4, half - 0.4, 0.9):
            strip(x, x + 0.45, z1=z, z2=z + 2.5, color=paint)
    top = int(camera.horizon)
    grain = (
        clouds(rng, camera.height - top, camera.width, (6, 40, 160)) * 7
        + rng.standard_normal((camera.height - top, camera.width)) * 3
    )
    image[top:] += grain[..., None].astype(np.float32)


def finish(
    image: np.ndarray, scene: Scene, rng: np.random.Generator, glow: np.ndarray
) -> np.ndarray:
    """Light of the hour, lamps, rain, snow, and the camera's own blur and noise. Returns H,W,3 uint8 RGB."""
    h, w = image.shape[:2]
    image = image * np.array(LIGHT[scene.time], np.float32)
    image *= 1 + 0.06 * clouds(rng, h, w, (3, 6))[..., None]
    strength = {"daytime": 0.15, "dawn/dusk": 0.6, "night": 1.0}[scene.time]
    image += strength * cv2.GaussianBlur(glow, (0, 0), 0.02 * w) * 2.2 + strength * 0.7 * glow
    if scene.weather == "rainy":
        image = cv2.addWeighted(
            image, 0.9, drops(rng, h, width=w, count=260, size=(2, 14)), 0.5, 6.0
        )
    elif scene.weather == "snowy":
        image = image + drops(rng, h, width=w, count=200, size=(2, 2)) * 0.8
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.35, 0.75))
    noise = {"daytime": 3.0, "dawn/dusk": 4.5, "night": 6.5}[scene.time]
    image = image + rng.standard_normal(image.shape).astype(np.float32) * noise
    return np.clip(image * rng.uniform(0.88, 1.12) + rng.uniform(-8, 8), 0, 255).astype(np.uint8)


def drops(
    rng: np.random.Generator, height: int, width: int, count: int, size: tuple[int, int]
) -> np.ndarray:
    """Rain streaks or snow flakes, H,W,3 float32 of light to add."""
    layer = np.zeros((height, width), np.float32)
    starts = rng.uniform((0, 0), (width, height), (count, 2))
    slant = rng.uniform(-0.3, 0.3)
    for (x, y), length in zip(
        starts, rng.uniform(*size, count) if size[0] != size[1] else np.ones(count)
    ):
        cv2.line(
            layer,
            (int(x), int(y)),
            (int(x + slant * length), int(y + length)),
            float(rng.uniform(60, 160)),
            1,
            cv2.LINE_AA,
        )
    return np.repeat(layer[..., None], 3, axis=2)
