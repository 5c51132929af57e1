"""Dataset dicts kept as flat arrays: a list of Detectron2's standard dicts that are built when they are asked for.

A hundred thousand images with a million objects are some thirty arrays instead of ten million Python objects. The arrays may lie in a
memory-mapped file, which every process that opens it shares.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from bdd_inst.structures import BoxMode

MODES = {int(mode): mode for mode in BoxMode}
NO_ID, INT_ID, TEXT_ID = 0, 1, 2
NO_MASK, POLYGONS, RLE = 0, 1, 2
IMAGE_COLUMNS = {"file_name", "height", "width", "image_id", "annotations"}
OBJECT_COLUMNS = {"bbox", "bbox_mode", "category_id", "iscrowd", "segmentation", "attributes"}

_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


class DictArray(Sequence):
    """A read-only sequence of standard dicts over ``arrays`` (name -> ndarray, see :func:`pack`).

    Every access builds a fresh dict, which the caller may change. ``index`` selects and orders images without copying anything.
    """

    def __init__(self, arrays: dict[str, np.ndarray], index: np.ndarray | None = None):
        self.arrays = arrays
        self.index = np.arange(len(arrays["height"])) if index is None else index

    @classmethod
    def from_dicts(cls, dicts: Iterable[dict]) -> DictArray:
        """The arrays of a list of standard dicts."""
        return cls(pack(dicts))

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, item: int | slice) -> dict | DictArray:
        if isinstance(item, slice):
            return self.select(np.arange(len(self))[item])
        return self._image(int(self.index[item]))

    def __iter__(self) -> Iterator[dict]:
        for i in self.index.tolist():
            yield self._image(i)

    def select(self, chosen: np.ndarray) -> DictArray:
        """The images at ``chosen`` (K indices, or N bool), over the same arrays."""
        return DictArray(self.arrays, self.index[chosen])

    @property
    def is_wide(self) -> np.ndarray:
        """N bool: whether each image is wider than high."""
        return (self.arrays["width"] > self.arrays["height"])[self.index]

    def object_counts(self, crowds: bool = True) -> np.ndarray:
        """N int64: annotations of each image, without those that are crowds unless ``crowds``."""
        ends = self.arrays["object_ends"]
        counted = (
            np.ones(int(ends[-1]) if len(ends) else 0, np.int64)
            if crowds
            else 1 - self.arrays["crowd"].astype(np.int64)
        )
        # Differences of running sums: the objects of an image lie next to each other.
        total = np.concatenate([[0], np.cumsum(counted)])
        return np.diff(total[np.concatenate([[0], ends])])[self.index]

    def category_sets(self) -> list[set[int]]:
        """The classes in each image."""
        starts = np.concatenate([[0], self.arrays["object_ends"]]).tolist()
        categories = self.arrays["category"].tolist()
        return [set(categories[starts[i] : starts[i + 1]]) for i in self.index.tolist()]

    def has_ids(self) -> bool:
        """Whether every image has an ``image_id`` and no two the same."""
        kinds, ids = self.arrays["image_id_kind"], self.arrays["image_id"]
        named = [
            identity(kind, value, self.arrays) for kind, value in zip(kinds.tolist(), ids.tolist())
        ]
        return bool((kinds != NO_ID).all()) and len(set(named)) == len(named)

    def number(self) -> None:
        """Make the ``image_id`` of every image its place in the arrays, from 1."""
        count = len(self.arrays["height"])
        self.arrays |= {
            "image_id": np.arange(1, count + 1),
            "image_id_kind": np.full(count, INT_ID, np.uint8),
        }

    def _image(self, i: int) -> dict:
        a = self.arrays
        out = {
            "file_name": text_at(a["name_text"], a["name_ends"], i),
            "height": int(a["height"][i]),
            "width": int(a["width"][i]),
            "image_id": identity(a["image_id_kind"][i], a["image_id"][i], a),
        }
        out |= _decode(blob_at(a["extra_blob"], a["extra_ends"], int(a["image_extra"][i])))
        begin, end = span(a["object_ends"], i)
        if a["labeled"][i]:
            out["annotations"] = self._objects(begin, end, out["height"], out["width"])
        return out

    def _objects(self, begin: int, end: int, height: int, width: int) -> list[dict]:
        a = self.arrays
        part = slice(begin, end)
        boxes, modes, categories = (
            a["box"][part].tolist(),
            a["box_mode"][part].tolist(),
            a["category"][part].tolist(),
        )
        crowds, kinds, extras = (
            a["crowd"][part].tolist(),
            a["mask_kind"][part].tolist(),
            a["object_extra"][part].tolist(),
        )
        id_kinds, ids = a["object_id_kind"][part].tolist(), a["object_id"][part].tolist()
        out = []
        for k in range(end - begin):
            item = {
                "bbox": boxes[k],
                "bbox_mode": MODES[modes[k]],
                "category_id": categories[k],
                "iscrowd": crowds[k],
            }
            item |= _decode(blob_at(a["extra_blob"], a["extra_ends"], extras[k]))
            if id_kinds[k] != NO_ID:
                item["attributes"]["id"] = identity(id_kinds[k], ids[k], a)
            if kinds[k] == POLYGONS:
                item["segmentation"] = self._polygons(begin + k)
            elif kinds[k] == RLE:
                item["segmentation"] = {
                    "size": [height, width],
                    "counts": text_at(a["rle_text"], a["rle_ends"], begin + k),
                }
            out.append(item)
        return out

    def _polygons(self, i: int) -> list[list[float]]:
        a = self.arrays
        first, last = span(a["part_ends"], i)
        begin = int(a["number_ends"][first - 1]) if first else 0
        ends = a["number_ends"][first:last].tolist()
        numbers = a["numbers"][begin : ends[-1] if ends else begin]
        if numbers.dtype.kind == "i":
            # Dividing, not multiplying by 0.01: only the quotient is the number that was packed.
            numbers = numbers / float(a["decimals"][0])
        flat, out, start = numbers.tolist(), [], begin
        for end in ends:
            out.append(flat[start - begin : end - begin])
            start = end
        return out


def span(ends: np.ndarray, i: int) -> tuple[int, int]:
    """Where item ``i`` begins and ends, by the ends of all N items (N int64, ascending)."""
    return (int(ends[i - 1]) if i else 0), int(ends[i])


def blob_at(blob: np.ndarray, ends: np.ndarray, i: int) -> bytes:
    """Item ``i`` of byte strings kept end to end.

    Args:
        blob: N uint8, all strings end to end.
        ends: where each ends.
        i: which.

    Returns:
        The bytes.
    """
    begin, end = span(ends, i)
    return blob[begin:end].tobytes()


def text_at(blob: np.ndarray, ends: np.ndarray, i: int) -> str:
    """Item ``i`` of UTF-8 strings kept end to end (``blob`` uint8, ``ends`` N int64)."""
    return blob_at(blob, ends, i).decode("utf-8", "surrogateescape")


def identity(kind: int, value: int, arrays: dict[str, np.ndarray]) -> int | str | None:
    """An id: a number, the text at that place of the flat pool of ``arrays`` (uint8), or none."""
    if kind == NO_ID:
        return None
    return (
        int(value) if kind == INT_ID else text_at(arrays["id_text"], arrays["id_ends"], int(value))
    )


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
