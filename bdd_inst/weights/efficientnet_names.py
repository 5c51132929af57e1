"""Names of efficientnet-pytorch's tensors (``_blocks.5._project_conv.weight``) turned into timm's (``blocks.3.0.conv_pwl.weight``)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_TOP = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
# A block that widens first, and one that does not (depthwise-separable, the first stage).
_WIDENING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_SEPARABLE = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}


def is_efficientnet_pytorch(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the tensors, of any shape and dtype, of an EfficientNet by that library's names."""
    return "_conv_stem.weight" in state and "_blocks.0._project_conv.weight" in state


def timm_names(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Each name of ``state`` (tensors of any shape and dtype) -> timm's; what is not part of such a network keeps its name.

    Blocks are counted through there and by stage in timm: a stage begins where the width that blocks put out changes.
    """
    places, stage, place, width = {}, -1, 0, None
    for number in sorted(
        int(m[1])
        for m in (re.fullmatch(r"_blocks\.(\d+)\._project_conv\.weight", n) for n in state)
        if m
    ):
        own = len(state[f"_blocks.{number}._project_conv.weight"])
        # Two stages of equal width would count as one; no EfficientNet has them next to each other.
        stage, place = (stage, place + 1) if own == width else (stage + 1, 0)
        width, places[number] = own, f"blocks.{stage}.{place}"
    out = {}
    for name in state:
        block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(.+)", name)
        if block and int(block[1]) in places:
            number = int(block[1])
            widening = f"_blocks.{number}._expand_conv.weight" in state
            layer = (_WIDENING if widening else _SEPARABLE).get(block[2])
            out[name] = f"{places[number]}.{layer}.{block[3]}" if layer else name
        else:
            layer, _, end = name.partition(".")
            out[name] = f"{_TOP[layer]}.{end}" if layer in _TOP else name
    return out
