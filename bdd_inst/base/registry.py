"""Tables from the names that a config key may have to what they stand for; an entry is one line, the user's own as well."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Generic, TypeVar

from bdd_inst.base.errors import ConfigError

Entry = TypeVar("Entry")

_TABLES: dict[str, Registry] = {}


class Registry(dict[str, Entry], Generic[Entry]):
    """The names of one config key. A module of the user's joins by ``TABLE["name"] = entry`` and ``--import``.

    >>> BACKBONES = Registry("MODEL.BACKBONE.NAME", {"build_resnet_backbone": build_resnet_backbone})
    >>> BACKBONES["mine"] = build_mine

    Attributes:
        key: the config key.
    """

    def __init__(self, key: str, entries: Mapping[str, Entry] = {}):
        super().__init__(entries)
        self.key = key
        _TABLES[key] = self

    def pick(self, name: str) -> Entry:
        """The entry of a name.

        Raises:
            ConfigError: there is none; names the key, the nearest name and all that there are.
        """
        if name not in self:
            raise ConfigError(unsupported(self.key, name, tuple(self)))
        return self[name]


def table_of(key: str) -> Registry | None:
    """The table of a config key; None where its values are no names, or the module with its table is not loaded.

    Args:
        key: dotted, e.g. ``MODEL.META_ARCHITECTURE``.

    Returns:
        The table, or None.
    """
    return _TABLES.get(key)


def unsupported(key: str, value: object, known: tuple) -> str:
    """The line that refuses a value: the key, what can be used, and the nearest of it.

    Args:
        key: dotted.
        value: what the config says.
        known: what it could say.

    Returns:
        One line for a ConfigError.
    """
    near = difflib.get_close_matches(str(value), [str(k) for k in known], 1, 0.8)
    hint = f" (did you mean {near[0]}?)" if near and len(known) > 1 else ""
    return f"{key} {value!r} is not supported; use {' or '.join(repr(k) for k in known)}{hint}"
