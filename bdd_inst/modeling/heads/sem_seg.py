"""Heads that give every pixel a class: semantic FPN, Fast-SCNN, decoders of segmentation-models-pytorch.

Maps are of the precision of the input, logits likewise or float32; labels are int64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from fvcore.common.config import CfgNode
from fvcore.nn.weight_init import c2_msra_fill
from torch import Tensor, nn
from torch.nn import functional as F

from bdd_inst.modeling.backbones import build_backbone, require_features
from bdd_inst.modeling.backbones.fast_scnn import FastSCNNBackbone, separable
from bdd_inst.modeling.backbones.resnet import norm_conv
from bdd_inst.modeling.backbones.smp_encoder import EncoderOptions, build_encoder, build_network
from bdd_inst.modeling.heads.light_decoder import WIDTHS, LightDecoder
from bdd_inst.modeling.heads.pixel_losses import PixelLoss
from bdd_inst.modeling.layers.convolution import Conv2d
from bdd_inst.modeling.layers.norms import get_norm


class PixelHead(nn.Module):
    """Losses of a head. A subclass's ``forward(features, size)`` gives logits N,K,H,W of ``size``, that of the padded batch.

    Args:
        pixel_loss: what it learns from; it knows the classes.

    Attributes:
        num_classes: K.
        ignore_value: the label of pixels that do not count.
        pools_globally: whether it norms means over the whole image, which a batch of one cannot train.
    """

    pools_globally = False

    def __init__(self, pixel_loss: PixelLoss):
        super().__init__()
        self.num_classes, self.ignore_value = pixel_loss.num_classes, pixel_loss.ignore_value
        self.pixel_loss = pixel_loss

    def losses(self, logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """``loss_sem_seg`` of N,K,H,W logits against N,H,W labels."""
        return {"loss_sem_seg": self.pixel_loss(at_least_float32(logits), targets)}


class SemSegFPNHead(PixelHead):
    """Detectron2's semantic FPN (Kirillov et al. 2019): each map of the pyramid convolved and doubled up to ``common_stride``,
    summed, classified by a 1x1 convolution.

    Modules are named after the maps (``p2`` ... ``p5``): convolutions at even places, doublings between them; then ``predictor``.

    Args:
        pixel_loss: what it learns from.
        channels, strides: of the maps that it reads, by name.
        width, norm: of the convolutions.
        common_stride: that all maps are doubled up to.
    """

    def __init__(
        self,
        pixel_loss: PixelLoss,
        channels: dict[str, int],
        strides: dict[str, int],
        *,
        width: int = 128,
        norm: str = "GN",
        common_stride: int = 4,
    ):
        super().__init__(pixel_loss)
        self.in_features, self.common_stride = tuple(channels), common_stride
        for name, given in channels.items():
            doublings = int(math.log2(strides[name] // common_stride))
            layers = []
            # A map of the common stride itself is convolved once and not doubled.
            for _ in range(max(1, doublings)):
                made = get_norm(norm, width)
                conv = Conv2d(given, width, 3, padding=1, bias=made is None, norm=made, relu=True)
                c2_msra_fill(conv)
                layers.append(conv)
                if doublings:
                    layers.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
                given = width
            self.add_module(name, nn.Sequential(*layers))
        self.predictor = Conv2d(width, self.num_classes, 1)
        c2_msra_fill(self.predictor)

    @classmethod
    def from_config(
        cls, cfg: CfgNode, channels: dict[str, int], strides: dict[str, int]
    ) -> SemSegFPNHead:
        """By MODEL.SEM_SEG_HEAD, on a backbone's ``channels`` and ``strides`` by map name."""
        options = cfg.MODEL.SEM_SEG_HEAD
        return cls(
            PixelLoss.from_config(cfg),
            {name: channels[name] for name in options.IN_FEATURES},
            strides,
            width=options.CONVS_DIM,
            norm=options.NORM,
            common_stride=options.COMMON_STRIDE,
        )

    def forward(self, features: dict[str, Tensor], size: tuple[int, int]) -> Tensor:
        """Maps by name to N,K,H,W logits; ``size`` is ``common_stride`` times the finest map's."""
        total = None
        for name in self.in_features:
            part = getattr(self, name)(features[name])
            total = part if total is None else total + part
        return F.interpolate(
            # Widened before it is enlarged: bf16 has hardly three digits, and near classes would tie.
            at_least_float32(self.predictor(total)),
            scale_factor=self.common_stride,
            mode="bilinear",
            align_corners=False,
        )


