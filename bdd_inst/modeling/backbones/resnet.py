"""ResNet and ResNeXt (He et al. 2015, Xie et al. 2016) in Detectron2's layout: ``stem``, ``res2`` ... ``res5``.

Maps are of the precision of the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from fvcore.common.config import CfgNode
from fvcore.nn.weight_init import c2_msra_fill
from torch import Tensor, nn
from torch.nn import functional as F

from bdd_inst.modeling.layers.convolution import Conv2d
from bdd_inst.modeling.layers.deform_conv import DeformConv2d, Offsets
from bdd_inst.modeling.layers.norms import get_norm

BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
STAGES = ("res2", "res3", "res4", "res5")


def norm_conv(
    norm: str, inputs: int, outputs: int, kernel: int, *, relu: bool = True, **kwargs
) -> Conv2d:
    """A convolution without bias, its norm, its ReLU; filled as Kaiming He's rule for ReLU layers has it."""
    conv = Conv2d(
        inputs,
        outputs,
        kernel,
        padding=kwargs.pop("padding", kernel // 2),
        bias=False,
        norm=get_norm(norm, outputs),
        relu=relu,
        **kwargs,
    )
    c2_msra_fill(conv)
    return conv


class BasicStem(nn.Module):
    """7x7 convolution of stride 2, then 3x3 max pooling of stride 2: N,3,H,W to N,C,H/4,W/4."""

    def __init__(self, channels: int, norm: str):
        super().__init__()
        self.conv1 = norm_conv(norm, 3, channels, 7, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """N,3,H,W to N,C,H/4,W/4."""
        return F.max_pool2d(self.conv1(x), 3, 2, 1)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (depths 18 and 34)."""

    def __init__(self, inputs: int, outputs: int, norm: str, stride: int):
        super().__init__()
        self.shortcut = (
            norm_conv(norm, inputs, outputs, 1, stride=stride, relu=False)
            if inputs != outputs
            else None
        )
        self.conv1 = norm_conv(norm, inputs, outputs, 3, stride=stride)
        self.conv2 = norm_conv(norm, outputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W to N,C',H/stride,W/stride."""
        return self.conv2(self.conv1(x), residual=x if self.shortcut is None else self.shortcut(x))


class BottleneckBlock(nn.Module):
    """1x1, 3x3 (grouped for ResNeXt), 1x1 convolutions and a shortcut (depth 50 and above)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        norm: str,
        stride: int,
        *,
        width: int,
        groups: int,
        stride_in_1x1: bool,
        dilation: int,
    ):
        super().__init__()
        self.shortcut = (
            norm_conv(norm, inputs, outputs, 1, stride=stride, relu=False)
            if inputs != outputs
            else None
        )
        # MSRA's weights halve in the 1x1, torchvision's in the 3x3. Both have the same shapes: the wrong choice
        # loads without a word and predicts badly.
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = norm_conv(norm, inputs, width, 1, stride=first)
        self.conv2 = norm_conv(
            norm, width, width, 3, stride=second, padding=dilation, groups=groups, dilation=dilation
        )
        # Its ReLU comes after the sum with the shortcut.
        self.conv3 = norm_conv(norm, width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W to N,C',H/stride,W/stride."""
        return self.conv3(
            self.conv2(self.conv1(x)), residual=x if self.shortcut is None else self.shortcut(x)
        )


class DeformBottleneckBlock(BottleneckBlock):
    """A bottleneck whose 3x3 convolution is deformable: ``conv2_offset`` says where ``conv2`` reads."""

    def __init__(
        self,
        *shape,
        width: int,
        groups: int,
        dilation: int,
        offset_groups: int,
        modulated: bool,
        **kwargs,
    ):
        super().__init__(*shape, width=width, groups=groups, dilation=dilation, **kwargs)
        # The parent's convolution is replaced: only its stride is taken over.
        plain, (_, _, norm, _) = self.conv2, shape
        stride = plain.stride[0]
        self.conv2_offset = Offsets(
            width, stride=stride, dilation=dilation, groups=offset_groups, modulated=modulated
        )
        self.conv2 = DeformConv2d(
            width,
            width,
            stride=stride,
            dilation=dilation,
            groups=groups,
            norm=get_norm(norm, width),
        )
        c2_msra_fill(self.conv2)

    def forward(self, x: Tensor) -> Tensor:
        """N,C,H,W to N,C',H/stride,W/stride."""
        out = self.conv1(x)
        out = self.conv2(out, *self.conv2_offset(out))
        return self.conv3(out, residual=x if self.shortcut is None else self.shortcut(x))


class ResNet(nn.Module):
    """The stem and the stages up to the last of ``out_features``.

    Attributes: ``channels`` and ``strides`` by stage name.
    """

    def __init__(
        self,
        stem: nn.Module,
        stages: dict[str, nn.Sequential],
        channels: dict[str, int],
        strides: dict[str, int],
        out_features: tuple[str, ...],
    ):
        super().__init__()
        self.stem = stem
        self.stage_names = tuple(stages)
        self.out_features, self.channels, self.strides = out_features, channels, strides
        for name, stage in stages.items():
            self.add_module(name, stage)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """N,3,H,W to the chosen stages' features, N,C,H/stride,W/stride."""
        x = self.stem(x)
        out = {}
        for name in self.stage_names:
            x = getattr(self, name)(x)
            if name in self.out_features:
                out[name] = x
        return out


@dataclass(frozen=True)
class ResNetOptions:
    """What the stages of a ResNet or ResNeXt are made of.

    Attributes:
        depth: 18, 34 (basic blocks) or 50, 101, 152 (bottlenecks).
        norm: as :func:`bdd_inst.modeling.layers.norms.get_norm` names it.
        res2_channels: that the first stage gives; each later one gives twice as many.
        groups, width_per_group: of the 3x3 convolutions of bottlenecks.
        stride_in_1x1: whether a bottleneck halves in its first convolution (MSRA) or in its 3x3 (torchvision).
        res5_dilation: 2 keeps the last stage at the stride of the one before.
        deform_on: by stage, whether 3x3 convolutions are deformable, in ``deform_groups``, ``deform_modulated`` or not.
    """

    depth: int = 50
    norm: str = "FrozenBN"
    res2_channels: int = 256
    groups: int = 1
    width_per_group: int = 64
    stride_in_1x1: bool = True
    res5_dilation: int = 1
    deform_on: tuple[bool, ...] = (False, False, False, False)
    deform_groups: int = 1
    deform_modulated: bool = False

    @classmethod
    def from_config(cls, cfg: CfgNode) -> ResNetOptions:
        """By MODEL.RESNETS."""
        options = cfg.MODEL.RESNETS
        return cls(
            depth=options.DEPTH,
            norm=options.NORM,
            res2_channels=options.RES2_OUT_CHANNELS,
            groups=options.NUM_GROUPS,
            width_per_group=options.WIDTH_PER_GROUP,
            stride_in_1x1=options.STRIDE_IN_1X1,
            res5_dilation=options.RES5_DILATION,
            deform_on=tuple(options.DEFORM_ON_PER_STAGE),
            deform_groups=options.DEFORM_NUM_GROUPS,
            deform_modulated=options.DEFORM_MODULATED,
        )

    def channels(self, name: str) -> int:
        """How many a stage gives."""
        return self.res2_channels * 2 ** STAGES.index(name)


def build_stage(options: ResNetOptions, name: str, inputs: int) -> nn.Sequential:
    """One stage, ``res2`` ... ``res5``, on ``inputs`` channels."""
    index = STAGES.index(name)
    outputs = options.channels(name)
    dilation = options.res5_dilation if name == "res5" else 1
    # The stem has halved twice already; a dilated res5 keeps its cells and widens what they see (DC5).
    stride = 1 if index == 0 or dilation == 2 else 2
    blocks, block = [], BottleneckBlock
    if options.deform_on[index]:
        block = partial(
            DeformBottleneckBlock,
            offset_groups=options.deform_groups,
            modulated=options.deform_modulated,
        )
    for position in range(BLOCKS[options.depth][index]):
        shape = (
            inputs if position == 0 else outputs,
            outputs,
            options.norm,
            stride if position == 0 else 1,
        )
        if options.depth < 50:
            blocks.append(BasicBlock(*shape))
        else:
            blocks.append(
                block(
                    *shape,
                    width=options.groups * options.width_per_group * 2**index,
                    groups=options.groups,
                    stride_in_1x1=options.stride_in_1x1,
                    dilation=dilation,
                )
            )
    return nn.Sequential(*blocks)


def build_resnet(options: ResNetOptions, stem_channels: int, out_features: Sequence[str]) -> ResNet:
    """A ResNet with random weights. Stages beyond the last of ``out_features`` are not built, as in Detectron2."""
    # Stages that nothing reads would stand in the checkpoint and never train.
    last = max(STAGES.index(name) for name in out_features)
    stages, channels, strides = {}, {}, {}
    inputs, stride = stem_channels, 4
    for index, name in enumerate(STAGES[: last + 1]):
        stages[name] = build_stage(options, name, inputs)
        inputs = channels[name] = options.channels(name)
        halves = index > 0 and not (name == "res5" and options.res5_dilation == 2)
        stride = strides[name] = stride * 2 if halves else stride
    stem = BasicStem(stem_channels, options.norm)
    return ResNet(
        stem, stages=stages, channels=channels, strides=strides, out_features=tuple(out_features)
    )


def resnet_from_config(cfg: CfgNode) -> ResNet:
    """The ResNet of MODEL.RESNETS."""
    options = cfg.MODEL.RESNETS
    return build_resnet(
        ResNetOptions.from_config(cfg), options.STEM_OUT_CHANNELS, options.OUT_FEATURES
    )
