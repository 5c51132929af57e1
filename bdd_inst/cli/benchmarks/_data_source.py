"""Makes up a COCO instances JSON of any size, with its image files (links to a few rendered ones)."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from bdd_inst.synthetic.paint import paint
from bdd_inst.synthetic.scene import compose

SIZE = (640, 480)
CATEGORIES = 80
DIFFERENT = 16  # images really painted; the others are links to them


def make_coco(folder: Path, number: int, objects: int, seed: int = 1) -> tuple[Path, Path]:
    """Write ``instances.json`` and ``images/``: polygons of 8 to 40 points, two decimals, one crowd in a hundred; give both paths."""
    rng = np.random.default_rng(seed)
    images, labels = folder / "images", folder / "instances.json"
    images.mkdir(parents=True, exist_ok=True)
    for i in range(DIFFERENT):
        image, _, _ = paint(
            compose(np.random.default_rng([seed, i]), *SIZE), np.random.default_rng([seed, i])
        )
        cv2.imwrite(str(folder / f"{i}.jpg"), image[..., ::-1])
    names = [f"{i + 1:012d}.jpg" for i in range(number)]
    for i, name in enumerate(names):
        os.link(folder / f"{i % DIFFERENT}.jpg", images / name)
    with open(labels, "w", encoding="utf-8") as stream:
        stream.write('{"images": [')
        line = '{{"id": {}, "file_name": "{}", "width": {}, "height": {}}}'
        stream.write(",".join(line.format(i + 1, name, *SIZE) for i, name in enumerate(names)))
        stream.write('], "categories": [')
        stream.write(
            ",".join(f'{{"id": {i + 1}, "name": "class {i + 1}"}}' for i in range(CATEGORIES))
        )
        stream.write('], "annotations": [')
        owners = np.sort(rng.integers(1, number + 1, objects))
        for start in range(0, objects, 20000):
            part = owners[start : start + 20000]
            stream.write(("," if start else "") + ",".join(annotations(part, start + 1, rng)))
        stream.write("]}")
    return labels, images


def annotations(owners: np.ndarray, first: int, rng: np.random.Generator) -> list[str]:
    """The JSON of one object for each image id in ``owners`` (N int64), ids from ``first``."""
    width, height = SIZE
    out = []
    sides = np.exp(rng.uniform(np.log(8), np.log(240), (len(owners), 2)))
    corners = rng.random((len(owners), 2)) * (np.array([width, height]) - sides)
    for i, (image, (w, h), (x, y)) in enumerate(
        zip(owners.tolist(), sides.tolist(), corners.tolist())
    ):
        head = f'{{"id": {first + i}, "image_id": {image}, "category_id": {(first + i) * 7919 % CATEGORIES + 1}'
        box = f'"bbox": [{x:.2f}, {y:.2f}, {w:.2f}, {h:.2f}], "area": {0.78 * w * h:.4f}'
        if i % 100 == 99:
            before = int(x) * height + int(y)
            counts = f"[{before}, {int(h)}, {width * height - before - int(h)}]"
            out.append(
                f'{head}, {box}, "iscrowd": 1, "segmentation": {{"size": [{height}, {width}], "counts": {counts}}}}}'
            )
            continue
        angles = np.linspace(0, 2 * np.pi, 8 + (first + i) % 33, endpoint=False)
        points = np.stack(
            [x + w / 2 * (1 + np.cos(angles)), y + h / 2 * (1 + np.sin(angles))], axis=1
        ).ravel()
        polygon = ", ".join(["%.2f"] * len(points)) % tuple(points.tolist())
        out.append(f'{head}, {box}, "iscrowd": 0, "segmentation": [[{polygon}]]}}')
    return out
