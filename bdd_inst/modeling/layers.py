"""Convolution and linear layers that carry their norm and ReLU, and fold them together where nothing is lost.

A folded weight is a derived value: it is kept outside the state dict and rebuilt when any tensor it came from changes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bdd_inst.modeling.norms import is_affine, scale_and_shift


class Derived:
    """A value computed from tensors, kept until one of them changes (in place, by assignment, or by moving)."""

    def __init__(self) -> None:
        self.key, self.value = None, None

    def get(self, sources: list[Tensor], variant: object, build: Callable[[], object]) -> object:
        """``build()``, or what it gave last time for the same state of ``sources`` and the same ``variant``."""
        key = (variant, *((id(s), s.data_ptr(), 0 if s.is_inference() else s._version) for s in sources))
        if key != self.key:
            with torch.no_grad():
                self.value = build()
            self.key = key
        return self.value

    def clear(self) -> None:
        self.key, self.value = None, None

    def __deepcopy__(self, memo: dict) -> Derived:
        return Derived()

    def __reduce__(self) -> tuple:
        return Derived, ()


class _Deriving:
    """Mixin: holds one Derived and drops it whenever the mode changes or weights are loaded.

    Tensor versions do not count writes through ``.data``; training code that writes so switches the mode around it.
    """

    def train(self, mode: bool = True):
        self.derived.clear()
        return super().train(mode)

    def _load_from_state_dict(self, *args, **kwargs):
        self.derived.clear()
        return super()._load_from_state_dict(*args, **kwargs)


class Conv2d(_Deriving, nn.Conv2d):
    """Convolution, then norm, then the sum with a residual, then ReLU; the parameters are ``weight``, ``bias``, ``norm.*``."""

    def __init__(self, *args, norm: nn.Module | None = None, relu: bool = False, **kwargs):
        super().__init__(*args, **kwargs)
        self.norm, self.relu, self.derived = norm, relu, Derived()

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """N,C,H,W to N,C',H',W'; ``residual`` has the shape of the result."""
        if self.norm is None or is_affine(self.norm):
            out = self._conv_forward(x, *self._folded(x.dtype))
        else:
            out = apply_norm(self.norm, self._conv_forward(x, cast(self.weight, x), cast(self.bias, x)))
        if residual is not None:
            out = out.add_(residual)
        return F.relu_(out) if self.relu else out

    def _folded(self, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        """Weight and bias that include the norm, in ``dtype``; differentiable while any of them is being trained."""
        sources = [t for t in (self.weight, self.bias) if t is not None]
        if self.norm is not None:
            sources += [self.norm.weight, self.norm.bias, self.norm.running_mean, self.norm.running_var]
        if torch.is_grad_enabled() and any(s.requires_grad for s in sources):
            return self._fold(self.weight.dtype)
        if self.norm is None and dtype == self.weight.dtype:
            return self.weight, self.bias
        return self.derived.get(sources, dtype, lambda: self._fold(dtype))

    def _fold(self, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        weight, bias = self.weight, self.bias
        if self.norm is not None:
            scale, shift = scale_and_shift(self.norm)
            weight = weight * scale[:, None, None, None]
            bias = shift if bias is None else bias * scale + shift
        return weight.to(dtype), None if bias is None else bias.to(dtype)


class ConvTranspose2d(_Deriving, nn.ConvTranspose2d):
    """torch's, computing in the precision of its input."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.derived = Derived()

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = in_precision(self, x)
        return F.conv_transpose2d(x, weight, bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation)


class Linear(_Deriving, nn.Linear):
    """torch's, computing in the precision of its input."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.derived = Derived()

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, *in_precision(self, x))


def in_precision(layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias of ``layer`` in the precision of ``x``, converted once where they are not being trained."""
    if x.dtype == layer.weight.dtype or torch.is_autocast_enabled(x.device.type):
        return layer.weight, layer.bias
    if torch.is_grad_enabled() and layer.weight.requires_grad:
        return cast(layer.weight, x), cast(layer.bias, x)
    sources = [layer.weight, layer.bias]
    return layer.derived.get(sources, x.dtype, lambda: (layer.weight.to(x.dtype), layer.bias.to(x.dtype)))


def cast(tensor: Tensor | None, x: Tensor) -> Tensor | None:
    """``tensor`` in the precision of ``x``; autocast does its own casting."""
    if tensor is None or tensor.dtype == x.dtype or torch.is_autocast_enabled(x.device.type):
        return tensor
    return tensor.to(x.dtype)


def apply_norm(norm: nn.Module, x: Tensor) -> Tensor:
    """A norm whose parameters may be of a higher precision than ``x``."""
    if isinstance(norm, nn.GroupNorm):
        return F.group_norm(x, norm.num_groups, cast(norm.weight, x), cast(norm.bias, x), norm.eps)
    return norm(x)
