"""Where downloads and parsed labels are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "BDD_INST_CACHE"


def cache_folder() -> Path | None:
    """``$BDD_INST_CACHE``, else ``bdd_inst`` in ``$XDG_CACHE_HOME`` or ``~/.cache``; None where ``$BDD_INST_CACHE`` is empty (off)."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        return Path(given).expanduser() if given.strip() else None
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache").expanduser() / "bdd_inst"
