"""The second stage: sample proposals, pool their features, run the box head and the mask head.

Boxes x1, y1, x2, y2, logits and deltas are float32, class indices int64, features of the precision of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from fvcore.common.config import CfgNode
from torch import Tensor, nn

from bdd_inst.modeling.heads.box_head import BoxPredictor, ConvFCHead
from bdd_inst.modeling.heads.mask_head import MaskHead
from bdd_inst.modeling.layers.matching import Matcher, sample
from bdd_inst.modeling.layers.poolers import ROIPooler
from bdd_inst.structures import Boxes, Instances, pairwise_iou


@dataclass(slots=True)
class SampledProposals:
    """One image's proposals sampled for the losses. ``classes`` is the number of classes for background."""

    boxes: Tensor  # R,4
    classes: Tensor  # R int64
    match: Tensor  # R int64, the object each belongs to; meaningful in foreground rows
    gt_boxes: Tensor  # R,4, that object's box

    def __getitem__(self, rows: Tensor) -> SampledProposals:
        return SampledProposals(
            self.boxes[rows], self.classes[rows], self.match[rows], self.gt_boxes[rows]
        )


@dataclass(frozen=True)
class SamplingOptions:
    """Which proposals a second stage learns from.

    Attributes:
        in_features: names of the maps that it reads, finest first.
        num_classes: K; background is number K.
        matcher: proposals to objects.
        samples, fraction: proposals of each image, and the share of foreground at most.
        append_objects: whether the objects' own boxes are proposals too.
        train_on_predictions: whether the mask branch sees the boxes just predicted.
    """

    in_features: tuple[str, ...]
    num_classes: int
    matcher: Matcher
    samples: int = 512
    fraction: float = 0.25
    append_objects: bool = True
    train_on_predictions: bool = False

    @classmethod
    def from_config(cls, cfg: CfgNode) -> SamplingOptions:
        """By MODEL.ROI_HEADS."""
        options = cfg.MODEL.ROI_HEADS
        return cls(
            tuple(options.IN_FEATURES),
            num_classes=options.NUM_CLASSES,
            matcher=Matcher(options.IOU_THRESHOLDS, options.IOU_LABELS, keep_best=False),
            samples=options.BATCH_SIZE_PER_IMAGE,
            fraction=options.POSITIVE_FRACTION,
            append_objects=options.PROPOSAL_APPEND_GT,
            train_on_predictions=cfg.MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES,
        )


