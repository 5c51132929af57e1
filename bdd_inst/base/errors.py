"""What goes wrong with data and configs, in one readable line, and a log that counts what was skipped and why."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from dataclasses import dataclass, field

LONGEST_LINE = 1500  # letters; a name in a file may have any number
LONGEST_CELL = 100  # of a printed table
JOINERS = "\u200c\u200d"


class DataError(Exception):
    """Bad input. The message is one line: which file, which instance, what to do. Tools print it and exit 1."""

    def __str__(self) -> str:
        return printable(super().__str__())


class ConfigError(DataError):
    """A config key or value that cannot be used; the message names it and the nearest that can."""


@dataclass(slots=True)
class Problem:
    """One thing found wrong. ``code`` is a short kebab-case reason (``missing-image``), ``where`` the file and instance."""

    code: str
    where: str
    message: str

    def __str__(self) -> str:
        return printable(f"{self.where}: {self.message} [{self.code}]")


@dataclass(slots=True)
class ProblemLog:
    """Everything skipped, counted by reason; the first ``keep`` of each reason are kept whole, so memory stays bounded."""

    keep: int = 20
    counts: Counter = field(default_factory=Counter)
    examples: dict[str, list[Problem]] = field(default_factory=dict)

    def add(self, code: str, where: str, message: str, *, count: int = 1) -> None:
        """Count one problem (or ``count`` of the same kind, of which this is the example)."""
        self.counts[code] += count
        kept = self.examples.setdefault(code, [])
        if len(kept) < self.keep:
            kept.append(Problem(code, where, message))

    def merge(self, other: ProblemLog) -> None:
        """Take in what another log has counted."""
        for code, number in other.counts.items():
            self.counts[code] += number
            kept = self.examples.setdefault(code, [])
            kept.extend(other.examples.get(code, [])[: self.keep - len(kept)])

    def __len__(self) -> int:
        return sum(self.counts.values())

    def __bool__(self) -> bool:
        return bool(self.counts)

    def lines(self, examples: int = 1) -> list[str]:
        """Readable lines: a count by reason, most frequent first, each with its first ``examples`` cases."""
        out = []
        for code, number in self.counts.most_common():
            cases = self.examples.get(code, [])[:examples]
            shown = "; ".join(printable(f"{p.where}: {p.message}") for p in cases)
            out.append(f"{number} x {code}" + (f" (e.g. {shown})" if shown else ""))
        return out


def printable(name: str | os.PathLike, longest: int = LONGEST_LINE) -> str:
    """Words of others, a file's name or a class', as one line that any stream can take and that commands no terminal.

    Line breaks, control characters and bytes that are no UTF-8 become escapes; of what is longer than ``longest`` the middle is left out.

    Args:
        name: in whatever bytes.
        longest: letters that are kept.

    Returns:
        One line of text.
    """
    text = os.fspath(name)
    text = shortened(os.fsdecode(text) if isinstance(text, bytes) else text, longest)
    return text if text.isprintable() else "".join(map(_shown, text))


def shortened(text: str, longest: int) -> str:
    """A text of at most so many letters, its beginning and its end.

    Args:
        text: of any length.
        longest: letters, 7 or more.

    Returns:
        The text, or what is left of it with dots in the middle.
    """
    half = (longest - 5) // 2
    return text if len(text) <= longest else f"{text[:half]} ... {text[-half:]}"


def _shown(letter: str) -> str:
    # Spaces of other scripts, and what keeps their letters apart or together, are no control characters.
    if letter.isprintable() or letter in JOINERS or unicodedata.category(letter) == "Zs":
        return letter
    return letter.encode("unicode_escape").decode()
