"""One small valid file of every kind, with everything in it that the kind knows."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

HEIGHT, WIDTH = 60, 80


def rle_of(mask: np.ndarray) -> dict:
    """pycocotools' RLE of a mask, counts as text."""
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(s) for s in rle["size"]], "counts": rle["counts"].decode()}


def square(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y1:y2, x1:x2] = True
    return mask


def png(values: np.ndarray, mode: str | None = None) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values, mode).save(stream, "PNG")
    return stream.getvalue()


def scalabel() -> list[dict]:
    outline = {
        "vertices": [[10.25, 10.5], [30.0, 12.0], [28.0, 30.0], [12.0, 28.5]],
        "types": "LLCC",
        "closed": True,
    }
    hull = {"vertices": [[40, 40], [50, 40], [50, 55]], "types": "LLL", "closed": True}
    flags = {"occluded": True, "truncated": False, "crowd": False, "trafficLightColor": "NA"}
    return [
        {
            "name": "a-1.jpg",
            "url": "http://example.org/other.jpg",
            "videoName": None,
            "attributes": {"weather": "clear", "scene": "city street", "timeofday": "night"},
            "timestamp": 10000,
            "labels": [
                {
                    "id": "7",
                    "category": "car",
                    "attributes": flags,
                    "box2d": {"x1": 9.5, "y1": 10.0, "x2": 29.25, "y2": 30.5},
                    "poly2d": [outline],
                },
                {
                    "id": 8,
                    "category": "person",
                    "attributes": {"Occluded": True, "Crowd": True},
                    "poly2d": [hull, outline],
                    "rle": rle_of(square(3, 4, 9, 9)),
                },
                {
                    "id": "9",
                    "category": "bike",
                    "score": 0.5,
                    "index": 3,
                    "attributes": None,
                    "rle": rle_of(square(0, 0, 5, 5)),
                    "box2d": None,
                },
            ],
        },
        {
            "name": "v-0000002.jpg",
            "videoName": "v",
            "frameIndex": 1,
            "size": {"width": WIDTH, "height": HEIGHT},
            "labels": None,
        },
        {"name": "b-2.jpg", "labels": []},
    ]


def bdd_v1() -> dict:
    rows = [[10.5, 10.5, "L"], [30, 12, "C"], [35, 20, "C"], [12, 28, "L"]]
    objects = [
        {
            "id": 1,
            "category": "car",
            "attributes": {"occluded": True, "truncated": False},
            "box2d": {"x1": 10, "y1": 11, "x2": 20.5, "y2": 30},
        },
        {"id": 2, "category": "area/drivable", "attributes": {}, "poly2d": rows},
        {"id": 3, "category": "bike", "attributes": {"Truncated": True}, "seg2d": [rows, rows[:3]]},
    ]
    attributes = {"weather": "rainy", "scene": "highway", "timeofday": "dawn/dusk"}
    return {
        "name": "0000f77c-6257be58",
        "attributes": attributes,
        "frames": [{"timestamp": 10000, "index": 0, "objects": objects}],
    }


def coco() -> dict:
    mask = square(10, 10, 20, 30)
    runs = coco_runs(mask)
    polygon = [10.5, 10.0, 30.0, 12.0, 28.0, 30.0]
    return {
        "info": {"year": 2017},
        "images": [
            {"id": 42, "file_name": "000042.jpg", "width": WIDTH, "height": HEIGHT, "license": 1},
            {"id": 7, "file_name": "000007.jpg", "width": WIDTH, "height": HEIGHT},
        ],
        "annotations": [
            {
                "id": 1,
                "image_id": 42,
                "category_id": 18,
                "bbox": [10.5, 10.0, 19.5, 20.0],
                "segmentation": [polygon, [1, 1, 5, 1, 5, 5, 1, 5]],
                "area": 200.5,
                "iscrowd": 0,
            },
            {
                "id": 2,
                "image_id": 42,
                "category_id": 1,
                "bbox": [10, 10, 10, 20],
                "segmentation": {"size": [HEIGHT, WIDTH], "counts": runs},
                "iscrowd": 1,
                "area": 200,
            },
            {
                "id": 3,
                "image_id": 42,
                "category_id": 1,
                "bbox": [10, 10, 10, 20],
                "segmentation": rle_of(mask),
                "area": 200,
                "iscrowd": 0,
                "ignore": 1,
            },
        ],
        "categories": [
            {"id": 18, "name": "dog", "supercategory": "animal"},
            {"id": 1, "name": "person"},
        ],
    }


