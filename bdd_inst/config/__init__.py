"""The config: Detectron2's keys and meanings, their defaults, and which of them are honored."""

from bdd_inst.config.loading import get_cfg, load_cfg

__all__ = ["get_cfg", "load_cfg"]
