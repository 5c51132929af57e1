"""Models behind one contract: ``build_model(cfg)`` looks up MODEL.META_ARCHITECTURE, or asks Detectron2 where MODEL.ENGINE says so."""

from __future__ import annotations

import logging

import torch
from torch import nn

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
    """MODEL.DEVICE, or the CPU (and a line in the log) where a GPU is asked for and there is none."""
    if name.startswith("cuda") and not torch.cuda.is_available():
        logger.warning("MODEL.DEVICE is %s but no GPU is available: running on the CPU", name)
        return torch.device("cpu")
    return torch.device(name)
