"""One rule for who trains and who tests: by a list of names, by shares with a seed, or by folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.formats.json_files import read_lines

SPLITS = ("train", "val", "test")
SHARES = (0.8, 0.1, 0.1)


def split_names(
    names: Sequence[str],
    split: str,
    *,
    listing: Path | None = None,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
) -> list[str]:
    """Those of ``names`` that are of a split, in their order.

    A listing (a text file, one name a line, with or without folder and ending) decides where it is there. Else, where names begin
    with the folders ``train/``, ``val/`` or ``test/``, the folder does. Else the names are put in an order that follows from ``seed``
    and the name alone, and cut by ``shares`` (train, val, test), the same on every machine.

    Raises:
        ConfigError: an unknown split, or shares that are no shares.
        DataError: a listing that cannot be read or names what is not there.
    """
    if split not in SPLITS:
        raise ConfigError(f"a split is {', '.join(SPLITS)}, not {split!r}")
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise ConfigError(
            f"shares of train, val and test are three numbers that add up to 1, not {list(shares)}"
        )
    if listing is not None:
        return listed(names, listing)
    first = [Path(name).parts[0] for name in names]
    if set(first) & set(SPLITS):
        return [name for name, folder in zip(names, first, strict=True) if folder == split]
    order = sorted(names, key=lambda name: hashlib.blake2b(os.fsencode(f"{seed} {name}")).digest())
    cuts = [
        0,
        round(shares[0] * len(order)),
        round((shares[0] + shares[1]) * len(order)),
        len(order),
    ]
    place = SPLITS.index(split)
    chosen = set(order[cuts[place] : cuts[place + 1]])
    return [name for name in names if name in chosen]


def listed(names: Sequence[str], listing: Path) -> list[str]:
    """Those of ``names`` that a text file lists; see :func:`split_names`."""
    lines = [line.strip() for line in read_lines(listing)]
    wanted = {line for line in lines if line and not line.startswith("#")}
    found = [name for name in names if {name, Path(name).name, Path(name).stem} & wanted]
    known = {form for name in found for form in (name, Path(name).name, Path(name).stem)}
    unknown = sorted(wanted - known)
    if unknown:
        raise DataError(
            f"{listing}: {unknown[0]} is no image of the set ({len(unknown)} such lines)"
        )
    return found
