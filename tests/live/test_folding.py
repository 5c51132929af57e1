"""Folding: fewer layers, the same function, the model itself untouched."""

from __future__ import annotations

import timm
import torch
from torch import nn

from bdd_inst.live.folding import folded
from bdd_inst.modeling.backbones.fast_scnn import separable


def moved(model: nn.Module) -> nn.Module:
    """Statistics and scales that are not those of a fresh norm."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                tensor.data = torch.rand(tensor.shape, generator=generator) + 0.5
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def check(model: nn.Module, left: int = 0) -> None:
    image = torch.rand(1, 3, 33, 47, generator=torch.Generator().manual_seed(1))
    before, count = {n: t.clone() for n, t in model.state_dict().items()}, norms(model)
    lean = folded(model, image)
    with torch.inference_mode():
        right = model(image)
        torch.testing.assert_close(lean(image), right, rtol=1e-3, atol=1e-4 * right.abs().max())
    assert norms(lean) == left
    assert norms(model) == count > left
    assert all(t.equal(before[n]) for n, t in model.state_dict().items())


def test_the_projects_own_layers():
    check(moved(nn.Sequential(separable(3, 8, 2), separable(8, 16))))


def test_norms_that_carry_their_activation():
    model = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(0, 1))
    check(moved(nn.Sequential(model, _Last())))


class _Last(nn.Module):
    def forward(self, maps):
        return maps[-1]


def test_a_norm_stays_where_its_convolution_is_used_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

        def forward(self, x):
            return self.norm(self.conv(self.conv(x)))

    check(moved(nn.Sequential(Twice(), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))), left=1)
