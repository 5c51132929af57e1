"""The C4 second stage, which shares a ResNet's last stage between boxes and masks.

Boxes x1, y1, x2, y2, logits and deltas are float32, class indices int64, features of the precision of the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from fvcore.common.config import CfgNode
from torch import Tensor, nn

from bdd_inst.modeling.backbones.resnet import ResNetOptions, build_stage
from bdd_inst.modeling.heads.box_head import BoxPredictor
from bdd_inst.modeling.heads.mask_head import MaskHead
from bdd_inst.modeling.heads.roi_heads import ROIHeads, SamplingOptions, build_pooler
from bdd_inst.modeling.layers.poolers import ROIPooler
from bdd_inst.structures import Instances


class Res5ROIHeads(ROIHeads):
    """The C4 second stage: one pooling from one map, then ``res5`` on every box; box and mask heads share its result.

    Args:
        sampling: which proposals it learns from.
        pooler, res5: map and boxes to features.
        box_predictor: features, averaged over the grid, to classes and better boxes.
        mask_head: None for boxes alone.
    """

    def __init__(
        self,
        sampling: SamplingOptions,
        pooler: ROIPooler,
        res5: nn.Module,
        box_predictor: BoxPredictor,
        mask_head: MaskHead | None = None,
    ):
        super().__init__(sampling)
        self.pooler, self.res5 = pooler, res5
        self.box_predictor, self.mask_head = box_predictor, mask_head

    @classmethod
    def from_config(
        cls, cfg: CfgNode, channels: dict[str, int], strides: dict[str, int]
    ) -> Res5ROIHeads:
        """By MODEL.ROI_HEADS, ROI_BOX_HEAD, ROI_MASK_HEAD and RESNETS, on a backbone's ``channels`` and ``strides``."""
        sampling = SamplingOptions.from_config(cfg)
        name = sampling.in_features[0]
        options = ResNetOptions.from_config(cfg)
        width = options.channels("res5")
        return cls(
            sampling,
            pooler=build_pooler(cfg.MODEL.ROI_BOX_HEAD, [strides[name]]),
            res5=build_stage(options, "res5", channels[name]),
            box_predictor=BoxPredictor.from_config(cfg, width),
            mask_head=MaskHead.from_config(cfg, width) if cfg.MODEL.MASK_ON else None,
        )

    def detect(
        self,
        maps: Sequence[Tensor],
        proposals: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Instances]:
        """Detections without masks, from the map N,C,H,W and proposals n,4 of each image, whose ``sizes`` are (height, width)."""
        logits, deltas = self.box_predictor(self.shared(maps, proposals).mean(dim=(2, 3)))
        return self.box_predictor.detect(logits, deltas, proposals, sizes)

    def shared(self, maps: Sequence[Tensor], boxes: Sequence[Tensor]) -> Tensor:
        """Boxes of a batch to R,C,S/2,S/2."""
        return self.res5(self.pooler(maps, boxes))

    def losses(self, maps, proposals, targets, generators) -> dict[str, Tensor]:
        """The scalars of classes, boxes and, where there is a mask head, masks, from the map N,C,H,W and proposals n,4 of each image."""
        sampled = [
            self.sample_proposals(p, t, g)
            for p, t, g in zip(proposals, targets, generators, strict=True)
        ]
        features = self.shared(maps, [d.boxes for d in sampled])
        losses = self.box_losses(*self.box_predictor(features.mean(dim=(2, 3))), sampled)
        if self.mask_head is not None:
            classes = torch.cat([d.classes for d in sampled])
            # The features are there already: unlike the heads on an FPN, this one pools boxes and masks on one grid.
            masks = self.mask_head(features[(classes >= 0) & (classes < self.classes)])
            losses |= self.mask_loss(masks, self.foreground(sampled), targets)
        return losses

    def add_masks(self, maps: Sequence[Tensor], detections: list[Instances]) -> list[Instances]:
        """The same detections with ``pred_masks`` R,1,2S,2S probabilities for their boxes, pooled from the map N,C,H,W."""
        boxes = [d.pred_boxes.tensor for d in detections]
        self.mask_head.detect(self.shared(maps, boxes), detections)
        return detections
