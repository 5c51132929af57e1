"""The configs of Detectron2's new baselines: the parameters that its files hold, and a build that predicts."""

from __future__ import annotations

import pytest
import torch

from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model

# Of those files: every parameter and statistic but the pixels' mean and deviation and the counters of batches.
TENSORS = {"bdd_maskrcnn_lsj.yaml": 363, "bdd_maskrcnn_R101_lsj.yaml": 618}
HEADS = {
    "proposal_generator.rpn_head.conv.conv0.weight": (256, 256, 3, 3),
    "proposal_generator.rpn_head.conv.conv1.bias": (256,),
    "roi_heads.box_head.conv4.norm.running_var": (256,),
    "roi_heads.box_head.fc1.weight": (1024, 12544),
    "roi_heads.mask_head.mask_fcn4.norm.weight": (256,),
    "backbone.fpn_output5.norm.running_mean": (256,),
    "backbone.bottom_up.stem.conv1.norm.weight": (64,),
}


@pytest.mark.parametrize("name", TENSORS)
def test_the_parameters_are_those_of_the_published_files(name):
    model = build_model(load_cfg(name, ["MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", ""])).eval()
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    known = [
        key for key in shapes if "num_batches_tracked" not in key and not key.startswith("pixel_")
    ]
    assert len(known) == TENSORS[name]
    assert {key: shapes.get(key) for key in HEADS} == HEADS
    assert "roi_heads.box_head.fc2.weight" not in shapes
    assert "roi_heads.box_head.conv1.bias" not in shapes
    with torch.no_grad():
        (out,) = model([{"image": torch.zeros(3, 64, 96, dtype=torch.uint8)}])
    assert out["instances"].image_size == (64, 96)
