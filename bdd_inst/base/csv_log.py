"""A CSV of numbers by iteration that survives being cut off and gone on with."""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from bdd_inst.base.files import atomic_write, naming

KEY = "iteration"


class CsvLog:
    """Appends a row per call; a new column rewrites the file once. Rows that a resumed run will write again are dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: list[str] = []
        self.torn = False  # the last row may be half there

    def resume_from(self, iterations_done: int) -> None:
        """Keep the rows of iterations below ``iterations_done`` (iterations count from 0), drop the rest and any torn last line."""
        rows = [row for row in self.rows() if row[KEY] < iterations_done]
        self.columns = sorted(
            {name for row in rows for name in row if name != KEY}, key=self.columns.index
        )
        self._rewrite(rows)

    def write(self, iteration: int, values: dict[str, float | str | None]) -> None:
        """Append one row.

        Raises:
            OSError: it could not be written. The rows before it stay, and the next call mends what is half there.
        """
        if self.torn or not self.path.exists() or any(name not in self.columns for name in values):
            self.torn = True
            rows = self.rows()
            self.columns += [name for name in values if name not in self.columns]
            self._rewrite(rows)
        self.torn = True
        with naming(self.path), self.path.open("a", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerow(
                [iteration, *("" if values.get(n) is None else values[n] for n in self.columns)]
            )
        self.torn = False

    def rows(self) -> list[dict]:
        """Every whole row as a dict; empty cells are left out, the iteration is an int and the rest as written."""
        if not self.path.exists():
            return []
        text = self.path.read_text(encoding="utf-8", errors="replace")
        lines = []
        with contextlib.suppress(csv.Error):  # a cell that no log has
            # A row without its end is torn.
            lines.extend(csv.reader(io.StringIO(text[: text.rfind("\n") + 1], newline="")))
        header = lines[0] if lines else [KEY]
        self.columns = header[1:]
        whole = [line for line in lines[1:] if len(line) == len(header) and line[0].isdecimal()]
        return [
            {KEY: int(line[0])}
            | {n: v for n, v in zip(header[1:], line[1:], strict=True) if v != ""}
            for line in whole
        ]

    def _rewrite(self, rows: list[dict]) -> None:
        with atomic_write(self.path) as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow([KEY, *self.columns])
            writer.writerows([row[KEY], *(row.get(n, "") for n in self.columns)] for row in rows)


def points(rows: Sequence[dict], name: str) -> Iterator[tuple[int, float]]:
    """A column over iterations.

    Args:
        rows: of :meth:`CsvLog.rows`.
        name: of the column.

    Yields:
        Iteration and value, where that is a finite number.
    """
    for row in rows:
        try:
            value = float(row[name])
        except (KeyError, ValueError):
            continue
        if math.isfinite(value):
            yield row[KEY], value
