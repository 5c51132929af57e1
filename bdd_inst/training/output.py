"""The folder of a run: a new one named by the time, the one asked for, or the one to go on in."""

from __future__ import annotations

import datetime
from pathlib import Path

from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.config.loading import leaves
from bdd_inst.config.yaml_files import parse
from bdd_inst.training.checkpoints import CheckpointFolder


def choose_folder(output: str | None, base: str, *, resume: bool, training: bool = True) -> Path:
    """The run's folder (not made yet).

    Args:
        output: ``--output``, or None.
        base: ``OUTPUT_DIR``, under which runs without ``--output`` get a folder named by the time.
        resume: go on in the folder, or in the newest run under ``base``.
        training: False where only an evaluation is written there.

    Returns:
        Its path.

    Raises:
        DataError: the folder holds another run's checkpoints and ``resume`` is not set, or there is no run to go on with.
    """
    if output:
        folder = Path(output)
        if folder.exists() and not folder.is_dir():
            raise DataError(f"--output {folder}: is a file, not a folder")
        last = (
            CheckpointFolder(folder, 0).last()
            if training and not resume and folder.is_dir()
            else None
        )
        if last:
            raise DataError(
                f"{folder}: holds a run already ({last.name}); --resume goes on with it, another --output starts anew"
            )
        return folder
    if resume:
        # The newest by when its checkpoint was written: names may be anybody's.
        runs = sorted(
            (path.parent for path in Path(base).glob("*/last_checkpoint")),
            key=lambda run: (run / "last_checkpoint").stat().st_mtime,
        )
        if not runs:
            raise DataError(
                f"--resume: no run with a checkpoint under OUTPUT_DIR {base}; name its folder with --output"
            )
        return runs[-1]
    return unused(Path(base) / datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))


def changed_keys(folder: Path, cfg: CfgNode) -> list[str]:
    """What differs between the run's ``config.yaml`` and the config it is resumed with, a line a key."""
    try:
        before = dict(leaves(parse((folder / "config.yaml").read_bytes(), "config.yaml")))
    except (OSError, ConfigError):
        return []
    now = dict(leaves(parse(cfg.dump(), "config")))
    changed = [key for key in now if key != "OUTPUT_DIR" and now[key] != before.get(key)]
    return [f"{key} was {before.get(key)}, is {now[key]}" for key in changed]


def unused(folder: Path) -> Path:
    """``folder``, or with a number behind it where two runs start in the same second."""
    number, free = 1, folder
    while free.exists():
        number += 1
        free = folder.with_name(f"{folder.name}_{number}")
    return free
