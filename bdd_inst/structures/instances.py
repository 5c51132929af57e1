"""What is known of the objects of one image: named fields of equal length."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor


class Instances:
    """N objects of one image; each field (``pred_boxes``, ``gt_classes``, ...) holds N entries.

    Fields are set and read as attributes. ``image_size`` is (height, width) of the image that the
    coordinates refer to. Indexing with an int, slice, bool or index tensor selects in every field.
    """

    def __init__(self, image_size: tuple[int, int], **fields: Any):
        self._image_size = tuple(image_size)
        self._fields: dict[str, Any] = {}
        for name, value in fields.items():
            self.set(name, value)

    @property
    def image_size(self) -> tuple[int, int]:
        return self._image_size

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self.set(name, value)

    def __getattr__(self, name: str) -> Any:
        # A copy or an unpickled object asks for names before ``_fields`` exists: asking it here would not end.
        if name.startswith("_") or name not in self._fields:
            known = ", ".join(self.__dict__.get("_fields", {})) or "none"
            raise AttributeError(f"Instances have no field {name!r}; there are: {known}")
        return self._fields[name]

    def set(self, name: str, value: Any) -> None:
        """Set a field.

        Raises:
            ValueError: its length differs from the other fields'.
        """
        if self._fields and len(value) != len(self):
            raise ValueError(f"field {name} has {len(value)} entries, the others have {len(self)}")
        self._fields[name] = value

    def get(self, name: str) -> Any:
        return self._fields[name]

    def has(self, name: str) -> bool:
        return name in self._fields

    def remove(self, name: str) -> None:
        del self._fields[name]

    def get_fields(self) -> dict[str, Any]:
        """Name to value: the dict itself, not a copy."""
        return self._fields

    def to(self, *args: Any, **kwargs: Any) -> Instances:
        """Every field that can move, moved (as ``Tensor.to``)."""
        moved = {
            k: v.to(*args, **kwargs) if hasattr(v, "to") else v for k, v in self._fields.items()
        }
        return Instances(self._image_size, **moved)

    def __getitem__(self, item: int | slice | Tensor) -> Instances:
        if isinstance(item, int):
            if not -len(self) <= item < len(self):
                raise IndexError(f"instance {item} of {len(self)}")
            # A slice, for an int would take the first axis away from tensors.
            item = slice(item % len(self), item % len(self) + 1)
        return Instances(self._image_size, **{k: _select(v, item) for k, v in self._fields.items()})

    def __len__(self) -> int:
        for value in self._fields.values():
            return len(value)
        # As in Detectron2: the number of objects is that of a field's entries, and there is no field.
        raise NotImplementedError("Instances without fields have no length")

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError("Instances cannot be iterated; index them")

    @staticmethod
    def cat(instance_lists: Sequence[Instances]) -> Instances:
        """Instances of one image (equal ``image_size``), field by field in order."""
        first = instance_lists[0]
        if any(other.image_size != first.image_size for other in instance_lists):
            raise ValueError("only Instances of one image_size can be joined")
        # The object itself, as in Detectron2: nothing is copied.
        if len(instance_lists) == 1:
            return first
        return Instances(
            first.image_size,
            **{k: _join([i.get(k) for i in instance_lists]) for k in first.get_fields()},
        )

    def __repr__(self) -> str:
        height, width = self._image_size
        count = len(self) if self._fields else 0
        return f"Instances(num_instances={count}, image_height={height}, image_width={width}, fields=[{', '.join(self._fields)}])"


def _select(value: Any, item: slice | Tensor) -> Any:
    """One field's entries at ``item``; plain lists take tensors too."""
    if isinstance(value, list) and isinstance(item, Tensor):
        positions = item.nonzero().flatten() if item.dtype == torch.bool else item
        return [value[i] for i in positions.tolist()]
    return value[item]


def _join(values: list) -> Any:
    """Concatenate one field of several Instances."""
    first = values[0]
    if isinstance(first, Tensor):
        return torch.cat(values, dim=0)
    if isinstance(first, list):
        return list(itertools.chain(*values))
    if hasattr(type(first), "cat"):
        return type(first).cat(values)
    raise ValueError(f"fields of type {type(first).__name__} cannot be joined")
