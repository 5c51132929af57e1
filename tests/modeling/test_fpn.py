"""The pyramid's top-down sum."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from bdd_inst.modeling.backbones.fpn import add_doubled


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("grad", [False, True])
def test_adds_every_pixel_twice_each_way(layout, grad):
    fine, coarse = torch.randn(2, 3, 6, 8), torch.randn(2, 3, 3, 4)
    want = fine + F.interpolate(coarse, scale_factor=2.0, mode="nearest")
    got = add_doubled(
        fine.contiguous(memory_format=layout).clone(),
        coarse.contiguous(memory_format=layout).requires_grad_(grad),
    )
    assert torch.equal(got, want)
    assert got.requires_grad == grad
