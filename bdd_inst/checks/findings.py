"""What a check finds: a code of :data:`bdd_inst.base.problems.PROBLEMS`, a file, an instance, a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from bdd_inst.base.errors import ProblemLog
from bdd_inst.base.problems import SEVERITIES, problem


@dataclass(slots=True, frozen=True)
class Finding:
    """One thing found; ``instance`` is empty where the whole file is meant."""

    code: str
    file: str
    instance: str
    message: str


@dataclass
class Findings:
    """All findings; of each code the first ``keep`` are kept whole, all are counted."""

    keep: int = 10_000
    counts: Counter = field(default_factory=Counter)
    kept: dict[str, list[Finding]] = field(default_factory=dict)

    def add(self, code: str, file: str, instance: object, message: str, count: int = 1) -> None:
        """Count one finding, or ``count`` of which this is the example."""
        self.counts[code] += count
        some = self.kept.setdefault(code, [])
        if len(some) < self.keep:
            some.append(Finding(code, file, "" if instance is None else str(instance), message))

    def take(self, problems: ProblemLog) -> None:
        """Take over what a reader counted."""
        for code, number in problems.counts.items():
            examples = problems.examples.get(code, [])
            for case in examples:
                file, _, instance = case.where.partition(": ")
                self.add(code, file, instance, case.message)
            self.counts[code] += number - len(examples)

    def of(self, severity: str) -> int:
        """How many findings of that severity there are."""
        return sum(n for code, n in self.counts.items() if problem(code).severity == severity)

    def codes(self) -> list[str]:
        """The codes found, severest first, then most frequent."""
        return sorted(
            self.counts,
            key=lambda code: (SEVERITIES.index(problem(code).severity), -self.counts[code], code),
        )

    def __iter__(self) -> Iterator[Finding]:
        for code in self.codes():
            yield from self.kept.get(code, ())
