"""Models behind one contract: ``build_model(cfg)`` looks up MODEL.META_ARCHITECTURE, or asks Detectron2 where MODEL.ENGINE says so."""

from __future__ import annotations

from fvcore.common.config import CfgNode
from torch import nn

from bdd_inst.config.checking import check_config
from bdd_inst.engines.device import pick_device
from bdd_inst.modeling.meta import META_ARCHITECTURES

__all__ = ["build_model"]


def build_model(cfg: CfgNode) -> nn.Module:
    """The model that a config describes.

    Args:
        cfg: a whole config, as :func:`bdd_inst.load_cfg` gives it; MODEL.WEIGHTS is not read.

    Returns:
        the model on MODEL.DEVICE, in training mode, with random weights; parameters below MODEL.BACKBONE.FREEZE_AT do not train. It takes
        ``list[dict]`` with ``image`` C,H,W; in training it gives a dict of losses, in evaluation a dict an image: ``instances``,
        ``sem_seg``.

    Raises:
        ConfigError: an unknown engine, a key that the engine does not support, Detectron2 asked for and absent.
    """
    check_config(cfg)
    if cfg.MODEL.ENGINE == "detectron2":
        from bdd_inst.engines.detectron2_engine import build_detectron2_model

        return build_detectron2_model(cfg)
    return META_ARCHITECTURES.pick(cfg.MODEL.META_ARCHITECTURE)(cfg).to(
        pick_device(cfg.MODEL.DEVICE)
    )
