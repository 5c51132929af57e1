"""Numbers that environment variables set, and a look at all of them before any work: docs/environment.md lists what is read."""

from __future__ import annotations

import os

from bdd_inst.base.cache_folder import cache_folder
from bdd_inst.base.errors import ConfigError

# variable -> of what it is a number, and an example
LIMITS = {
    "BDD_INST_MAX_PIXELS": ("pixels", 400_000_000),
    "BDD_INST_MAX_UNPACKED": ("bytes", 4_000_000_000),
}


def whole_number(variable: str, what: str, example: int) -> int | None:
    """The number above 0 that a variable is set to.

    Args:
        variable: its name.
        what: of what it is a number, for the message.
        example: a number that would do.

    Returns:
        The number, None where the variable is not set or empty.

    Raises:
        ConfigError: it is set to anything else.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 16 and int(text)):
        raise ConfigError(f"{variable}={text[:40]!r}: give a number of {what}, e.g. {example}")
    return int(text)


def limit(variable: str) -> int | None:
    """What one of :data:`LIMITS` is set to.

    Args:
        variable: its name.

    Returns:
        The number, None where the variable is not set.

    Raises:
        ConfigError: it is set, and no number.
    """
    return whole_number(variable, *LIMITS[variable])


def check_environment() -> None:
    """Read every variable that says how to work, so that nonsense is told at once and not for each image.

    Raises:
        ConfigError: one that cannot be meant; the message names it.
    """
    for variable in LIMITS:
        limit(variable)
    cache_folder()
