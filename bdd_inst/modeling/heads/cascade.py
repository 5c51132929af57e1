"""Cascade R-CNN (Cai and Vasconcelos 2018): box stages in a row, each on the boxes of the one before and by a stricter overlap.

Boxes x1, y1, x2, y2, logits and deltas are float32, class indices int64, features of the precision of the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from fvcore.common.config import CfgNode
from torch import Tensor, nn

from bdd_inst.modeling.heads.box_head import BoxPredictor, ConvFCHead
from bdd_inst.modeling.heads.mask_head import MaskHead
from bdd_inst.modeling.heads.roi_heads import (
    SampledProposals,
    SamplingOptions,
    StandardROIHeads,
)
from bdd_inst.modeling.layers.matching import Matcher
from bdd_inst.modeling.layers.poolers import ROIPooler
from bdd_inst.structures import Boxes, Instances


class CascadeROIHeads(StandardROIHeads):
    """Detectron2's: ``box_head.<stage>`` and ``box_predictor.<stage>`` by MODEL.ROI_BOX_CASCADE_HEAD, boxes of no class, one mask head.

    Each stage pools anew from the boxes that the one before moved. A detection's box is the last stage's, its score
    the mean of all stages'. The mask head learns from the proposals sampled for the first stage.
    """

    def __init__(
        self,
        sampling: SamplingOptions,
        box_pooler: ROIPooler,
        box_head: nn.ModuleList,
        box_predictor: nn.ModuleList,
        mask_pooler: ROIPooler | None = None,
        mask_head: MaskHead | None = None,
        *,
        ious: Sequence[float] = (0.5, 0.6, 0.7),
    ):
        """As :class:`StandardROIHeads`, with a head and a predictor a stage; ``ious``: from which overlap on each sees an object."""
        super().__init__(sampling, box_pooler, box_head, box_predictor, mask_pooler, mask_head)
        # Stricter from stage to stage: boxes are better by then, and by the first bound nearly all would be
        # foreground.
        self.matchers = [Matcher([iou], [0, 1], keep_best=False) for iou in ious]
        self.matcher = self.matchers[0]

    @classmethod
    def from_config(
        cls, cfg: CfgNode, channels: dict[str, int], strides: dict[str, int]
    ) -> CascadeROIHeads:
        """As :meth:`StandardROIHeads.from_config`, the stages by MODEL.ROI_BOX_CASCADE_HEAD."""
        parts = cls.parts(cfg, channels, strides)
        return cls(*parts, ious=cfg.MODEL.ROI_BOX_CASCADE_HEAD.IOUS)

    @staticmethod
    def box_branch(cfg: CfgNode, channels: int, size: int) -> tuple[nn.ModuleList, nn.ModuleList]:
        """A head and a predictor a stage."""
        options = cfg.MODEL.ROI_BOX_CASCADE_HEAD
        heads = [ConvFCHead.from_config(cfg, channels, size) for _ in options.IOUS]
        predictors = [
            BoxPredictor.from_config(cfg, head.outputs, weights)
            for head, weights in zip(heads, options.BBOX_REG_WEIGHTS, strict=True)
        ]
        return nn.ModuleList(heads), nn.ModuleList(predictors)

    def run_stage(
        self, stage: int, maps: Sequence[Tensor], boxes: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Logits R,K+1 and deltas R,4 of one stage for the boxes of a batch."""
        features = self.box_pooler(maps, boxes)
        if features.requires_grad:
            # The stages' losses are added up: what lies below them would learn as many times as fast.
            features.register_hook(lambda gradient: gradient / len(self.box_head))
        return self.box_predictor[stage](self.box_head[stage](features))

    def moved(
        self,
        stage: int,
        deltas: Tensor,
        boxes: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Boxes]:
        """The boxes that a stage predicts, clipped, without gradient: where the next stage looks.

        Args:
            stage: its index.
            deltas: R,4, of all images in turn.
            boxes: n,4 of each image, what the stage was given.
            sizes: (height, width) of each image.

        Returns:
            n boxes an image.
        """
        # Detached: the next stage learns at these boxes, not through them.
        out = self.box_predictor[stage].transform.decode(deltas.detach(), torch.cat(list(boxes)))
        parts = [Boxes(part) for part in out.split([len(b) for b in boxes])]
        for part, size in zip(parts, sizes, strict=True):
            part.clip(size)
        return parts

    def detect(
        self,
        maps: Sequence[Tensor],
        proposals: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Instances]:
        """Detections without masks, from maps N,C,H,W and proposals n,4 of each image, whose ``sizes`` are (height, width)."""
        boxes, scores = list(proposals), []
        counts = [len(b) for b in boxes]
        for stage, predictor in enumerate(self.box_predictor):
            logits, deltas = self.run_stage(stage, maps, boxes)
            scores.append(predictor.probabilities(logits))
            if stage < len(self.box_predictor) - 1:
                # Boxes without area stay: the scores of all stages belong to the same rows.
                boxes = [b.tensor for b in self.moved(stage, deltas, boxes, sizes)]
        last = predictor.transform.decode(deltas, torch.cat(boxes))
        return predictor.choose(last, sum(scores) * (1.0 / len(scores)), counts, sizes)

    def detection_losses(
        self,
        maps: Sequence[Tensor],
        sampled: Sequence[SampledProposals],
        targets: Sequence[Instances],
    ) -> dict[str, Tensor]:
        """``loss_cls_stage<n>`` and ``loss_box_reg_stage<n>``, scalars, from maps N,C,H,W. The first stage sees what was sampled, later ones all that
        came of it.
        """
        losses: dict[str, Tensor] = {}
        for stage, predictor in enumerate(self.box_predictor):
            logits, deltas = self.run_stage(stage, maps, [d.boxes for d in sampled])
            boxes, classes, gt_boxes = (
                torch.cat([getattr(d, name) for d in sampled])
                for name in ("boxes", "classes", "gt_boxes")
            )
            found = predictor.losses(logits, deltas, boxes, classes, gt_boxes)
            losses |= {f"{name}_stage{stage}": value for name, value in found.items()}
            if stage + 1 < len(self.box_predictor):
                sampled = self.next_proposals(stage, deltas, sampled, targets)
        return losses

    def next_proposals(
        self,
        stage: int,
        deltas: Tensor,
        sampled: Sequence[SampledProposals],
        targets: Sequence[Instances],
    ) -> list[SampledProposals]:
        """What a stage moved by its deltas R,4, boxes without area left out, labeled anew by the next stage's overlap."""
        sizes = [t.image_size for t in targets]
        moved = self.moved(stage, deltas, [d.boxes for d in sampled], sizes)
        return [
            self.label(self.matchers[stage + 1], boxes[boxes.nonempty()].tensor, instances)
            for boxes, instances in zip(moved, targets, strict=True)
        ]
