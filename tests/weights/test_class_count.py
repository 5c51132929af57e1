"""Weights of another number of classes, or of a backbone alone, predict nothing: both numbers are told."""

from __future__ import annotations

import pytest
import torch

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.config.loading import get_cfg
from bdd_inst.engines import build_model
from bdd_inst.weights.class_count import describe_class_counts
from bdd_inst.weights.trained import load_trained


def pixelwise(classes):
    cfg = get_cfg()
    cfg.MODEL.DEVICE, cfg.MODEL.META_ARCHITECTURE = "cpu", "SemanticSegmentor"
    cfg.MODEL.SEM_SEG_HEAD.NAME, cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES = "FastSCNN", classes
    cfg.MODEL.BACKBONE.FREEZE_AT = 0
    return cfg


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Of a pixel-wise model of three classes, whole and its backbone alone."""
    folder = tmp_path_factory.mktemp("weights")
    state = build_model(pixelwise(3)).state_dict()
    torch.save({"model": state}, folder / "whole.pth")
    part = {name: value for name, value in state.items() if name.startswith("backbone.")}
    torch.save({"model": part}, folder / "backbone.pth")
    return folder


def test_pixelwise_weights_of_another_number_of_classes(weights):
    cfg = pixelwise(5)
    with pytest.raises(ConfigError) as caught:
        load_trained(build_model(cfg), weights / "whole.pth", cfg)
    told = "trained for 3 classes, the config has 5: set MODEL.SEM_SEG_HEAD.NUM_CLASSES 3"
    assert told in str(caught.value)


def test_a_pixelwise_backbone_alone(weights):
    cfg = pixelwise(3)
    model = build_model(cfg)
    number = len(list(model.parameters()))
    with pytest.raises(DataError, match=rf"\d+ of the model's {number} parameters are not in"):
        load_trained(model, weights / "backbone.pth", cfg)
    load_trained(model, weights / "whole.pth", cfg)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            ["roi_heads.box_predictor.cls_score.weight (9x32 in the file, 4x32 here)"],
            "trained for 8 classes, the config has 3: set MODEL.ROI_HEADS.NUM_CLASSES 8",
        ),
        (
            [
                "roi_heads.box_predictor.1.cls_score.bias (9 in the file, 4 here)",
                "sem_seg_head.predictor.weight (2x8x1x1 in the file, 54x8x1x1 here)",
            ],
            "the config has 3: set MODEL.ROI_HEADS.NUM_CLASSES 8; trained for 2 classes, the config has 54: set "
            "MODEL.SEM_SEG_HEAD.NUM_CLASSES 2",
        ),
        (
            ["roi_heads.mask_head.predictor.bias (1 in the file, 3 here)"],
            "layers of other sizes: roi_heads.mask_head.predictor.bias (1 in the file, 3 here)",
        ),
    ],
)
def test_both_numbers_and_the_key_are_told(lines, told):
    assert told in describe_class_counts(lines)
