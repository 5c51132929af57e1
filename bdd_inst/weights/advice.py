"""Config keys that do not suit a weight file: pixel mean, channel order, where the stride sits. Wrong ones cost AP in silence."""

from __future__ import annotations

from fvcore.common.config import CfgNode

from bdd_inst.modeling.backbones.smp_encoder import timm_name
from bdd_inst.modeling.backbones.timm_backbone import preprocessing
from bdd_inst.weights.names import NamedWeights

RGB_MEAN, RGB_STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]  # ImageNet, on 0..255


def advice(cfg: CfgNode, weights: NamedWeights) -> list[str]:
    """One line for each key that contradicts what the weights were trained with; empty where they agree.

    MSRA/Caffe2 backbones take BGR with PIXEL_STD 1 and, for plain ResNets, the stride in the first 1x1 convolution;
    torchvision's take RGB with ImageNet's mean and deviation and the stride in the 3x3; timm's take what timm says of the model.
    """
    if weights.kind.startswith("torchvision"):
        expected = [
            ("INPUT.FORMAT", cfg.INPUT.FORMAT, "RGB"),
            ("MODEL.PIXEL_MEAN", cfg.MODEL.PIXEL_MEAN, RGB_MEAN),
            ("MODEL.PIXEL_STD", cfg.MODEL.PIXEL_STD, RGB_STD),
            ("MODEL.RESNETS.STRIDE_IN_1X1", cfg.MODEL.RESNETS.STRIDE_IN_1X1, False),
        ]
    elif weights.kind == "timm":
        # efficientnet-pytorch's Lite models saw pixels from -1 to 1; timm's model of that name states other numbers.
        half = [127.5] * 3
        mean, std = (half, half) if _is_lite(weights) else preprocessing(_timm_model(cfg))
        expected = [
            ("INPUT.FORMAT", cfg.INPUT.FORMAT, "RGB"),
            ("MODEL.PIXEL_MEAN", cfg.MODEL.PIXEL_MEAN, [round(v, 3) for v in mean]),
            ("MODEL.PIXEL_STD", cfg.MODEL.PIXEL_STD, [round(v, 3) for v in std]),
        ]
    elif weights.kind == "caffe2":
        expected = [
            ("INPUT.FORMAT", cfg.INPUT.FORMAT, "BGR"),
            ("MODEL.PIXEL_MEAN", cfg.MODEL.PIXEL_MEAN, RGB_MEAN[::-1]),
        ]
    else:
        return []
    lines = []
    if _is_lite(weights) and not _timm_model(cfg).startswith("tf_"):
        lines.append(
            f"these were trained with TensorFlow's padding and a batch norm eps of 1e-3, as timm's tf_{_timm_model(cfg)} has them "
            f"(the model is {_timm_model(cfg)})"
        )
    wrong = [(key, now, right) for key, now, right in expected if not _same(now, right)]
    return lines + [
        f"these are {weights.kind} weights: set {key} to {right} (it is {now})"
        for key, now, right in wrong
    ]


def _is_lite(weights: NamedWeights) -> bool:
    """Whether these are an EfficientNet-Lite of efficientnet-pytorch: no squeeze and excitation, trained on (x - 127.5) / 127.5."""
    names = set(weights.origin.values())
    return "_conv_stem.weight" in names and not any("._se_reduce." in name for name in names)


def _timm_model(cfg: CfgNode) -> str:
    """The model of timm that a cfg builds its backbone or its encoder from."""
    return timm_name(cfg.MODEL.SEM_SEG_HEAD.ENCODER) or cfg.MODEL.BACKBONE.TIMM_NAME


def _same(now: object, right: object) -> bool:
    if isinstance(right, list):
        # Means are given in several roundings; half a gray level of 255 changes no prediction.
        return len(now) == len(right) and all(abs(a - b) < 0.5 for a, b in zip(now, right))
    return now == right
