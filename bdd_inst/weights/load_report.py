"""What happened to each parameter and each tensor when a weight file was loaded, in lines a person reads."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

MAX_GROUPS = 12


@dataclass(slots=True)
class LoadReport:
    """Names are the model's, except ``unexpected`` and ``ignored``, which are the file's.

    Attributes:
        source: what MODEL.WEIGHTS said.
        kind: whose names the file used: ``detectron2``, ``caffe2``, ``torchvision resnet``, ``torchvision maskrcnn``, ``timm``; empty
            where there was no file.
        loaded: parameters and buffers that now hold the file's values.
        reinitialized: class-dependent layers left at their fresh initialization, because the number of classes differs.
        missing: parameters the file does not have; they keep their values.
        mismatched: parameters of another shape in the file; they keep their values.
        unexpected: tensors of the file that the model has no place for.
        ignored: tensors that are no weights of a detector (ImageNet classifier, counters, pixel mean); not worth a warning.
        warnings: what may cost accuracy: config keys that do not suit the weights, folded statistics under a norm that is trained.
        notes: anything else to know.
    """

    source: str
    kind: str = "detectron2"
    loaded: list[str] = field(default_factory=list)
    reinitialized: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """True where every parameter was loaded and every tensor used."""
        return not (self.reinitialized or self.missing or self.mismatched or self.unexpected)

    def lines(self) -> list[str]:
        """A line a finding; names are grouped by layer."""
        loaded = (
            f"{len(self.loaded)} tensors loaded ({self.kind} names)"
            if self.kind
            else "every weight at its random start"
        )
        out = [f"{self.source}: {loaded}"]
        if self.reinitialized:
            out.append(
                "re-initialized, the number of classes differs: " + "; ".join(self.reinitialized)
            )
        if self.mismatched:
            out.append(
                f"{len(self.mismatched)} of another shape, not loaded: " + _some(self.mismatched)
            )
        if self.missing:
            out.append(
                f"{len(self.missing)} not in the file, they keep their initial values: "
                + _some(group_names(self.missing))
            )
        if self.unexpected:
            out.append(
                f"{len(self.unexpected)} in the file that the model has no place for: "
                + _some(group_names(self.unexpected))
            )
        return out + self.warnings + self.notes

    def log(self, logger: logging.Logger) -> None:
        """The first line and the notes as information, what did not fit as warnings."""
        first, *rest = self.lines()
        logger.info("%s", first)
        for line in rest:
            logger.log(
                logging.INFO if line in self.notes else logging.WARNING, "%s: %s", self.source, line
            )

    def __str__(self) -> str:
        return "\n".join(self.lines())


def group_names(names: list[str]) -> list[str]:
    """``a.weight``, ``a.bias`` -> ``a.{weight,bias}``; layers are joined by their parents while there are more than ``MAX_GROUPS``."""
    groups: dict[str, list[str]] = {}
    for name in names:
        layer, _, end = name.rpartition(".")
        groups.setdefault(layer, []).append(end)
    if len(groups) <= MAX_GROUPS:
        joined_ends = {
            layer: f"{{{','.join(ends)}}}" if len(ends) > 1 else ends[0]
            for layer, ends in groups.items()
        }
        return [f"{layer}.{ends}".lstrip(".") for layer, ends in joined_ends.items()]
    # The most parts of a name for which the list still fits on a screen.
    for depth in (5, 4, 3, 2, 1):
        joined: dict[str, int] = {}
        for name in names:
            parts = name.split(".")
            joined[".".join(parts[:depth]) + (".*" if len(parts) > depth else "")] = 0
        if len(joined) <= MAX_GROUPS:
            break
    for name in names:
        parts = name.split(".")
        joined[".".join(parts[:depth]) + (".*" if len(parts) > depth else "")] += 1
    return [f"{group} ({count})" if count > 1 else group for group, count in joined.items()]


def _some(lines: list[str]) -> str:
    shown = lines[:MAX_GROUPS]
    return "; ".join(shown) + (
        f"; and {len(lines) - len(shown)} more" if len(lines) > len(shown) else ""
    )
