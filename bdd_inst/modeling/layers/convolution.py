"""Convolution and linear layers that carry their norm and ReLU, and compute in the precision and order of their input.

A converted or folded weight is a derived value: it is kept outside the state dict and rebuilt when what it came from changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from fvcore.nn.weight_init import c2_msra_fill
from torch import Tensor, nn
from torch.nn import functional as F

from bdd_inst.modeling.layers.norms import apply_affine_, get_norm, is_affine, scale_and_shift


class Derived:
    """A value computed from tensors, kept until one of them changes (in place, by assignment, or by moving)."""

    def __init__(self) -> None:
        self.key, self.value = None, None

    def get(self, sources: list[Tensor], variant: object, build: Callable[[], object]) -> object:
        """``build()``, or what it gave last time for the same state of ``sources`` (tensors of any shape and dtype) and the same ``variant``."""
        # A replaced tensor shows in its identity or place, a write in its version. Tensors made under inference mode
        # count no versions, and are not written to in place.
        key = (
            variant,
            *((id(s), s.data_ptr(), 0 if s.is_inference() else s._version) for s in sources),
        )
        if key != self.key:
            with torch.no_grad():
                self.value = build()
            self.key = key
        return self.value

    def clear(self) -> None:
        self.key, self.value = None, None

    def __deepcopy__(self, memo: dict) -> Derived:
        # A copy's weights are other tensors: it derives its own.
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
        """N,C,H,W to N,C',H',W' in the precision of ``x``; ``residual`` has the shape of the result."""
        weight, bias, norm = self._effective(x)
        out = self._conv_forward(x, weight, bias)
        if norm is not None:
            out = apply_affine_(norm, out) if is_affine(norm) else apply_norm(norm, out)
        if residual is not None:
            # In place, for ``out`` is this layer's own and the largest tensor here; the residual is still the caller's.
            out = out.add_(residual)
        return F.relu_(out) if self.relu else out

    def _effective(self, x: Tensor) -> tuple[Tensor, Tensor | None, nn.Module | None]:
        """Weight and bias for ``x``, and the norm still to be applied.

        In float32 the norm stays apart, which rounds as Detectron2 does; in lower precision it is folded in.
        """
        # A weight that learns must stay in the graph: converted anew each time, nothing folded into it.
        if torch.is_autocast_enabled(x.device.type) or (
            torch.is_grad_enabled() and self.weight.requires_grad
        ):
            return cast(self.weight, x), cast(self.bias, x), self.norm
        fold = self.norm is not None and x.dtype != self.weight.dtype and is_affine(self.norm)
        last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        if not fold and not last and x.dtype == self.weight.dtype:
            return self.weight, self.bias, self.norm
        sources = [t for t in (self.weight, self.bias) if t is not None]
        if fold:
            sources += [
                self.norm.weight,
                self.norm.bias,
                self.norm.running_mean,
                self.norm.running_var,
            ]
        weight, bias = self.derived.get(
            sources, (x.dtype, last, fold), lambda: self._derive(x.dtype, last, fold)
        )
        return weight, bias, None if fold else self.norm

    def _derive(self, dtype: torch.dtype, last: bool, fold: bool) -> tuple[Tensor, Tensor | None]:
        """Weight and bias in the precision and memory order of the input, with the norm folded in if ``fold``."""
        weight, bias = self.weight, self.bias
        if fold:
            scale, shift = scale_and_shift(self.norm)
            # conv(x, w) * scale + shift = conv(x, w * scale) + shift, channel by channel of the output.
            weight = weight * scale[:, None, None, None]
            bias = shift if bias is None else bias * scale + shift
        layout = torch.channels_last if last else torch.contiguous_format
        return weight.to(dtype).contiguous(memory_format=layout), None if bias is None else bias.to(
            dtype
        )


class ConvTranspose2d(_Deriving, nn.ConvTranspose2d):
    """torch's, computing in the precision of its input."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.derived = Derived()

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W to N,C',H',W' as torch's, in the precision of ``x``."""
        weight, bias = in_precision(self, x)
        return F.conv_transpose2d(
            x,
            weight,
            bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )


class Linear(_Deriving, nn.Linear):
    """torch's, computing in the precision of its input."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.derived = Derived()

    def forward(self, x: Tensor) -> Tensor:
        """R,C to R,C', in the precision of ``x``."""
        return F.linear(x, *in_precision(self, x))


def in_precision(layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias of ``layer``, of any shape, in the precision of ``x``, converted once where they are not being trained."""
    if x.dtype == layer.weight.dtype or torch.is_autocast_enabled(x.device.type):
        return layer.weight, layer.bias
    if torch.is_grad_enabled() and layer.weight.requires_grad:
        return cast(layer.weight, x), cast(layer.bias, x)
    sources = [layer.weight, layer.bias]
    return layer.derived.get(
        sources, x.dtype, lambda: (layer.weight.to(x.dtype), layer.bias.to(x.dtype))
    )


def cast(tensor: Tensor | None, x: Tensor) -> Tensor | None:
    """``tensor``, of any shape, in the precision of ``x``; autocast does its own casting."""
    if tensor is None or tensor.dtype == x.dtype or torch.is_autocast_enabled(x.device.type):
        return tensor
    return tensor.to(x.dtype)


def apply_norm(norm: nn.Module, x: Tensor) -> Tensor:
    """A norm whose parameters may be of a higher precision than ``x``; N,C,H,W in either memory order, which the
    result keeps, with the dtype."""
    if not isinstance(norm, nn.GroupNorm):
        return norm(x)
    # Where the channels come last, torch sums a group less exactly, which float32 would show.
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    exact = last and x.dtype == torch.float32
    given = x.contiguous() if exact else x
    out = F.group_norm(given, norm.num_groups, cast(norm.weight, x), cast(norm.bias, x), norm.eps)
    return out.contiguous(memory_format=torch.channels_last) if exact else out


def add_convs(
    module: nn.Module, names: Sequence[str], channels: int, width: int, norm: str = ""
) -> int:
    """Give a head its row of 3x3 convolutions with ReLU, for maps N,C,H,W of unchanged H and W.

    Args:
        module: takes them as submodules.
        names: one for each.
        channels: C of the first one's input.
        width: C of what each gives.
        norm: a name of MODEL.ROI_BOX_HEAD.NORM; with one the convolutions have no bias.

    Returns:
        C of the last one's output, ``channels`` where there is none.
    """
    for name in names:
        conv = Conv2d(
            channels, width, 3, padding=1, bias=not norm, norm=get_norm(norm, width), relu=True
        )
        c2_msra_fill(conv)
        module.add_module(name, conv)
        channels = width
    return channels
