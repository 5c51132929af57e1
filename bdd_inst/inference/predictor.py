"""One picture in, its instances out: what Detectron2's DefaultPredictor does, for one picture or a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from fvcore.common.config import CfgNode
from PIL import Image
from torch import nn

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.data.augment import test_chain
from bdd_inst.engines import build_model
from bdd_inst.images.read import to_tensor
from bdd_inst.inference.run import to_cpu
from bdd_inst.structures import Instances
from bdd_inst.weights.checkpoint import load_weights


class Predictor:
    """Holds a model in evaluation mode and prepares pictures for it as the test path of the mapper does.

    >>> predictor = Predictor(load_cfg("bdd_maskrcnn.yaml", ["MODEL.WEIGHTS", "output/model_final.pth"]))
    >>> instances = predictor(cv2.imread("street.jpg"))  # pred_boxes, scores, pred_classes, pred_masks
    """

    def __init__(self, cfg: CfgNode, model: nn.Module | None = None):
        """``model``: trained and ready; without one it is built from ``cfg`` and MODEL.WEIGHTS is loaded.

        Raises:
            ConfigError, DataError: ``cfg`` or its weights cannot be used.
        """
        self.cfg = cfg
        self.model = load_model(cfg) if model is None else model
        self.model.eval()
        if hasattr(self.model, "mask_format"):
            self.model.mask_format = "rle"

    def __call__(self, image: np.ndarray) -> Instances:
        """Instances of one picture H,W,3 uint8 BGR, on its own size: ``pred_boxes`` x1,y1,x2,y2, ``scores``,
        ``pred_classes``, ``pred_masks`` (RLEMasks), on the CPU."""
        return self.predict([image])[0]

    def predict(self, images: Sequence[np.ndarray]) -> list[Instances]:
        """Instances of several pictures in one forward pass.

        Pictures of different sizes are padded to a common one, as Detectron2 does; what the outermost pixels of the smaller ones see
        is then not quite what they see alone.
        """
        batch = [self.prepare(image) for image in images]
        if not batch:
            return []
        with torch.inference_mode():
            return [to_cpu(output["instances"]) for output in self.model(batch)]

    def prepare(self, image: np.ndarray) -> dict:
        """The model's input for one picture: resized, in INPUT.FORMAT, C,H,W uint8."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise DataError(
                f"a picture to predict on is H,W,3 uint8 BGR, not {'x'.join(map(str, image.shape))} {image.dtype}"
            )
        height, width = image.shape[:2]
        resized = test_chain(self.cfg, (height, width)).image(Image.fromarray(image[:, :, ::-1]))
        return {
            "image": to_tensor(resized, self.cfg.INPUT.FORMAT),
            "height": height,
            "width": width,
        }


def load_model(cfg: CfgNode) -> nn.Module:
    """The model of ``cfg`` with MODEL.WEIGHTS loaded.

    Raises:
        ConfigError: MODEL.WEIGHTS is empty: a random model predicts nothing.
    """
    if not cfg.MODEL.WEIGHTS:
        raise ConfigError(
            "MODEL.WEIGHTS is empty: name a trained model, e.g. MODEL.WEIGHTS output/model_final.pth"
        )
    model = build_model(cfg)
    load_weights(model, cfg.MODEL.WEIGHTS, cfg)
    return model
