"""The mask branch (He et al. 2017): features of each box to a mask on a small grid.

Logits and probabilities are float32, features of the precision of the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from fvcore.common.config import CfgNode
from fvcore.nn.weight_init import c2_msra_fill
from torch import Tensor, nn
from torch.nn import functional as F

from bdd_inst.modeling.layers.convolution import Conv2d, ConvTranspose2d, add_convs
from bdd_inst.structures import Instances


class MaskHead(nn.Module):
    """3x3 convolutions ``mask_fcn1`` ..., ``deconv`` to twice the side, ``predictor`` to one map a class (or one in all).

    Args:
        channels: of the pooled features.
        num_classes: maps of the predictor, 1 where it is class-agnostic.
        num_conv, conv_dim, norm: of the convolutions.
        class_agnostic: one map for all classes.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        *,
        num_conv: int = 4,
        conv_dim: int = 256,
        norm: str = "",
        class_agnostic: bool = False,
    ):
        super().__init__()
        self.agnostic = class_agnostic
        self.convs = [f"mask_fcn{index + 1}" for index in range(num_conv)]
        channels = add_convs(self, self.convs, channels=channels, width=conv_dim, norm=norm)
        # From the 14x14 that are pooled to the 28x28 that are learned.
        self.deconv = ConvTranspose2d(channels, conv_dim, 2, stride=2)
        c2_msra_fill(self.deconv)
        self.predictor = Conv2d(conv_dim, 1 if class_agnostic else num_classes, 1)
        # Near zero, so every pixel begins undecided; other layers of the head follow He's rule.
        nn.init.normal_(self.predictor.weight, std=0.001)
        nn.init.zeros_(self.predictor.bias)

    @classmethod
    def from_config(cls, cfg: CfgNode, channels: int) -> MaskHead:
        """By MODEL.ROI_MASK_HEAD."""
        options = cfg.MODEL.ROI_MASK_HEAD
        return cls(
            channels,
            cfg.MODEL.ROI_HEADS.NUM_CLASSES,
            num_conv=options.NUM_CONV,
            conv_dim=options.CONV_DIM,
            norm=options.NORM,
            class_agnostic=options.CLS_AGNOSTIC_MASK,
        )

    def forward(self, x: Tensor) -> Tensor:
        """R,C,S,S to R,classes,2S,2S logits (classes is 1 when class-agnostic), float32."""
        for name in self.convs:
            x = getattr(self, name)(x)
        return self.predictor(F.relu_(self.deconv(x))).float()

    def of_class(self, logits: Tensor, classes: Tensor) -> Tensor:
        """R,2S,2S: the map of each row's class."""
        if self.agnostic:
            return logits[:, 0]
        return logits[torch.arange(len(logits), device=logits.device), classes]

    def loss(self, logits: Tensor, classes: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """``loss_mask``: mean binary cross entropy on each row's own class; 0 (with a gradient of 0) without rows.

        Args:
            wanted: R,2S,2S bool.
        """
        if not len(logits):
            return {"loss_mask": logits.sum() * 0.0}
        return {
            # The paper's choice (section 3): a sigmoid on the own class's map, so that classes do not compete
            # for pixels.
            "loss_mask": F.binary_cross_entropy_with_logits(
                self.of_class(logits, classes), wanted.to(logits.dtype)
            )
        }

    def detect(self, x: Tensor, detections: Sequence[Instances]) -> None:
        """Set ``pred_masks`` R,1,2S,2S (probabilities) on every image's detections, whose features ``x`` holds in order."""
        chosen = self.of_class(self(x), torch.cat([d.pred_classes for d in detections]))
        probabilities = chosen[:, None].sigmoid()
        for instances, part in zip(
            detections, probabilities.split([len(d) for d in detections]), strict=True
        ):
            instances.pred_masks = part
