"""One image in, Detectron2's output dict out: what its DefaultPredictor does, for one image or a batch."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from fvcore.common.config import CfgNode
from PIL import Image
from torch import nn

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.data.augment import test_chain
from bdd_inst.engines import build_model
from bdd_inst.images.read import read_image, to_tensor, upright
from bdd_inst.inference.dataset import predict_batch
from bdd_inst.weights.trained import as_cfg, load_trained, read_identity

# An image to predict on: H,W,3 uint8 BGR (as cv2.imread gives it), a path, or PIL's.
ImageLike = np.ndarray | str | os.PathLike | Image.Image


class Predictor:
    """Holds a model in evaluation mode and prepares images for it as the test path of the mapper does.

    Examples:
        >>> predictor = Predictor("output/demo/model_final.pth")
        >>> instances = predictor("street.jpg")["instances"]  # pred_boxes, scores, pred_classes, pred_masks
        >>> [predictor.metadata["thing_classes"][i] for i in instances.pred_classes]

    Attributes:
        cfg: the model's config.
        model: the model itself, in evaluation mode.
        metadata: what class numbers mean, in the catalog's words (``thing_classes``, ``thing_colors``, ...), as the weights say it;
            empty where they say nothing.
        input_format: the order of channels in the arrays that it takes, for tools that ask Detectron2's predictor; always BGR, whatever
            the model's own order.
    """

    input_format = "BGR"

    def __init__(
        self,
        source: CfgNode | str | os.PathLike,
        model: nn.Module | None = None,
        *,
        overrides: Sequence[str] = (),
    ):
        """Build the model and load its weights.

        Args:
            source: a config with MODEL.WEIGHTS set; the name of a config file; or a weight file that this project has written,
                which carries its config.
            model: trained and ready; without one it is built from the config and MODEL.WEIGHTS is loaded.
            overrides: alternating config keys and values.

        Raises:
            ConfigError, DataError: the config or the weights cannot be used.
        """
        self.cfg = as_cfg(source, overrides)
        self.metadata: dict = {}
        if model is None:
            model = load_model(self.cfg)
            identity = read_identity(self.cfg.MODEL.WEIGHTS)
            self.metadata = identity.metadata if identity else {}
        self.model = model.eval()

    def __call__(self, image: ImageLike) -> dict:
        """Detectron2's output for one image, on the image's own size and on the CPU.

        Args:
            image: a path, an array H,W,3 uint8 BGR as ``cv2.imread`` gives it, or PIL's image.

        Returns:
            ``instances``: Instances with ``pred_boxes`` x1,y1,x2,y2 in pixels, ``scores``, ``pred_classes``, ``pred_masks`` (RLEMasks,
            which answer ``numpy()`` with N,H,W bool); ``sem_seg``: K,H,W, where the model is pixel-wise.

        Raises:
            DataError: no image.
        """
        return self.predict([image])[0]

    def predict(self, images: Sequence[ImageLike]) -> list[dict]:
        """The outputs for several images in one forward pass.

        Images of different sizes are padded to a common one, as Detectron2 does; what the outermost pixels of the smaller ones see
        is then not quite what they see alone.

        Args:
            images: each as a call takes it.

        Returns:
            an output for each, as a call gives it.

        Raises:
            DataError: one of them is no image.
        """
        batch = [self.prepare(image) for image in images]
        return predict_batch(self.model, batch) if batch else []

    def prepare(self, image: ImageLike) -> dict:
        """The model's input for one image.

        Args:
            image: as a call takes it.

        Returns:
            ``image`` C,H,W uint8, resized, in INPUT.FORMAT; ``height`` and ``width`` of the image itself.

        Raises:
            DataError: no image.
        """
        upright = as_pil(image)
        width, height = upright.size
        resized = test_chain(self.cfg, (height, width)).image(upright)
        return {
            "image": to_tensor(resized, self.cfg.INPUT.FORMAT),
            "height": height,
            "width": width,
        }


def as_pil(image: ImageLike) -> Image.Image:
    """An image in mode RGB, upright.

    Raises:
        DataError: no image, or a file that is none.
    """
    if isinstance(image, str | os.PathLike):
        return read_image(image)
    if isinstance(image, Image.Image):
        return upright(image)
    if not isinstance(image, np.ndarray):
        raise DataError(
            f"an image to predict on is H,W,3 uint8 BGR, a path or PIL's, not {type(image).__name__}"
            + (": was the file not found by cv2.imread?" if image is None else "")
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise DataError(
            f"an image to predict on is H,W,3 uint8 BGR, not {'x'.join(map(str, image.shape))} {image.dtype}"
        )
    return Image.fromarray(image[:, :, ::-1])


def load_model(cfg: CfgNode) -> nn.Module:
    """The model of ``cfg`` with MODEL.WEIGHTS loaded, all of it.

    Args:
        cfg: a whole config.

    Returns:
        the model on MODEL.DEVICE, in training mode.

    Raises:
        ConfigError: MODEL.WEIGHTS is empty, or of another number of classes: a random model predicts nothing.
        DataError: the file holds only a part of the model.
    """
    if not cfg.MODEL.WEIGHTS:
        raise ConfigError(
            "MODEL.WEIGHTS is empty: name a trained model, e.g. MODEL.WEIGHTS output/model_final.pth"
        )
    model = build_model(cfg)
    load_trained(model, cfg.MODEL.WEIGHTS, cfg)
    return model
