"""The predictor, image file to masks, against what Detectron2 computed; alone and in a batch."""

from __future__ import annotations

import numpy as np
import pycocotools.mask as coco_mask
import pytest

from bdd_inst.inference.predictor import Predictor
from bdd_inst.inference.sources import open_source
from bdd_inst.weights.checkpoint import save_weights
from tests.parity.test_model import (
    BOX,
    FOLDER,
    PIXELS,
    SCORE,
    VARIANTS,
    build,
    config,
    expected,
    paired,
)


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request):
    return request.param


@pytest.fixture(scope="module")
def predictor(variant, tmp_path_factory):
    """By way of a checkpoint file, as a user has it."""
    path = tmp_path_factory.mktemp("weights") / "model_final.pth"
    save_weights(build(variant), path)
    cfg = config(variant)
    cfg.MODEL.WEIGHTS = str(path)
    return Predictor(cfg)


def images(variant):
    return [next(iter(open_source(FOLDER / variant / f"image{i}.png"))).image for i in (0, 1)]


def test_the_models_input_is_equal(variant, predictor):
    for i, image in enumerate(images(variant)):
        np.testing.assert_array_equal(
            predictor.prepare(image)["image"].permute(1, 2, 0).numpy(),
            expected(variant, i)["resized"],
        )


@pytest.mark.parametrize("together", [False, True])
def test_detections_on_the_original_image(variant, predictor, together):
    for i, image in enumerate(images(variant)):
        # A batch of one size: among larger images the padding is seen by the outermost pixels, in Detectron2 as well.
        got = predictor.predict([image, image])[1] if together else predictor(image)
        got = got["instances"]
        want = expected(variant, i)
        rows = paired(got, want["boxes"], want["classes"])
        assert np.abs(got.pred_boxes.tensor[rows].numpy() - want["boxes"]).max() < BOX
        assert np.abs(got.scores[rows].numpy() - want["scores"]).max() < SCORE
        size = [int(side) for side in want["mask_size"]]
        masks = got.pred_masks[rows].decode().numpy()
        for mask, counts in zip(masks, want["mask_rle_counts"], strict=True):
            assert (
                mask != coco_mask.decode({"size": size, "counts": str(counts)}).astype(bool)
            ).sum() <= PIXELS
