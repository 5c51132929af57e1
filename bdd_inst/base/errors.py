"""What goes wrong with data and configs, in one readable line, and a log that counts what was skipped and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


class DataError(Exception):
    """Bad input. The message is one line: which file, which instance, what to do. Tools print it and exit 1."""


class ConfigError(DataError):
    """A config key or value that cannot be used; the message names it and the nearest that can."""


@dataclass(slots=True)
class Problem:
    """One thing found wrong. ``code`` is a short kebab-case reason (``missing-image``), ``where`` the file and instance."""

    code: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message} [{self.code}]"


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
            shown = "; ".join(
                f"{p.where}: {p.message}" for p in self.examples.get(code, [])[:examples]
            )
            out.append(f"{number} x {code}" + (f" (e.g. {shown})" if shown else ""))
        return out
