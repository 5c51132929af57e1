"""Small data sets of the tests' own making, in the trees of the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SQUARE = [[10.0, 10.0], [30.0, 10.0], [30.0, 24.0], [10.0, 24.0]]


def write_image(path: Path, width: int = 64, height: int = 48) -> None:
    """An image of noise, large enough that cutting off its end breaks it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (
        np.random.default_rng(len(path.name)).integers(0, 255, (height, width, 3)).astype(np.uint8)
    )
    Image.fromarray(pixels).save(path)


def label(identity: str, category: str, vertices=SQUARE, **more) -> dict:
    """A Scalabel label with one closed straight outline."""
    poly = {"vertices": vertices, "types": "L" * len(vertices), "closed": True}
    return {
        "id": identity,
        "category": category,
        "attributes": more.pop("attributes", {}),
        "poly2d": [poly],
        **more,
    }


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def bdd_root(tmp_path: Path) -> Path:
    """A root with ``bdd100k``: three good images and one of every fault that a label file or an image folder may have."""
    images = tmp_path / "bdd100k" / "images" / "10k" / "train"
    for name in ("a", "b", "c", "unlabeled", "truncated", "spare"):
        write_image(images / f"{name}.jpg")
    write_image(images / "sized.jpg", 50, 40)
    whole = (images / "truncated.jpg").read_bytes()
    (images / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    size = {"width": 64, "height": 48}
    frames = [
        {
            "name": "a.jpg",
            "attributes": {"weather": "clear", "scene": "city street", "timeofday": "night"},
            "labels": [
                label("1", "car", attributes={"occluded": True, "Truncated": True}),
                label("2", "person"),
                label("3", "trailer"),
                label("4", "car", attributes={"crowd": True}),
                label("5", "spaceship"),
                label("6", "traffic light"),
                label("7", "bus", vertices=[[200.0, 200.0], [220.0, 200.0], [220.0, 230.0]]),
                {"id": "8", "category": "car", "box2d": {"x1": 1, "y1": 1, "x2": 5, "y2": 5}},
            ],
        },
        {"name": "b.jpg", "labels": []},
        {"name": "unlabeled.jpg", "labels": None},
        {"name": "c.jpg", "labels": [label("1", "motor")]},
        {"name": "c.jpg", "labels": [label("1", "motor")]},
        {"name": "gone.jpg", "labels": [label("1", "car")]},
        {"name": "truncated.jpg", "labels": [label("1", "car")]},
        {"name": "sized.jpg", "size": size, "labels": [label("1", "car")]},
    ]
    write_json(
        tmp_path / "bdd100k" / "labels" / "ins_seg" / "polygons" / "ins_seg_train.json", frames
    )
    return tmp_path
