"""Deformable convolution: what offsets and weights of the taps do, how it begins, gradients, half precision, in a whole model."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from bdd_inst.modeling.backbones.resnet import DeformBottleneckBlock
from bdd_inst.modeling.layers.deform_conv import DeformConv2d
from tests.modeling.small import batch, model


def layer(groups: int = 1) -> DeformConv2d:
    torch.manual_seed(0)
    conv = DeformConv2d(4, 6, stride=1, dilation=1, groups=groups, norm=None)
    torch.nn.init.normal_(conv.weight)
    return conv


def test_without_offsets_it_is_a_convolution():
    conv, x = layer(groups=2), torch.randn(2, 4, 7, 9)
    plain = F.relu(F.conv2d(x, conv.weight, padding=1, groups=2))
    torch.testing.assert_close(conv(x, torch.zeros(2, 18, 7, 9)), plain)


def test_offsets_say_down_then_right_for_every_tap():
    conv, x = layer(), torch.randn(1, 4, 8, 8)
    offset = torch.zeros(1, 9, 2, 8, 8)
    offset[:, :, 0], offset[:, :, 1] = 1, 2
    moved = F.pad(x, (0, 2, 0, 1))[:, :, 1:, 2:]
    torch.testing.assert_close(
        conv(x, offset.view(1, 18, 8, 8))[..., 1:, 1:],
        conv(moved, torch.zeros(1, 18, 8, 8))[..., 1:, 1:],
    )


def test_weights_of_the_taps_scale_what_they_read():
    conv, x = layer(), torch.randn(1, 4, 5, 5)
    none = torch.zeros(1, 18, 5, 5)
    torch.testing.assert_close(conv(x, none, torch.full((1, 9, 5, 5), 0.25)), conv(x, none) / 4)


@pytest.mark.parametrize("modulated", [False, True])
def test_a_block_begins_at_the_usual_places(modulated):
    torch.manual_seed(1)
    block = DeformBottleneckBlock(
        16, 16, "FrozenBN", 1,
        width=8, groups=1, stride_in_1x1=True, dilation=1, offset_groups=2, modulated=modulated,
    )  # fmt: skip
    assert block.conv2_offset.weight.shape[0] == (54 if modulated else 36)
    x = torch.randn(1, 16, 6, 6, requires_grad=True)
    out = block(x)
    hidden = F.conv2d(block.conv1(x), block.conv2.weight, padding=1) * (0.5 if modulated else 1)
    torch.testing.assert_close(out, block.conv3(F.relu(hidden), residual=x), rtol=1e-4, atol=1e-4)
    out.sum().backward()
    assert block.conv2_offset.weight.grad.abs().max() > 0
    assert block.conv2.weight.grad.abs().max() > 0


def test_half_precision_goes_in_and_comes_out():
    conv, x = layer(), torch.randn(1, 4, 6, 6)
    offset = torch.randn(1, 18, 6, 6)
    low = conv(x.bfloat16(), offset.bfloat16())
    assert low.dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(x, offset).dtype == torch.float32
    torch.testing.assert_close(low.float(), conv(x, offset), rtol=0.1, atol=0.1)


def test_a_whole_model_trains_and_detects():
    keys = {
        "MODEL.RESNETS.DEFORM_ON_PER_STAGE": [False, True, False, True],
        "MODEL.RESNETS.DEFORM_MODULATED": True,
    }
    net = model(keys=keys)
    names = {name for name, _ in net.named_parameters()}
    assert {
        f"backbone.bottom_up.res3.0.{part}"
        for part in ("conv2.weight", "conv2_offset.weight", "conv2_offset.bias")
    } <= names
    assert "backbone.bottom_up.res4.0.conv2_offset.weight" not in names
    sum(net.train()(batch()).values()).backward()
    assert net.backbone.bottom_up.res5[0].conv2_offset.bias.grad is not None
    assert not net.channels_last
    assert net.eval()(batch())[0]["instances"].has("pred_masks")
