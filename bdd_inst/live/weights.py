"""Which weights live starts with: those that are named, else the person model of the package where it holds one."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from bdd_inst.base.errors import DataError
from bdd_inst.config.loading import load_cfg
from bdd_inst.inference.predictor import load_model
from bdd_inst.live.segmenter import ModelSegmenter, from_cfg
from bdd_inst.weights.trained import trained_cfg

log = logging.getLogger(__name__)

CONFIG = "people_unet.yaml"  # of the person model, in configs/
ON_CPU = ("MODEL.DEVICE", "cpu")
PACKAGED = ("person.safetensors", "person.pth")  # beside this file


def packaged_weights() -> Path | None:
    """The person model that the package brings along, None where it brings none."""
    folder = Path(__file__).parent
    return next((folder / name for name in PACKAGED if (folder / name).is_file()), None)


def load_segmenter(weights: str | os.PathLike | None, config: str | None = None) -> ModelSegmenter:
    """The model that finds the person.

    Args:
        weights: of a pixel-wise model; None takes the config's, or the package's.
        config: of the model, a YAML file or the name of one; None takes the one that the weights carry.

    Returns:
        The model on its device, from a frame to the person's share in each pixel.

    Raises:
        DataError: there are no weights, they do not fit, or the model gives no mask of pixels.
    """
    if config is not None:
        named = [] if weights is None else ["MODEL.WEIGHTS", os.fspath(weights)]
        cfg = load_cfg(config, [*named, *ON_CPU])
    elif weights is not None:
        cfg = trained_cfg(weights, ON_CPU)
    else:
        found = packaged_weights()
        if found is None:
            raise DataError(
                f"no weights: train a person model (bdd-inst train --config {CONFIG}) "
                "and name it, --weights output/model_final.pth"
            )
        log.warning(
            "the small person model of the package: it has seen street fashion only and cuts other "
            "images less well (docs/person-model.md); for a better one name --weights W, trained "
            "by bdd-inst train --config %s",
            CONFIG,
        )
        cfg = trained_cfg(found, ON_CPU)
    return from_cfg(cfg, load_model(cfg))