class ROIHeads(nn.Module):
    """What every second stage shares: sampling proposals, and mask targets. A subclass has ``losses``, ``detect`` and ``add_masks``."""

    def __init__(self, sampling: SamplingOptions):
        super().__init__()
        self.in_features, self.classes = sampling.in_features, sampling.num_classes
        self.matcher = sampling.matcher
        self.samples, self.fraction = sampling.samples, sampling.fraction
        self.append_objects = sampling.append_objects
        self.train_on_predictions = sampling.train_on_predictions

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
        targets: Sequence[Instances] | None = None,
        generators: Sequence[torch.Generator | None] | None = None,
    ) -> tuple[list[Instances], dict[str, Tensor]]:
        """Training: no instances and the losses. Evaluation: detections without masks, no losses.

        Args:
            features: N,C,H,W by map name.
            proposals: n,4 of each image, x1, y1, x2, y2 in its pixels as the model sees it.
            sizes: (height, width) of each image there.
            targets: the objects of each image, in training.
            generators: of each image's random choices, in training; None takes torch's own.

        Returns:
            Detections of each image, best first, and scalars by name; one of them is empty.
        """
        maps = self.maps(features)
        if self.training:
            return [], self.losses(maps, proposals, targets, generators)
        return self.detect(maps, proposals, sizes), {}

    def maps(self, features: dict[str, Tensor]) -> list[Tensor]:
        """The features N,C,H,W that the heads read, finest first."""
        return [features[name] for name in self.in_features]

    def forward_with_given_boxes(
        self, features: dict[str, Tensor], instances: list[Instances]
    ) -> list[Instances]:
        """The same instances with ``pred_masks`` R,1,2S,2S probabilities for their ``pred_boxes`` and ``pred_classes``."""
        if self.mask_head is None:
            return instances
        return self.add_masks(self.maps(features), instances)

    @torch.no_grad()
    def sample_proposals(
        self, proposals: Tensor, instances: Instances, generator: torch.Generator | None
    ) -> SampledProposals:
        """Label one image's proposals, n,4, by its objects and sample BATCH_SIZE_PER_IMAGE of them, foreground first."""
        objects = instances.gt_boxes.tensor.to(proposals)
        if self.append_objects:
            # Early in training no proposal may touch an object; the objects themselves always do.
            proposals = torch.cat((proposals, objects))
        whole = self.label(self.matcher, proposals, instances)
        positive = (whole.classes != -1) & (whole.classes != self.classes)
        negative = whole.classes == self.classes
        return whole[
            torch.cat(
                sample(
                    positive,
                    negative,
                    total=self.samples,
                    fraction=self.fraction,
                    generator=generator,
                )
            )
        ]

    def label(self, matcher: Matcher, proposals: Tensor, instances: Instances) -> SampledProposals:
        """All of one image's proposals, n,4, with their classes: background, -1 for ignored, else the matched object's."""
        objects = instances.gt_boxes.tensor.to(proposals)
        match, label = matcher(pairwise_iou(Boxes(objects), Boxes(proposals)))
        # All background; ``proposals`` fill the place of the objects' boxes, which only foreground reads.
        if not len(objects):
            return SampledProposals(
                proposals, torch.full_like(match, self.classes), match, proposals
            )
        classes = instances.gt_classes[match].to(torch.int64)
        classes = torch.where(label == 0, self.classes, classes)
        # -1 is ignored: sampling passes over it, so it reaches no loss.
        classes = torch.where(label == -1, -1, classes)
        return SampledProposals(proposals, classes, match, objects[match])

    def box_losses(
        self, logits: Tensor, deltas: Tensor, sampled: Sequence[SampledProposals]
    ) -> dict[str, Tensor]:
        """Box losses of a batch, logits R,K+1 and deltas R,4K (R,4 class-agnostic); with TRAIN_ON_PRED_BOXES the mask branch will see the boxes just predicted."""
        boxes, classes = (
            torch.cat([d.boxes for d in sampled]),
            torch.cat([d.classes for d in sampled]),
        )
        losses = self.box_predictor.losses(
            logits, deltas, boxes, classes, torch.cat([d.gt_boxes for d in sampled])
        )
        if self.train_on_predictions:
            # Where the mask branch looks is not learned through the boxes.
            with torch.no_grad():
                moved = self.box_predictor.boxes_of_classes(deltas, boxes, classes)
            for d, part in zip(sampled, moved.split([len(d.boxes) for d in sampled]), strict=True):
                d.boxes = part
        return losses

    def foreground(self, sampled: Sequence[SampledProposals]) -> list[SampledProposals]:
        """The foreground rows of each image."""
        return [
            d[((d.classes >= 0) & (d.classes < self.classes)).nonzero().flatten()] for d in sampled
        ]

    def mask_loss(
        self, logits: Tensor, foreground: Sequence[SampledProposals], targets: Sequence[Instances]
    ) -> dict[str, Tensor]:
        """``loss_mask`` of a batch, a scalar; ``logits`` R,classes,2S,2S holds the foreground rows of all images in order."""
        side = logits.shape[-1]
        wanted = [
            # Seen through the proposal's box, not the object's: the features are those of the proposal.
            t.gt_masks.crop_and_resize(d.boxes, side, index=d.match).to(logits.device)
            for d, t in zip(foreground, targets, strict=True)
            if len(d.boxes)
        ]
        wanted = torch.cat(wanted) if wanted else logits.new_zeros(0, side, side)
        return self.mask_head.loss(logits, torch.cat([d.classes for d in foreground]), wanted)