def coco_runs(mask: np.ndarray) -> list[int]:
    """Uncompressed runs, column by column, background first."""
    flat = mask.T.reshape(-1)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flat)).astype(int))) + 0
    return np.diff(np.concatenate(([0], edges, [len(flat)]))).tolist()


def coco_results() -> list[dict]:
    return [
        {
            "image_id": 42,
            "category_id": 1,
            "bbox": [10, 10, 10, 20],
            "score": 0.9,
            "segmentation": rle_of(square(10, 10, 20, 30)),
        },
        {
            "image_id": 7,
            "category_id": 18,
            "bbox": [1, 1, 4, 5],
            "score": 0.25,
            "file_name": "000007.jpg",
            "category_name": "dog",
        },
    ]


def dicts() -> list[dict]:
    annotation = {
        "bbox": [1, 2, 11, 22.5],
        "bbox_mode": 0,
        "category_id": 0,
        "segmentation": [[1, 2, 11, 2, 11, 22]],
        "iscrowd": 0,
    }
    other = {
        "bbox": [1, 2, 10, 20],
        "bbox_mode": 1,
        "category_id": 1,
        "segmentation": rle_of(square(1, 2, 11, 22)),
        "iscrowd": 1,
    }
    return [
        {
            "file_name": "x/a.jpg",
            "height": HEIGHT,
            "width": WIDTH,
            "image_id": 1,
            "annotations": [annotation, other],
        }
    ]


def supervisely() -> dict:
    bitmap = base64.b64encode(zlib.compress(png(np.ones((6, 5), bool)))).decode()
    points = {
        "exterior": [[20, 20], [50, 20], [50, 50], [20, 50]],
        "interior": [[[30, 30], [40, 30], [40, 40], [30, 40]]],
    }
    objects = [
        {
            "id": 1,
            "classTitle": "person_bmp",
            "geometryType": "bitmap",
            "bitmap": {"data": bitmap, "origin": [3, 4]},
            "tags": [],
        },
        {"id": 2, "classTitle": "person_poly", "geometryType": "polygon", "points": points},
        {
            "id": 3,
            "classTitle": "person_poly",
            "points": {"exterior": [[1, 1], [9, 1], [9, 9]], "interior": []},
            "bitmap": None,
        },
        {
            "id": 4,
            "classTitle": "face",
            "geometryType": "rectangle",
            "points": {"exterior": [[1, 1], [9, 9]], "interior": []},
        },
    ]
    return {
        "description": "",
        "tags": [{"name": "train", "value": None}],
        "size": {"height": HEIGHT, "width": WIDTH},
        "objects": objects,
    }


def labelme() -> dict:
    shapes = [
        {
            "label": "person",
            "points": [[1, 1], [20, 1], [20.5, 30]],
            "group_id": 1,
            "shape_type": "polygon",
            "flags": {},
        },
        {
            "label": "person",
            "points": [[40, 1], [60, 1], [60, 30]],
            "group_id": 1,
            "shape_type": "polygon",
            "flags": {"occluded": True},
        },
        {
            "label": "face",
            "points": [[30, 31], [40, 45]],
            "group_id": None,
            "shape_type": "rectangle",
            "flags": {},
        },
        {
            "label": "wheel",
            "points": [[30, 30], [30, 40]],
            "group_id": None,
            "shape_type": "circle",
            "flags": None,
        },
        {
            "label": "hat",
            "points": [[3, 4], [8, 10]],
            "shape_type": "mask",
            "mask": base64.b64encode(png(np.ones((6, 5), bool))).decode(),
        },
    ]
    return {
        "version": "5.0.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": "..\\img\\a.jpg",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }


