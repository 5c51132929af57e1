"""Pictures found by name, however another file writes it: with or without folder, with or without ending."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath


class PictureNames:
    """Finds pictures of the ground truth by the names that other files use: with or without folder, with or without ending."""

    def __init__(self, names: Sequence[str]):
        self.tables: list[dict[str, int]] = []
        for shorten in (str, lambda n: PurePosixPath(n).name, lambda n: PurePosixPath(n).stem):
            keys = [shorten(name) for name in names]
            times = Counter(keys)
            self.tables.append({key: i for i, key in enumerate(keys) if key and times[key] == 1})

    def find(self, name: str) -> int | None:
        """The picture's position, None where there is none (or more than one)."""
        for key, table in zip((name, PurePosixPath(name).name, PurePosixPath(name).stem), self.tables, strict=True):
            if key in table:
                return table[key]
        return None
