"""Models behind one contract: ``build_model(cfg)`` looks up MODEL.META_ARCHITECTURE, or asks Detectron2 where MODEL.ENGINE says so."""

from __future__ import annotations

import logging

import torch
from torch import nn

from bdd_inst.base.errors import ConfigError

__all__ = ["build_model"]

logger = logging.getLogger(__name__)


def build_model(cfg) -> nn.Module:
    """The model of ``cfg`` on MODEL.DEVICE, in training mode, with random weights.

    Raises:
        ConfigError: an unknown engine, a key that the engine does not support, Detectron2 asked for and absent.
    """
    from bdd_inst.config.supported import check_supported

    check_supported(cfg)
    if cfg.MODEL.ENGINE == "detectron2":
        from bdd_inst.engines.detectron2_engine import build_detectron2_model

        return build_detectron2_model(cfg)
    from bdd_inst.modeling.meta import META_ARCHITECTURES

    return META_ARCHITECTURES[cfg.MODEL.META_ARCHITECTURE](cfg).to(pick_device(cfg.MODEL.DEVICE))


def pick_device(name: str) -> torch.device:
    """MODEL.DEVICE (``cpu``, ``cuda``, ``cuda:N``, ``mps``), or the CPU (and a line in the log) where this machine has none of its kind.

    Raises:
        ConfigError: a word that is no device, or a GPU's number that is not there.
    """
    kind, _, number = str(name).partition(":")
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if kind not in there or (":" in str(name) and not number.isdigit()):
        raise ConfigError(f"MODEL.DEVICE {name!r} is none of cuda, cuda:N, mps, cpu")
    if not there[kind]:
        logger.warning("MODEL.DEVICE is %s but there is none here: running on the CPU", name)
        return torch.device("cpu")
    if kind == "cuda" and number and int(number) >= torch.cuda.device_count():
        raise ConfigError(
            f"MODEL.DEVICE {name}: this machine has {torch.cuda.device_count()} GPUs, counted from 0"
        )
    return torch.device(kind if kind == "cpu" else name)
