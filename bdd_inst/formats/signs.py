"""What a JSON file shows of its kind before it is parsed: the keys of its outermost object, or of the first objects of its list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from bdd_inst.formats.json_files import Top, describe, items, keys, plain, raw_object

# How many of a list's items are looked at.
ITEMS_LOOKED_AT = 50


@dataclass(slots=True)
class Glimpse:
    """One JSON object, its values not parsed yet. A format's ``signs`` says whether the object is of its kind.

    Attributes:
        fields: its values by key, as raw slices of the file.
        listed: it is an item of the outermost list, not the outermost object itself.
    """

    fields: dict[str, msgspec.Raw]
    listed: bool = False

    def has(self, *names: str) -> bool:
        """Whether the object has all these keys."""
        return all(name in self.fields for name in names)

    def is_list(self, name: str) -> bool:
        """Whether there is a list under this key."""
        return items(self.fields.get(name)) is not None

    def value(self, name: str) -> Any:
        """What stands under a key, as plain Python objects; None where there is nothing."""
        try:
            return plain(self.fields[name]) if name in self.fields else None
        except ValueError:
            return None

    def objects(self, name: str) -> list[dict[str, Any]]:
        """The first objects of the list under a key, as plain Python objects."""
        return list(first_objects(items(self.fields.get(name)) or []))


def glimpses(top: Top) -> Iterator[Glimpse]:
    """The outermost object, or the first objects of the outermost list, those of inner lists (one a video) in its place."""
    if isinstance(top, dict):
        yield Glimpse(top)
        return
    looked_at = 0
    for raw in top[:ITEMS_LOOKED_AT]:
        for item in (items(raw) or []) if bytes(memoryview(raw)[:1]) == b"[" else [raw]:
            looked_at += 1
            fields = raw_object(item)
            if fields is not None:
                yield Glimpse(fields, listed=True)
            if looked_at == ITEMS_LOOKED_AT:
                return


def first_objects(raws: Iterable[msgspec.Raw]) -> Iterator[dict[str, Any]]:
    """The first few items that are objects, as plain Python objects."""
    for number, raw in enumerate(raws):
        if number >= ITEMS_LOOKED_AT:
            return
        try:
            value = plain(raw)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def seen(top: Top) -> str:
    """What a JSON file holds, in words.

    Args:
        top: of a JSON file.

    Returns:
        For messages: its type, its first keys or its first item.
    """
    if isinstance(top, dict):
        return f"an object with keys {keys(top)}" if top else "an empty object"
    if not top:
        return "an empty list, which could be of any kind (say which)"
    try:
        return f"a list of {len(top)}, the first {describe(plain(top[0]))}"
    except ValueError:
        return f"a list of {len(top)}"
