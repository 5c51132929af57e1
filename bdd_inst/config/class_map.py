"""DATASETS.CLASS_MAP: which class of a data set is which of the model's."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError


def entry_of(entry: str) -> tuple[str, str, str]:
    """One entry of the list: a data set's word, the model's, and the data sets it is said of.

    Args:
        entry: ``theirs=ours``, or ``theirs=ours@NAME`` for one data set; NAME may be a pattern such as ``bdd100k_*``.

    Returns:
        theirs, ours, the pattern (``*`` for all).

    Raises:
        ConfigError: another form.
    """
    theirs, _, rest = str(entry).partition("=")
    # Names of classes may hold an @ themselves; that of a data set does not.
    ours, _, pattern = rest.rpartition("@") if "@" in rest else (rest, "", "*")
    theirs, ours, pattern = theirs.strip(), ours.strip(), pattern.strip()
    if not (theirs and ours and pattern):
        raise ConfigError(
            f"DATASETS.CLASS_MAP {entry!r}: write theirs=ours, or theirs=ours@NAME for one data set"
        )
    return theirs, ours, pattern


def class_map(name: str, entries: Sequence[str]) -> dict[str, str]:
    """What DATASETS.CLASS_MAP says of one data set.

    Args:
        name: the data set's.
        entries: the list.

    Returns:
        its word to the model's; what is said of some data sets goes before what is said of all.

    Raises:
        ConfigError: an entry of another form.
    """
    every: dict[str, str] = {}
    own: dict[str, str] = {}
    for theirs, ours, pattern in map(entry_of, entries):
        if fnmatchcase(name, pattern):
            (every if pattern == "*" else own)[theirs] = ours
    return every | own


def check_class_map(cfg: CfgNode) -> None:
    """Raise ConfigError where DATASETS.CLASS_MAP leads to a class that DATASETS.CLASSES does not have, or there are none or twins."""
    classes, entries = list(cfg.DATASETS.CLASSES), list(cfg.DATASETS.CLASS_MAP)
    twins = sorted({name for name in classes if classes.count(name) > 1})
    if twins:
        raise ConfigError(f"DATASETS.CLASSES names {', '.join(twins)} more than once")
    if entries and not classes:
        raise ConfigError("DATASETS.CLASS_MAP needs DATASETS.CLASSES, the model's classes in order")
    for entry in entries:
        ours = entry_of(entry)[1]
        if ours not in classes:
            raise ConfigError(
                f"DATASETS.CLASS_MAP {entry!r}: {ours!r} is not among DATASETS.CLASSES ({', '.join(classes)})"
            )
