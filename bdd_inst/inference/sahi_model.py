"""A trained model as one of sahi's, which predicts on large images in overlapping slices (package sahi, not installed with this one).

>>> from sahi.predict import get_sliced_prediction
>>> from bdd_inst.inference.sahi_model import SahiModel
>>> get_sliced_prediction("aerial.jpg", SahiModel("model_final.pth"), slice_height=640, slice_width=640)
"""

from __future__ import annotations

import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.inference.predictor import Predictor
from bdd_inst.inference.results import OutputClasses

try:
    from sahi.models.base import DetectionModel
    from sahi.prediction import ObjectPrediction
    from sahi.utils.cv import get_coco_segmentation_from_bool_mask
except ImportError:
    raise DataError("sliced prediction needs the package sahi: pip install sahi") from None


class SahiModel(DetectionModel):
    """sahi's detection model around a :class:`Predictor`.

    Categories are the model's class indices, from 0; their names are those of the weights unless ``category_mapping`` says others.
    """

    def __init__(self, model_path: str | None = None, **options: object):
        """
        Args:
            model_path: a weight file that carries its config, or the name of a config with MODEL.WEIGHTS.
            options: sahi's own, e.g. ``model`` (a Predictor, ready), ``confidence_threshold``, ``device``, ``category_mapping``.

        Raises:
            ConfigError, DataError: the weights cannot be used.
        """
        super().__init__(model_path=model_path, **options)

    def load_model(self) -> None:
        """Build the predictor on ``device``."""
        overrides = ["MODEL.DEVICE", str(self.device)]
        if self.image_size is not None:
            size = str(self.image_size)
            overrides += ["INPUT.MIN_SIZE_TEST", size, "INPUT.MAX_SIZE_TEST", size]
        self.set_model(Predictor(self.model_path, overrides=overrides))

    def set_model(self, model: Predictor, **options: object) -> None:
        """Take a predictor that is ready."""
        self.model = model
        if self.category_mapping is None:
            names = OutputClasses.of(model.cfg, model.metadata).names
            self.category_mapping = {str(index): name for index, name in enumerate(names)}

    def perform_inference(self, image: np.ndarray) -> None:
        """Predict on H,W,3 uint8 RGB, as sahi reads images."""
        self._original_predictions = [self.model(image[:, :, ::-1])]

    @property
    def num_categories(self) -> int:
        return len(self.category_mapping)

    @property
    def category_names(self) -> list[str]:
        return list(self.category_mapping.values())

    def _create_object_prediction_list_from_original_predictions(
        self,
        shift_amount_list: list | None = None,
        full_shape_list: list | None = None,
    ) -> None:
        """What sahi asks for: a list of ObjectPrediction an image, where the slice lies in the whole image said with each."""
        number = len(self._original_predictions)
        shifts = _one_each(shift_amount_list or [[0, 0]], number)
        shapes = _one_each(full_shape_list or [None], number)
        self._object_prediction_list_per_image = [
            self._objects(output["instances"], shift, shape)
            for output, shift, shape in zip(self._original_predictions, shifts, shapes, strict=True)
        ]

    def _objects(self, instances, shift: list[int], shape: list[int] | None) -> list:
        instances = instances[instances.scores >= self.confidence_threshold]
        masks = [None] * len(instances)
        if instances.has("pred_masks"):
            masks = [_polygons(mask) for mask in instances.pred_masks.numpy()]
        fields = instances.pred_boxes.tensor, instances.scores, instances.pred_classes
        rows = zip(*(field.tolist() for field in fields), masks, strict=True)
        return [
            ObjectPrediction(
                bbox=box if polygons is None else None,
                segmentation=polygons,
                category_id=index,
                category_name=self.category_mapping[str(index)],
                score=score,
                shift_amount=shift,
                full_shape=shape,
            )
            for box, score, index, polygons in rows
            if polygons is None or polygons
        ]


def _polygons(mask: np.ndarray) -> list[list[float]]:
    """H,W bool as sahi keeps masks; empty where no outline has an area."""
    return get_coco_segmentation_from_bool_mask(mask)


def _one_each(values: list, number: int) -> list:
    """A value for each image; sahi gives one alone, too, without the list around it."""
    if values and isinstance(values[0], (int, float)):
        values = [values]
    return values if len(values) == number else values * number
