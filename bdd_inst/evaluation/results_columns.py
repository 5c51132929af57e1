"""A COCO results file as columns: what its reader fills and the checks on its masks look at."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field


@dataclass
class Columns:
    """A results file by column, as it stands; ``boxes`` four numbers an entry (NaN where there is none)."""

    image_ids: list[int | str] = field(default_factory=list)
    category_ids: list[int] = field(default_factory=list)
    scores: array = field(default_factory=lambda: array("d"))
    boxes: array = field(default_factory=lambda: array("d"))
    boxless: set[int] = field(default_factory=set)
    masks: list[dict | None] = field(default_factory=list)
    file_names: dict[int, str] = field(default_factory=dict)
    category_names: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.scores)