class FastSCNNHead(PixelHead):
    """Fast-SCNN's feature fusion and classifier (Poudel et al. 2019), without the auxiliary losses of its paper's training."""

    pools_globally = True  # in the backbone's pyramid pooling

    def __init__(self, pixel_loss: PixelLoss, channels: dict[str, int]):
        super().__init__(pixel_loss)
        detail, width = channels["detail"], channels["context"]
        self.context = nn.Sequential(
            # The context is enlarged four times: taps four cells apart meet neighboring cells of the small map.
            norm_conv("BN", width, width, 3, padding=4, dilation=4, groups=width),
            norm_conv("BN", width, width, 1, relu=False),
        )
        self.detail = norm_conv("BN", detail, width, 1, relu=False)
        self.classifier = nn.Sequential(
            separable(width, width),
            separable(width, width),
            nn.Dropout(0.1),
            Conv2d(width, self.num_classes, 1),
        )

    def forward(self, features: dict[str, Tensor], size: tuple[int, int]) -> Tensor:
        """``detail`` and ``context`` to N,K,H,W logits."""
        detail = self.detail(features["detail"])
        context = _resized(features["context"], detail.shape[-2:])
        return _resized(self.classifier(F.relu(detail + self.context(context))), size)


class SmpHead(PixelHead):
    """Decoder and last layer of a model of segmentation-models-pytorch."""

    def __init__(
        self,
        pixel_loss: PixelLoss,
        decoder: nn.Module,
        segmentation_head: nn.Module,
        pools_globally: bool = False,
    ):
        super().__init__(pixel_loss)
        self.decoder, self.segmentation_head = decoder, segmentation_head
        self.pools_globally = pools_globally

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """The encoder's features, finest first, to N,K,H,W logits."""
        logits = self.segmentation_head(self.decoder(features))
        return logits if tuple(logits.shape[-2:]) == tuple(size) else _resized(logits, size)


class LightUnetHead(PixelHead):
    """A narrow decoder at stride 2 (:class:`LightDecoder`) and a 1x1 convolution."""

    def __init__(self, pixel_loss: PixelLoss, channels: Sequence[int], widths: Sequence[int] = ()):
        """``channels``: of the encoder's maps from stride 2 on; ``widths``: of the decoder, coarsest first, empty for its own."""
        super().__init__(pixel_loss)
        self.decoder = LightDecoder(channels, list(widths) or WIDTHS[-len(channels) :])
        self.predictor = nn.Conv2d(self.decoder.out_channels, self.num_classes, 1)

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """The encoder's features, finest first (the image itself among them), to N,K,H,W logits."""
        return _resized(self.predictor(self.decoder(features[1:])), size)


def at_least_float32(x: Tensor) -> Tensor:
    """Values of any shape: half precision is widened, float64 stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _resized(x: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)


def build_sem_seg_fpn(cfg: CfgNode) -> tuple[nn.Module, SemSegFPNHead]:
    """The backbone of MODEL.BACKBONE and the semantic FPN on it."""
    backbone = build_backbone(cfg)
    names = cfg.MODEL.SEM_SEG_HEAD.IN_FEATURES
    require_features(backbone, "MODEL.SEM_SEG_HEAD.IN_FEATURES", names)
    return backbone, SemSegFPNHead.from_config(cfg, backbone.channels, backbone.strides)


def build_fast_scnn(cfg: CfgNode) -> tuple[nn.Module, FastSCNNHead]:
    """Both halves of Fast-SCNN."""
    backbone = FastSCNNBackbone()
    return backbone, FastSCNNHead(PixelLoss.from_config(cfg), backbone.channels)


def build_smp(cfg: CfgNode) -> tuple[nn.Module, SmpHead]:
    """The encoder of MODEL.SEM_SEG_HEAD.ENCODER as backbone, and the decoder of NAME on it."""
    options = cfg.MODEL.SEM_SEG_HEAD
    network = build_network(
        EncoderOptions.from_config(cfg), options.NUM_CLASSES, options.DECODER_CHANNELS
    )
    head = SmpHead(
        PixelLoss.from_config(cfg),
        network.decoder,
        network.segmentation_head,
        pools_globally=options.NAME.startswith("DeepLab"),
    )
    return network.encoder, head


def build_light_unet(cfg: CfgNode) -> tuple[nn.Module, LightUnetHead]:
    """The encoder of MODEL.SEM_SEG_HEAD.ENCODER and the light decoder on it."""
    encoder = build_encoder(EncoderOptions.from_config(cfg))
    widths = cfg.MODEL.SEM_SEG_HEAD.DECODER_CHANNELS
    return encoder, LightUnetHead(PixelLoss.from_config(cfg), encoder.out_channels[1:], widths)
