"""MODEL.DEVICE: where a model goes."""

from __future__ import annotations

import logging

import torch

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.checking import check_value

logger = logging.getLogger(__name__)


def pick_device(name: str) -> torch.device:
    """MODEL.DEVICE (``cpu``, ``cuda``, ``cuda:N``, ``mps``), or the CPU (and a line in the log) where this machine has none of its kind.

    Args:
        name: of MODEL.DEVICE.

    Returns:
        the device that is used.

    Raises:
        ConfigError: a word that is no device, or a GPU's number that is not there.
    """
    check_value("MODEL.DEVICE", name)
    kind, _, number = str(name).partition(":")
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if not there[kind]:
        logger.warning("MODEL.DEVICE is %s but there is none here: running on the CPU", name)
        return torch.device("cpu")
    # A missing kind falls back to the CPU; a wrong number is a mistake, which the CPU would hide.
    if kind == "cuda" and number and int(number) >= torch.cuda.device_count():
        raise ConfigError(
            f"MODEL.DEVICE {name}: this machine has {torch.cuda.device_count()} GPUs, counted from 0"
        )
    return torch.device(kind if kind == "cpu" else name)