class StandardROIHeads(ROIHeads):
    """Separate pooling for the box head and for the mask head, which sees foreground or detected boxes only.

    Args:
        sampling: which proposals it learns from.
        box_pooler, box_head, box_predictor: maps and boxes to features, to classes and better boxes.
        mask_pooler, mask_head: None for boxes alone.
    """

    def __init__(
        self,
        sampling: SamplingOptions,
        box_pooler: ROIPooler,
        box_head: nn.Module,
        box_predictor: nn.Module,
        mask_pooler: ROIPooler | None = None,
        mask_head: MaskHead | None = None,
    ):
        super().__init__(sampling)
        self.box_pooler, self.box_head, self.box_predictor = box_pooler, box_head, box_predictor
        self.mask_pooler, self.mask_head = mask_pooler, mask_head

    @classmethod
    def from_config(
        cls, cfg: CfgNode, channels: dict[str, int], strides: dict[str, int]
    ) -> StandardROIHeads:
        """By MODEL.ROI_HEADS, ROI_BOX_HEAD and ROI_MASK_HEAD, on a backbone's ``channels`` and ``strides`` by map name."""
        return cls(*cls.parts(cfg, channels, strides))

    @classmethod
    def parts(cls, cfg: CfgNode, channels: dict[str, int], strides: dict[str, int]) -> tuple:
        """What the constructor takes: sampling, then pooler, head and predictor of boxes, then pooler and head of masks if there are any."""
        sampling = SamplingOptions.from_config(cfg)
        width = channels[sampling.in_features[0]]
        own = [strides[name] for name in sampling.in_features]
        pooler = build_pooler(cfg.MODEL.ROI_BOX_HEAD, own)
        boxes = cls.box_branch(cfg, width, pooler.size)
        masks = mask_branch(cfg, width, own) if cfg.MODEL.MASK_ON else ()
        return sampling, pooler, *boxes, *masks

    @staticmethod
    def box_branch(cfg: CfgNode, channels: int, size: int) -> tuple[nn.Module, nn.Module]:
        """Box head and predictor on pooled features C,S,S."""
        head = ConvFCHead.from_config(cfg, channels, size)
        return head, BoxPredictor.from_config(cfg, head.outputs)

    def detect(
        self,
        maps: Sequence[Tensor],
        proposals: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Instances]:
        """Detections without masks, from maps N,C,H,W and proposals n,4 of each image, whose ``sizes`` are (height, width)."""
        logits, deltas = self.box_predictor(self.box_head(self.box_pooler(maps, proposals)))
        return self.box_predictor.detect(logits, deltas, proposals, sizes)

    def detection_losses(
        self,
        maps: Sequence[Tensor],
        sampled: Sequence[SampledProposals],
        targets: Sequence[Instances],
    ) -> dict[str, Tensor]:
        """The losses of classes and boxes, scalars, from maps N,C,H,W and what was sampled of each image."""
        features = self.box_pooler(maps, [d.boxes for d in sampled])
        return self.box_losses(*self.box_predictor(self.box_head(features)), sampled)

    def losses(self, maps, proposals, targets, generators) -> dict[str, Tensor]:
        """The scalars of classes, boxes and, where there is a mask head, masks, from maps N,C,H,W and proposals n,4 of each image."""
        sampled = [
            self.sample_proposals(p, t, g)
            for p, t, g in zip(proposals, targets, generators, strict=True)
        ]
        losses = self.detection_losses(maps, sampled, targets)
        if self.mask_head is not None:
            chosen = self.foreground(sampled)
            masks = self.mask_head(self.mask_pooler(maps, [d.boxes for d in chosen]))
            losses |= self.mask_loss(masks, chosen, targets)
        return losses

    def add_masks(self, maps: Sequence[Tensor], detections: list[Instances]) -> list[Instances]:
        """The same detections with ``pred_masks`` R,1,2S,2S probabilities for their boxes, pooled from maps N,C,H,W."""
        # For the boxes that are left after NMS, at most TEST.DETECTIONS_PER_IMAGE, not for a thousand proposals; and
        # they are the better boxes.
        boxes = [d.pred_boxes.tensor for d in detections]
        self.mask_head.detect(self.mask_pooler(maps, boxes), detections)
        return detections


def mask_branch(cfg: CfgNode, channels: int, strides: Sequence[int]) -> tuple[ROIPooler, MaskHead]:
    """Pooler and mask head by MODEL.ROI_MASK_HEAD on maps of ``channels`` and ``strides``."""
    pooler = build_pooler(cfg.MODEL.ROI_MASK_HEAD, strides)
    return pooler, MaskHead.from_config(cfg, channels)


def build_pooler(options: CfgNode, strides: Sequence[int]) -> ROIPooler:
    """The pooler of a section, MODEL.ROI_BOX_HEAD or MODEL.ROI_MASK_HEAD, on maps of ``strides``."""
    aligned = options.POOLER_TYPE == "ROIAlignV2"
    return ROIPooler(options.POOLER_RESOLUTION, strides, options.POOLER_SAMPLING_RATIO, aligned)
