"""sahi slices a large image, and this project's model predicts on the slices."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

from bdd_inst.base.errors import DataError
from bdd_inst.config.loading import get_cfg
from bdd_inst.inference.predictor import Predictor
from bdd_inst.structures import Boxes, Instances


class Red(nn.Module):
    """Contract 3 without weights: the box and mask of what is red, with its class 1; nothing where nothing is."""

    def forward(self, batch):
        return [{"instances": self.find(entry)} for entry in batch]

    def find(self, entry):
        size = entry["height"], entry["width"]
        blue, green, red = nn.functional.interpolate(entry["image"][None].float(), size)[0]
        mask = (red > 200) & (blue < 50) & (green < 50)
        ys, xs = np.nonzero(mask.numpy())
        number = int(len(ys) > 0)
        rows = [[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]] if number else []
        return Instances(
            size,
            pred_boxes=Boxes(torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)),
            scores=torch.full((number,), 0.9),
            pred_classes=torch.ones(number, dtype=torch.int64),
            pred_masks=mask[None][:number],
        )


def test_without_sahi_it_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sahi.models.base", None)
    sys.modules.pop("bdd_inst.inference.sahi_model", None)
    with pytest.raises(DataError, match="pip install sahi"):
        import bdd_inst.inference.sahi_model  # noqa: F401


def test_an_object_in_one_slice_comes_back_at_its_place():
    pytest.importorskip("sahi.predict")
    from sahi.predict import get_sliced_prediction

    from bdd_inst.inference.sahi_model import SahiModel

    cfg = get_cfg()
    cfg.merge_from_list(["INPUT.FORMAT", "BGR", "INPUT.MIN_SIZE_TEST", "100"])
    model = SahiModel(
        model=Predictor(cfg, Red()), device="cpu", category_mapping={"0": "car", "1": "lamp"}
    )
    image = np.zeros((200, 300, 3), np.uint8)  # RGB
    image[120:150, 220:260] = [255, 0, 0]
    found = get_sliced_prediction(
        image, model, slice_height=100, slice_width=100, overlap_height_ratio=0.2,
        overlap_width_ratio=0.2, verbose=0,
    ).object_prediction_list  # fmt: skip
    assert [(f.category.id, f.category.name) for f in found] == [(1, "lamp")]
    assert found[0].bbox.to_xyxy() == pytest.approx([220, 120, 260, 150], abs=2)
    assert found[0].mask.bool_mask.sum() == pytest.approx(30 * 40, rel=0.1)
