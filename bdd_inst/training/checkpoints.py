"""Checkpoints that are whole or not there: written aside, synced, renamed; the last few and the best are kept."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from pathlib import Path

import torch

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.weights.checkpoint import save_to
from bdd_inst.weights.torch_check import check_zip

log = logging.getLogger(__name__)

POINTER = "last_checkpoint"
NUMBERED = re.compile(r"model_(\d{7})\.pth")


class CheckpointFolder:
    """The checkpoints of one run.

    Names are Detectron2's: ``model_0004999.pth`` after 5000 iterations of the run, ``model_best.pth``, ``model_final.pth``, and
    ``last_checkpoint`` which names the newest. Files hold ``{"model": parameters by Detectron2's names, ...}`` with tensors and
    plain values only, so that loading never runs code from a file.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def save(self, name: str, state: dict) -> Path:
        """Write ``name`` whole or not at all; the file that bore the name stays until the new one is safely on disk."""
        path = self.folder / name
        with atomic_write(path, "wb") as stream:
            save_to(state, stream)
        sync_folder(self.folder)
        return path

    def save_step(self, iteration: int, state: dict) -> Path:
        """Write the checkpoint after ``iteration`` iterations, point ``last_checkpoint`` at it, drop those beyond ``keep``."""
        path = self.save(f"model_{iteration - 1:07d}.pth", state)
        with atomic_write(self.folder / POINTER) as stream:
            stream.write(path.name)
        sync_folder(self.folder)
        # After the pointer has moved: at every moment the file that it names is there.
        if self.keep > 0:
            for old in self.numbered()[: -self.keep]:
                if old != path:
                    old.unlink(missing_ok=True)
        return path

    def numbered(self) -> list[Path]:
        """The numbered checkpoints, oldest first."""
        return sorted(
            path for path in self.folder.glob("model_*.pth") if NUMBERED.fullmatch(path.name)
        )

    def last(self) -> Path | None:
        """The newest checkpoint by name, without opening it."""
        with contextlib.suppress(OSError):
            named = self.folder / (self.folder / POINTER).read_text(encoding="utf-8").strip()
            # The pointer is a text that anybody may have edited: it may name a checkpoint of this folder only.
            if named.is_file() and NUMBERED.fullmatch(named.name):
                return named
        numbered = self.numbered()
        return numbered[-1] if numbered else None

    def load_last(self) -> tuple[Path, dict] | None:
        """The newest checkpoint that reads back whole; unreadable ones are passed over with a warning. None where there is none.

        Raises:
            DataError: there are checkpoints and none can be read.
        """
        last = self.last()
        candidates = ([last] if last else []) + [
            path for path in reversed(self.numbered()) if path != last
        ]
        for path in candidates:
            try:
                return path, read(path)
            except DataError as error:
                log.warning("%s; trying the one before it", error)
        if candidates:
            raise DataError(
                f"{self.folder}: none of its {len(candidates)} checkpoints can be read; start anew in another folder"
            )
        return None


def read(path: Path) -> dict:
    """A checkpoint as it was saved, on the CPU; tensors and plain values only.

    Raises:
        DataError: a missing, damaged or foreign file.
    """
    try:
        check_zip(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError, OSError ... by kind of damage
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"{path}: not a readable checkpoint ({reason})") from None
    if not isinstance(state, dict) or "model" not in state or "progress" not in state:
        raise DataError(
            f"{path}: weights without training state; give it as MODEL.WEIGHTS instead of resuming from it"
        )
    return state


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` survive a power cut (POSIX syncs a name with its folder, not with its file)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
