"""What test-time augmentation (TEST.AUG) costs and gains: the same model, each image seen once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import numpy as np
from fvcore.common.config import CfgNode
from torch import nn


@contextlib.contextmanager
def without_tta(model: nn.Module, cfg: CfgNode) -> Iterator[CfgNode]:
    """The model as if TEST.AUG were off; afterwards it is as before.

    Args:
        model: of the builtin engine.
        cfg: its config; not changed.

    Yields:
        the config with TEST.AUG off, which prepares images for it.
    """
    plain = cfg.clone()
    plain.defrost()
    plain.TEST.AUG.ENABLED = False
    views, model.tta = model.tta, None
    try:
        yield plain
    finally:
        model.tta = views


def cost_of_views(predictor, image: np.ndarray) -> tuple[float, float]:
    """Seconds that one image takes with TEST.AUG and seen once.

    Args:
        predictor: a :class:`bdd_inst.inference.predictor.Predictor` with TEST.AUG on.
        image: H,W,3 uint8 BGR.

    Returns:
        with all views, and once.
    """
    with without_tta(predictor.model, predictor.cfg) as plain:
        once = type(predictor)(plain, predictor.model)
        once(image)  # the first call also allocates
        single = _seconds(once, image)
    return _seconds(predictor, image), single


def _seconds(predictor, image: np.ndarray) -> float:
    start = time.perf_counter()
    predictor(image)
    return time.perf_counter() - start
