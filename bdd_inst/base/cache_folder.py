"""Where downloads and parsed labels are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

from bdd_inst.base.errors import ConfigError

VARIABLE = "BDD_INST_CACHE"


def cache_folder() -> Path | None:
    """``$BDD_INST_CACHE``, else ``bdd_inst`` in ``$XDG_CACHE_HOME`` or ``~/.cache``; None where ``$BDD_INST_CACHE`` is empty (off).

    Raises:
        ConfigError: the folder of a user who does not exist.
    """
    given = os.environ.get(VARIABLE)
    if given is not None and not given.strip():
        return None
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        if given is not None:
            return Path(given).expanduser()
        return (Path(home) if home else Path.home() / ".cache").expanduser() / "bdd_inst"
    except RuntimeError:  # "~" of nobody
        raise ConfigError(
            f"{VARIABLE}={given or home or '~'}: there is no such user's folder; name a folder by its path, or set it empty (no cache)"
        ) from None
