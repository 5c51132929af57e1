"""Standard dicts turned into the flat arrays of a :class:`DictArray`."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

NO_ID, INT_ID, TEXT_ID = 0, 1, 2
NO_MASK, POLYGONS, RLE = 0, 1, 2
IMAGE_COLUMNS = {"file_name", "height", "width", "image_id", "annotations"}
OBJECT_COLUMNS = {"bbox", "bbox_mode", "category_id", "iscrowd", "segmentation", "attributes"}

_encode = msgspec.msgpack.Encoder().encode


class _Pool:
    """Byte strings end to end; equal ones are kept once where ``unique``."""

    def __init__(self, unique: bool):
        self.items: list[bytes] = []
        self.places: dict[bytes, int] | None = {} if unique else None

    def add(self, item: bytes) -> int:
        if self.places is None:
            self.items.append(item)
            return len(self.items) - 1
        place = self.places.setdefault(item, len(self.items))
        if place == len(self.items):
            self.items.append(item)
        return place

    def arrays(self, name: str, ends: str) -> dict[str, np.ndarray]:
        lengths = np.fromiter(map(len, self.items), np.int64, len(self.items))
        return {name: np.frombuffer(b"".join(self.items), np.uint8), ends: np.cumsum(lengths)}


class _Columns:
    """Grows the columns of :func:`pack`."""

    def __init__(self) -> None:
        # Compact arrays: a list would hold an object for each of tens of millions of numbers.
        self.rows = {name: array("d" if name == "box" else "q") for name in TYPES}
        self.numbers = array("d")
        self.names, self.rles, self.extras, self.ids = (
            _Pool(False),
            _Pool(False),
            _Pool(True),
            _Pool(False),
        )
        self.objects = 0

    def image(self, record: dict) -> None:
        rows = self.rows
        self.names.add(str(record["file_name"]).encode("utf-8", "surrogateescape"))
        rows["height"].append(record["height"])
        rows["width"].append(record["width"])
        self.identity("image_id", record.get("image_id"))
        rows["image_extra"].append(
            self.extras.add(_encode({k: v for k, v in record.items() if k not in IMAGE_COLUMNS}))
        )
        rows["labeled"].append("annotations" in record)
        for item in record.get("annotations", ()):
            self.object(item, record)
        rows["object_ends"].append(self.objects)

    def object(self, item: dict, record: dict) -> None:
        rows = self.rows
        self.objects += 1
        rows["box"].extend(map(float, item["bbox"]))
        rows["box_mode"].append(int(item["bbox_mode"]))
        rows["category"].append(item["category_id"])
        rows["crowd"].append(item.get("iscrowd", 0))
        extra = {k: v for k, v in item.items() if k not in OBJECT_COLUMNS}
        identity = None
        if "attributes" in item:
            extra["attributes"] = dict(item["attributes"])
            identity = extra["attributes"].pop("id", None)
        self.identity("object_id", identity)
        if identity is None and item.get("attributes", {}).get("id", 0) is None:
            extra["attributes"]["id"] = None
        rows["mask_kind"].append(self.mask(item.get("segmentation"), record, extra))
        rows["object_extra"].append(self.extras.add(_encode(extra)))

    def mask(self, segmentation: Any, record: dict, extra: dict) -> int:
        """Store a mask and say of what kind it is; one of another size than its image travels with the extras."""
        kind, text = NO_MASK, b""
        if isinstance(segmentation, dict) and list(segmentation["size"]) == [
            record["height"],
            record["width"],
        ]:
            counts = segmentation["counts"]
            kind, text = (
                (RLE, counts.encode("ascii")) if isinstance(counts, str) else (NO_MASK, b"")
            )
        elif isinstance(segmentation, list):
            kind = POLYGONS
            for part in segmentation:
                self.numbers.extend(map(float, part))
                self.rows["number_ends"].append(len(self.numbers))
        if segmentation is not None and kind == NO_MASK:
            extra["segmentation"] = segmentation
        # An empty text where there is none: item i of the pool is object i's.
        self.rles.add(text)
        self.rows["part_ends"].append(len(self.rows["number_ends"]))
        return kind

    def identity(self, column: str, value: int | str | None) -> None:
        kind = NO_ID if value is None else TEXT_ID if isinstance(value, str) else INT_ID
        self.rows[f"{column}_kind"].append(kind)
        self.rows[column].append(
            0 if kind == NO_ID else self.ids.add(value.encode()) if kind == TEXT_ID else int(value)
        )


IMAGE_TYPES = {
    "height": np.int32,
    "width": np.int32,
    "image_id": np.int64,
    "image_id_kind": np.uint8,
    "image_extra": np.int32,
    "labeled": np.bool_,
    "object_ends": np.int64,
}
OBJECT_TYPES = {
    "box": np.float64,
    "box_mode": np.uint8,
    "category": np.int32,
    "crowd": np.uint8,
    "mask_kind": np.uint8,
    "object_id": np.int64,
    "object_id_kind": np.uint8,
    "object_extra": np.int32,
    "part_ends": np.int64,
}
TYPES = {**IMAGE_TYPES, **OBJECT_TYPES, "number_ends": np.int64}


def pack(dicts: Iterable[dict]) -> dict[str, np.ndarray]:
    """The arrays of standard dicts: N rows of images and M of objects (dtypes: TYPES), flat pools of text (uint8) and of polygon numbers,
    with the ends of each item (int64)."""
    columns = _Columns()
    for record in dicts:
        columns.image(record)
    out = {
        name: np.frombuffer(rows, rows.typecode).astype(TYPES[name])
        for name, rows in columns.rows.items()
    }
    out["box"] = out["box"].reshape(-1, 4)
    out |= pack_numbers(np.frombuffer(columns.numbers, np.float64).copy())
    out |= columns.names.arrays("name_text", "name_ends") | columns.rles.arrays(
        "rle_text", "rle_ends"
    )
    out |= columns.extras.arrays("extra_blob", "extra_ends") | columns.ids.arrays(
        "id_text", "id_ends"
    )
    return out


def pack_numbers(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Polygon coordinates (K float64) as whole hundredths (int32) where that loses not a bit, as in COCO's files, else as float64."""
    # Half the memory; tried on all numbers at once, for one that loses a bit would move a vertex.
    for decimals in (1.0, 100.0):
        scaled = np.round(numbers * decimals)
        if (np.abs(scaled) < 2**31).all() and np.array_equal(scaled / decimals, numbers):
            return {"numbers": scaled.astype(np.int32), "decimals": np.array([decimals])}
    return {"numbers": numbers, "decimals": np.ones(1)}
