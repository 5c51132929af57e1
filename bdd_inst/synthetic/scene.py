"""What stands where: a street seen from a car, with traffic, people and light drawn at random but plausible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bdd_inst.synthetic import furniture, people, trains, vehicles
from bdd_inst.synthetic.pen import Contour
from bdd_inst.synthetic.shapes import Shape

WEATHER = {
    "clear": 0.45,
    "overcast": 0.17,
    "partly cloudy": 0.13,
    "rainy": 0.12,
    "snowy": 0.07,
    "foggy": 0.06,
}
SCENE = {"city street": 0.6, "residential": 0.22, "highway": 0.18}
TIME = {"daytime": 0.62, "night": 0.24, "dawn/dusk": 0.14}
CAMERA_HEIGHT = 1.45  # meters above the road
EYE = 1.15  # focal length in image widths: a dash camera cropped to its middle


@dataclass(slots=True)
class Camera:
    """A pinhole over a flat road: ``x = center + focal * X / Z``, ``y = horizon + focal * (CAMERA_HEIGHT - Y) / Z``."""

    width: int
    height: int
    horizon: float
    center: float
    focal: float

    def scale(self, z: float) -> float:
        """Pixels a meter at depth ``z`` meters."""
        return self.focal / z

    def ground(self, x: float, z: float) -> tuple[float, float]:
        """The image point of a spot on the road, ``x`` meters to the right and ``z`` ahead."""
        return self.center + self.focal * x / z, self.horizon + self.focal * CAMERA_HEIGHT / z


@dataclass(slots=True)
class Thing:
    """An object that stands in the scene; ``category`` None for distractors, which only panoptic labels know, as ``stuff``."""

    category: str | None
    shape: Shape
    x: float
    z: float
    mirror: bool = False
    stuff: str | None = None

    def place(self, outline: Contour, camera: Camera, behind: float = 0.0) -> Contour:
        """The outline in image pixels, or its copy ``behind`` meters farther away."""
        z = self.z + behind
        x, y = camera.ground(self.x, z)
        s = camera.scale(z)
        return outline.mapped(-s if self.mirror else s, -s, x, y)


@dataclass(slots=True)
class Scene:
    """One image to paint: camera, conditions, things from far to near."""

    camera: Camera
    weather: str
    kind: str
    time: str
    things: list[Thing]


def choose(rng: np.random.Generator, shares: dict[str, float]) -> str:
    """One key, with its value as probability."""
    return str(rng.choice(list(shares), p=np.array(list(shares.values())) / sum(shares.values())))


def compose(rng: np.random.Generator, width: int, height: int) -> Scene:
    """A random scene. Cars are everywhere, trains rare: about the order of BDD100K's own counts, its tail made less thin.

    Args:
        rng: of everything random.
        width, height: of the image, in pixels.

    Returns:
        Camera, weather and things, to be painted.
    """
    camera = Camera(
        width,
        height=height,
        horizon=height * rng.uniform(0.36, 0.46),
        center=width * rng.uniform(0.42, 0.58),
        focal=width * EYE,
    )
    kind = choose(rng, SCENE)
    things = traffic(rng, kind) + street_life(rng, kind) + rails(rng, kind) + distractors(rng, kind)
    things.sort(key=lambda thing: -thing.z)
    return Scene(
        camera, weather=choose(rng, WEATHER), kind=kind, time=choose(rng, TIME), things=things
    )


def traffic(rng: np.random.Generator, kind: str) -> list[Thing]:
    """Vehicles in lanes, one behind the other, parked at the curb, and a few that cross."""
    things: list[Thing] = []
    lanes = (-3.4, 0.0, 3.4) if kind == "highway" else (-3.2, 0.0)
    for lane in lanes:
        z = rng.uniform(6.5, 14)
        while z < 42:
            if rng.random() < 0.62:
                category = str(rng.choice(["car", "truck", "bus"], p=[0.78, 0.13, 0.09]))
                shape = end_view(category, rng, rear=lane >= 0)
                gap = 3.0 if category == "car" else 7.0
                # A bus right ahead would hide the whole street.
                z += gap if category != "car" and lane == 0 else 0
                things.append(Thing(category, shape, lane + rng.normal(0, 0.25), z))
                z += shape.depth
            z += rng.uniform(3, 12)
    if kind != "highway":
        for side in (-1, 1):
            z = rng.uniform(6, 12)
            while z < 30 and rng.random() < 0.75:
                shape = vehicles.car_end(rng, side > 0)
                things.append(Thing("car", shape, side * rng.uniform(5.2, 6.0), z))
                z += shape.depth + rng.uniform(1, 9)
        if rng.random() < 0.55:
            category = str(rng.choice(["car", "bus", "truck"], p=[0.56, 0.2, 0.24]))
            side_view = {
                "car": vehicles.car_side,
                "bus": vehicles.bus_side,
                "truck": vehicles.truck_side,
            }[category]
            things.append(
                Thing(
                    category,
                    shape=side_view(rng),
                    x=rng.uniform(-7, 7),
                    z=rng.uniform(11, 24),
                    mirror=bool(rng.random() < 0.5),
                )
            )
    return without_collisions(things)


def end_view(category: str, rng: np.random.Generator, rear: bool) -> Shape:
    """A vehicle of the class as seen along the road."""
    return {"car": vehicles.car_end, "truck": vehicles.truck_end, "bus": vehicles.bus_end}[
        category
    ](rng, rear)


def without_collisions(things: list[Thing], clearance: float = 2.0) -> list[Thing]:
    """Leave out vehicles that would stand inside an earlier one."""
    kept: list[Thing] = []
    for thing in things:
        width = 2.4 if thing.shape.depth else 4.7

        def clear(other: Thing, thing: Thing = thing, width: float = width) -> bool:
            # The nearer of the two reaches back towards the other by its own length.
            length = other.shape.depth if other.z < thing.z else thing.shape.depth
            return (
                abs(thing.z - other.z) > max(clearance, length) * 0.8
                or abs(thing.x - other.x) > width
            )

        if all(map(clear, kept)):
            kept.append(thing)
    return kept


def street_life(rng: np.random.Generator, kind: str) -> list[Thing]:
    """Walkers, riders on their two-wheelers, and two-wheelers parked at the curb."""
    things: list[Thing] = []
    busy = {"city street": 2.4, "residential": 1.3, "highway": 0.1}[kind]
    for _ in range(rng.poisson(busy)):
        side = rng.choice([-1, 1])
        spot = side * rng.uniform(3.8, 6.5) if rng.random() < 0.7 else rng.uniform(-3.5, 3.5)
        things.append(
            Thing(
                "pedestrian",
                shape=people.person(rng),
                x=float(spot),
                z=rng.uniform(6.5, 19),
                mirror=bool(rng.random() < 0.5),
            )
        )
    for _ in range(rng.poisson(busy * 0.3)):
        things += rider(rng)
    for _ in range(rng.poisson(busy * 0.22)):
        motor = bool(rng.random() < 0.5)
        shape = people.motorcycle_side(rng) if motor else people.bicycle_side(rng)
        spot = rng.choice([-1, 1]) * rng.uniform(3.2, 5.5)
        things.append(
            Thing(
                "motorcycle" if motor else "bicycle",
                shape=shape,
                x=float(spot),
                z=rng.uniform(6, 15),
                mirror=bool(rng.random() < 0.5),
            )
        )
    return things


def rider(rng: np.random.Generator) -> list[Thing]:
    """A two-wheeler and the person on it, a hand's breadth nearer so that legs cover the frame."""
    motor, mirror = bool(rng.random() < 0.45), bool(rng.random() < 0.5)
    x, z = float(rng.choice([-1, 1]) * rng.uniform(1.2, 4.0)), rng.uniform(6, 15)
    if rng.random() < 0.6:
        vehicle = people.motorcycle_side(rng) if motor else people.bicycle_side(rng)
        body = people.rider_side(rng, motor)
    else:
        vehicle, body = people.two_wheeler_end(rng, motor), people.rider_end(rng, motor)
    return [
        Thing("motorcycle" if motor else "bicycle", shape=vehicle, x=x, z=z, mirror=mirror),
        Thing("rider", shape=body, x=x, z=z - 0.01, mirror=mirror),
    ]


