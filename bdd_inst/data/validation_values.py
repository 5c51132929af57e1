"""Single values of a user's dict: read as whole numbers, and shown in messages."""

from __future__ import annotations

import operator
from collections.abc import Mapping

import numpy as np


def as_whole_number(value: object) -> int | None:
    """A whole number of any integer type (a float without a fraction too) as int; None for anything else."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return int(value)
    try:
        return operator.index(value)
    except TypeError:
        return None


def shown(item: Mapping, key: str) -> str:
    """A value for a message, cut short."""
    if key not in item:
        return "missing"
    value = item[key]
    if isinstance(value, (str, bytes, int, float, type(None), np.number)):
        return repr(value)[:40]
    return (
        f"of type {type(value).__name__}"
        if not isinstance(value, (list, tuple))
        else (f"a {type(value).__name__} of {len(value)}")
    )
