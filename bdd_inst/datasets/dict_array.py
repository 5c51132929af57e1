"""Dataset dicts kept as flat arrays: a list of Detectron2's standard dicts that are built when they are asked for.

A hundred thousand images with a million objects are some thirty arrays instead of ten million Python objects. The arrays may lie in a
memory-mapped file, which every process that opens it shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from bdd_inst.datasets.dict_packing import INT_ID, NO_ID, POLYGONS, RLE, pack
from bdd_inst.structures import BoxMode

MODES = {int(mode): mode for mode in BoxMode}
_decode = msgspec.msgpack.Decoder().decode


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

    def category_numbers(self) -> np.ndarray:
        """M int32: the class of every object of the arrays, whichever images are selected; below 0 where it is left out."""
        return self.arrays["category"]

    def plain_objects(self) -> np.ndarray:
        """M bool: the objects of the arrays that are there and no crowds."""
        return (self.arrays["crowd"] == 0) & (self.category_numbers() >= 0)

    def object_counts(self, crowds: bool = True) -> np.ndarray:
        """N int64: annotations of each image, without those that are crowds unless ``crowds``."""
        ends = self.arrays["object_ends"]
        counted = self.category_numbers() >= 0 if crowds else self.plain_objects()
        # Differences of running sums: the objects of an image lie next to each other.
        total = np.concatenate([[0], np.cumsum(counted)])
        return np.diff(total[np.concatenate([[0], ends])])[self.index]

    def category_sets(self) -> list[set[int]]:
        """The classes in each image."""
        starts = np.concatenate([[0], self.arrays["object_ends"]]).tolist()
        categories = self.category_numbers().tolist()
        return [set(categories[starts[i] : starts[i + 1]]) - {-1} for i in self.index.tolist()]

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