def via() -> dict:
    regions = [
        {
            "shape_attributes": {
                "name": "polygon",
                "all_points_x": [1, 20, 20],
                "all_points_y": [1, 1, 30],
            },
            "region_attributes": {"class": "person"},
        },
        {
            "shape_attributes": {"name": "rect", "x": 1, "y": 2, "width": 10, "height": 20},
            "region_attributes": {},
        },
        {
            "shape_attributes": {
                "name": "ellipse",
                "cx": 30,
                "cy": 30,
                "rx": 10,
                "ry": 5,
                "theta": 0.5,
            },
            "region_attributes": {"name": "wheel"},
        },
    ]
    return {
        "a.jpg123": {"filename": "a.jpg", "size": 123, "regions": regions, "file_attributes": {}}
    }


def label_studio() -> list[dict]:
    """Two annotations and a prediction of one image, a canceled one of another; the brush is four set pixels from the second on."""

    def result(kind: str, label: str, value: dict, **others: Any) -> dict:
        size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
        named = {"id": f"r{label}", "type": kind, "from_name": "label", "to_name": "image"}
        return named | size | {"value": value | {kind: [label]}} | others

    shapes = [
        result("polygonlabels", "person", {"points": [[10, 10], [50, 10], [50, 60]]}),
        result("rectanglelabels", "car", {"x": 10, "y": 10, "width": 20, "height": 30, "rotation": 0}),
        result("rectanglelabels", "sign", {"x": 50, "y": 50, "width": 25, "height": 20, "rotation": 90}),
        result("ellipselabels", "wheel", {"x": 50, "y": 50, "radiusX": 10, "radiusY": 10, "rotation": 0}),
        result("brushlabels", "road", {"format": "rle", "rle": BRUSH}),
    ]  # fmt: skip
    other = [result("polygonlabels", "bus", {"points": [[1, 1], [5, 1], [5, 6]]}, score=0.75)]
    return [
        {
            "id": 3,
            "data": {"image": "/data/upload/1/0a1b2c3d-a.jpg"},
            "annotations": [
                {"id": 9, "was_cancelled": False, "ground_truth": False, "result": shapes},
            ],
            "predictions": [{"model_version": "v1", "score": 0.5, "result": other}],
        },
        {
            "id": 4,
            "data": {"image": "/data/local-files/?d=x%20y/b.jpg"},
            "annotations": [],
            "predictions": [{"model_version": "v1", "score": 0.5, "result": other}],
        },
    ]


def brush_bytes() -> list[int]:
    """Label Studio's coding of HEIGHT x WIDTH pixels RGBA, by the bit: one clear pixel, four set ones, the rest clear."""
    bits = f"{4 * WIDTH * HEIGHT:032b}" + "00111" + "0010" + "0011" + "0111" + "1111"
    bits += "1" + "00" + "011" + "00000000"  # four bytes of 0: three bits of length less one
    bits += "0" + "01" + "1111" + "11111111" * 16  # sixteen bytes of their own: a literal run
    bits += "1" + "11" + f"{4 * WIDTH * HEIGHT - 21:016b}" + "00000000"
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


BRUSH = brush_bytes()


def bitmask() -> bytes:
    values = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    values[5:20, 5:20] = (3, 8, 0, 1)
    values[30:50, 30:50] = (1, 2, 1, 4)
    return png(values, "RGBA")


def label_map() -> bytes:
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[5:20, 5:20], values[30:50, 30:50] = 2, 5
    image = Image.fromarray(values, "P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0] + [255] * (3 * 253))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def binary() -> bytes:
    return png(square(5, 6, 20, 30).astype(np.uint8) * 255)


JSON_KINDS: dict[str, Any] = {
    "scalabel": scalabel,
    "bdd-v1": bdd_v1,
    "coco": coco,
    "coco-results": coco_results,
    "dicts": dicts,
    "supervisely": supervisely,
    "labelme": labelme,
    "via": via,
    "labelstudio": label_studio,
}
PNG_KINDS: dict[str, Any] = {"bitmask": bitmask, "label-map": label_map, "binary-masks": binary}


def write(folder: Path, kind: str, value: Any = None) -> Path:
    """The example of a kind (or ``value`` in its place) as a file."""
    if kind in PNG_KINDS:
        path = folder / f"{kind}.png"
        path.write_bytes(PNG_KINDS[kind]() if value is None else value)
    else:
        path = folder / f"{kind}.json"
        path.write_text(json.dumps(JSON_KINDS[kind]() if value is None else value))
    return path
