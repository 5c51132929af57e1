"""ResNet and ResNeXt (He et al. 2015, Xie et al. 2016) in Detectron2's layout: ``stem``, ``res2`` ... ``res5``."""

from __future__ import annotations

from functools import partial

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
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = norm_conv(norm, inputs, width, 1, stride=first)
        self.conv2 = norm_conv(
            norm, width, width, 3, stride=second, padding=dilation, groups=groups, dilation=dilation
        )
        self.conv3 = norm_conv(norm, width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
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

    def frozen_parts(self, freeze_at: int) -> list[nn.Module]:
        """What MODEL.BACKBONE.FREEZE_AT freezes: 1 the stem, 2 and res2, ... 5 everything."""
        parts = [self.stem, *(getattr(self, name) for name in self.stage_names)]
        return parts[: max(freeze_at, 0)]


def build_stage(cfg, name: str, inputs: int) -> nn.Sequential:
    """One stage (``res2`` ... ``res5``) by MODEL.RESNETS."""
    options = cfg.MODEL.RESNETS
    index = STAGES.index(name)
    outputs = options.RES2_OUT_CHANNELS * 2**index
    dilation = options.RES5_DILATION if name == "res5" else 1
    stride = 1 if index == 0 or dilation == 2 else 2
    blocks, block = [], BottleneckBlock
    if options.DEFORM_ON_PER_STAGE[index]:
        block = partial(
            DeformBottleneckBlock,
            offset_groups=options.DEFORM_NUM_GROUPS,
            modulated=options.DEFORM_MODULATED,
        )
    for position in range(BLOCKS[options.DEPTH][index]):
        shape = (
            inputs if position == 0 else outputs,
            outputs,
            options.NORM,
            stride if position == 0 else 1,
        )
        if options.DEPTH < 50:
            blocks.append(BasicBlock(*shape))
        else:
            width = options.NUM_GROUPS * options.WIDTH_PER_GROUP * 2**index
            blocks.append(
                block(
                    *shape,
                    width=width,
                    groups=options.NUM_GROUPS,
                    stride_in_1x1=options.STRIDE_IN_1X1,
                    dilation=dilation,
                )
            )
    return nn.Sequential(*blocks)


def build_resnet(cfg) -> ResNet:
    """The ResNet of MODEL.RESNETS. Stages beyond the last of OUT_FEATURES are not built, as in Detectron2."""
    options = cfg.MODEL.RESNETS
    last = max(STAGES.index(name) for name in options.OUT_FEATURES)
    stages, channels, strides = {}, {}, {}
    inputs, stride = options.STEM_OUT_CHANNELS, 4
    for index, name in enumerate(STAGES[: last + 1]):
        stages[name] = build_stage(cfg, name, inputs)
        inputs = channels[name] = options.RES2_OUT_CHANNELS * 2**index
        halves = index > 0 and not (name == "res5" and options.RES5_DILATION == 2)
        stride = strides[name] = stride * 2 if halves else stride
    return ResNet(
        BasicStem(options.STEM_OUT_CHANNELS, options.NORM),
        stages,
        channels,
        strides,
        tuple(options.OUT_FEATURES),
    )