def rails(rng: np.random.Generator, kind: str) -> list[Thing]:
    """A tram ahead on the left or a train across, now and then."""
    if rng.random() > (0.08 if kind == "residential" else 0.2):
        return []
    if rng.random() < 0.4:
        return [Thing("train", trains.train_end(rng), rng.uniform(-8.5, -5.5), rng.uniform(13, 22))]
    return [
        Thing(
            "train",
            shape=trains.train_side(rng),
            x=rng.uniform(-9, 9),
            z=rng.uniform(20, 32),
            mirror=bool(rng.random() < 0.5),
        )
    ]


def distractors(rng: np.random.Generator, kind: str) -> list[Thing]:
    """Distractors: lamp posts, traffic lights, signs, trees, bins, posters with people-colored shapes."""
    things = []
    for _ in range(rng.poisson(5)):
        side = float(rng.choice([-1, 1]))
        name = str(
            rng.choice(
                ["lamp", "tree", "sign", "bin", "light", "poster"],
                p=[0.2, 0.3, 0.18, 0.12, 0.12, 0.08],
            )
        )
        near = 7.5 if kind == "highway" else 4.3
        things.append(
            Thing(
                None,
                furniture.distractor(name, rng),
                side * rng.uniform(near, near + 4),
                rng.uniform(7, 34),
                stuff=furniture.STUFF[name],
            )
        )
    return things
