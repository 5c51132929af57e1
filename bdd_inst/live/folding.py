"""Batch norms folded into the convolutions before them: the same function with a third of the layers, and one that exports."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from bdd_inst.modeling.layers import convolution
from bdd_inst.modeling.layers.norms import is_affine, scale_and_shift


def folded(model: nn.Module, *example: Tensor) -> nn.Module:
    """A copy of ``model``, in evaluation mode, whose fixed norms are part of their convolutions.

    Args:
        model: in evaluation mode; is not changed.
        example: what it is called with, to see which norm follows which convolution.

    Returns:
        A model that gives the same up to rounding.
    """
    out = copy.deepcopy(model)
    for parameter in out.parameters():
        parameter.requires_grad_(False)
    for module in out.modules():
        if isinstance(module, convolution.Conv2d) and module.norm is not None:
            _fold_own(module)
    for conv, (parent, name, norm) in _pairs(out, example):
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps,
            norm.weight, norm.bias,
        )  # fmt: skip
        # timm's norm carries its activation.
        setattr(parent, name, getattr(norm, "act", nn.Identity()))
    return out


def _fold_own(conv: convolution.Conv2d) -> None:
    """The project's own layer holds its norm itself."""
    with torch.no_grad():
        if not is_affine(conv.norm):
            return
        scale, shift = scale_and_shift(conv.norm)
        bias = shift if conv.bias is None else conv.bias * scale + shift
        conv.weight = nn.Parameter(conv.weight * scale[:, None, None, None], requires_grad=False)
        conv.bias = nn.Parameter(bias, requires_grad=False)
        conv.norm = None


def _pairs(model: nn.Module, example: tuple[Tensor, ...]) -> list[tuple]:
    """(convolution, (parent, name, norm)) where a norm's input is what the convolution gave, seen in one run."""
    made: dict[
        int, tuple[nn.Module, Tensor]
    ] = {}  # the tensors are kept, so that no id is used twice
    found, uses = [], {}

    def after_conv(module: nn.Module, _: object, out: Tensor) -> None:
        made[id(out)] = module, out
        uses[module] = uses.get(module, 0) + 1

    def before_norm(parent: nn.Module, name: str, norm: nn.Module, x: Tensor) -> None:
        if id(x) in made:
            found.append((made[id(x)][0], (parent, name, norm)))

    hooks = []
    for parent in model.modules():
        for name, module in parent.named_children():
            if isinstance(module, nn.Conv2d) and not isinstance(module, convolution.Conv2d):
                hooks.append(module.register_forward_hook(after_conv))
            elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
                hooks.append(
                    module.register_forward_pre_hook(
                        lambda norm, args, p=parent, n=name: before_norm(p, n, norm, args[0])
                    )
                )
    with torch.inference_mode():
        model(*example)
    for hook in hooks:
        hook.remove()
    return [(conv, norm) for conv, norm in found if uses[conv] == 1]
