"""The one place where a config is held against the rules: what each key may be, then what keys need of each other."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError
from bdd_inst.base.registry import table_of, unsupported
from bdd_inst.config import rules
from bdd_inst.config.consistency import check_consistency
from bdd_inst.config.loading import defaults, get_key, known_keys

COUNTS = {2: "two", 3: "three", 4: "four"}


def check_config(cfg: CfgNode, where: str = "") -> None:
    """Refuse what a config asks for and nobody would do.

    With MODEL.ENGINE detectron2 the keys of ``DETECTRON2_BUILDS`` are left to Detectron2.

    Args:
        cfg: a whole config.
        where: what is said first, for example ``stage heads``.

    Raises:
        ConfigError: one line that names the key, its value, and what can be used.
    """
    try:
        _check(cfg)
    except ConfigError as error:
        if not where:
            raise
        raise ConfigError(f"{where}: {error}") from None


def check_value(key: str, value: object, where: str | None = None) -> None:
    """Refuse what a key may not be set to, by its row in the table.

    Args:
        key: dotted; ``STAGES.X`` for a stage's own key X.
        value: what it is set to.
        where: what the line calls the key; None: as it is.

    Raises:
        ConfigError: one line that names the key, the value, and what can be used.
    """
    where = where or key
    if key in rules.TEXTS and not re.fullmatch(rules.TEXTS[key][1], str(value)):
        raise ConfigError(f"{where} {value!r} is none of {rules.TEXTS[key][0]}")
    _check_names(key, value, where)
    _check_numbers(key, value, where)


def allowed(key: str, architecture: str = "GeneralizedRCNN") -> str:
    """What a key may be set to, in words.

    Args:
        key: dotted, such as ``SOLVER.BASE_LR``; ``STAGES.X`` for a stage's own key X.
        architecture: of MODEL.META_ARCHITECTURE, some of which refuse keys of others.
    """
    reason = _refusal(key, architecture)
    if reason:
        return f"nothing but its default: {reason}"
    names = choices(key)
    if names:
        kind = "each one of" if key in rules.LISTS else "one of"
        patterns = ", or a list of patterns of module names" if key == "STAGES.TRAIN" else ""
        return f"{kind} {', '.join(map(repr, names))}{patterns}"
    if key in rules.BY_TABLE:
        return "a name of its table"
    if key in rules.TEXTS:
        return f"one of {rules.TEXTS[key][0]}"
    if key in rules.NUMBERS and key.startswith("STAGES."):
        return f"a number {rules.NUMBERS[key][0]}"
    if key.startswith("STAGES."):
        return "a text"
    default = get_key(defaults(), key)
    many = isinstance(default, list)
    words = [COUNTS[rules.LENGTHS[key]]] if key in rules.LENGTHS else []
    words += ["rising"] if key in rules.RISING else []
    words += ["numbers" if many else "a number"]
    if key in rules.NUMBERS:
        return " ".join([*words, rules.NUMBERS[key][0]])
    if len(words) > 1:
        return " ".join(words)
    return "anything of its type" if default is not None else "a number, or null"


def choices(key: str) -> tuple:
    """The values that a key may have; empty where it takes any of its type, or where the room with its table is not loaded."""
    return tuple(table_of(key) or ()) if key in rules.BY_TABLE else rules.VALUES.get(key, ())


def _check(cfg: CfgNode) -> None:
    engine, architecture = cfg.MODEL.ENGINE, cfg.MODEL.META_ARCHITECTURE
    for key in sorted(known_keys(defaults())):
        if engine == "detectron2" and _listed(key, rules.DETECTRON2_BUILDS):
            continue
        value, default = get_key(cfg, key), get_key(defaults(), key)
        check_value(key, value)
        reason = _refusal(key, architecture)
        if reason and not _same(value, default):
            raise ConfigError(
                f"{key} {value!r} is not supported: {reason}; leave it at {default!r}"
            )
        if (
            engine == "detectron2"
            and _listed(key, rules.BUILTIN_ONLY)
            and not _same(value, default)
        ):
            raise ConfigError(
                f"{key} {value!r} is not supported with MODEL.ENGINE detectron2; use builtin"
            )
    check_consistency(cfg)


def _check_names(key: str, value: object, where: str) -> None:
    known = choices(key)
    for name in value if key in rules.LISTS else [value]:
        # True and 1.0 equal 1 and are none of the names.
        if known and (type(name), name) not in [(type(k), k) for k in known]:
            raise ConfigError(unsupported(where, name, known))


def _check_numbers(key: str, value: object, where: str) -> None:
    if key in rules.LENGTHS and len(value) != rules.LENGTHS[key]:
        raise ConfigError(f"{where} {list(value)}: expected {COUNTS[rules.LENGTHS[key]]} numbers")
    if key in rules.NUMBERS:
        words, holds = rules.NUMBERS[key]
        many = isinstance(value, list | tuple)
        for entry in value if many else [value]:
            if entry is not None and not (_is_number(entry) and holds(entry)):
                kind = "numbers" if many else "a number"
                raise ConfigError(f"{where} {value!r}: expected {kind} {words}")
    if key in rules.RISING:
        strict = key in rules.STRICTLY_RISING
        for low, high in itertools.pairwise(value):
            if high < low or (strict and high == low):
                raise ConfigError(f"{where} {list(value)}: expected rising numbers")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _refusal(key: str, architecture: str) -> str | None:
    """Why a key must keep its default; None where it need not."""
    table = rules.REFUSED | rules.REFUSED_IN.get(architecture, {})
    return next((why for pattern, why in table.items() if fnmatchcase(key, pattern)), None)


def _listed(key: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def _same(value: object, default: object) -> bool:
    """Equal, with lists and tuples alike (YAML has lists, Detectron2's defaults tuples)."""
    if isinstance(value, list | tuple) and isinstance(default, list | tuple):
        return len(value) == len(default) and all(_same(a, b) for a, b in zip(value, default))
    return value == default
