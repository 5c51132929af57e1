"""Region Proposal Network (Ren et al. 2015): which anchors hold an object, and where exactly.

Boxes x1, y1, x2, y2, logits and deltas are float32, class indices int64, features of the precision of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from fvcore.common.config import CfgNode
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms

from bdd_inst.modeling.layers.anchors import AnchorGenerator
from bdd_inst.modeling.layers.box_regression import BoxTransform, box_regression_loss
from bdd_inst.modeling.layers.convolution import Conv2d
from bdd_inst.modeling.layers.matching import Matcher, sample
from bdd_inst.structures import Boxes, Instances, pairwise_iou


class RPNHead(nn.Module):
    """3x3 convolutions, then two 1x1: ``objectness_logits`` (A channels) and ``anchor_deltas`` (4A), for every map alike.

    ``widths`` are the 3x3 convolutions' channels, -1 for as many as come in. A single one is named ``conv``,
    several ``conv.conv0``, ``conv.conv1`` ...
    """

    def __init__(self, channels: int, anchors: int, widths: Sequence[int]):
        super().__init__()
        convs = []
        for width in widths:
            width = channels if width == -1 else width
            convs.append(Conv2d(channels, width, 3, padding=1, relu=True))
            channels = width
        named = {f"conv{i}": conv for i, conv in enumerate(convs)}
        self.conv = convs[0] if len(convs) == 1 else nn.Sequential()
        if len(convs) > 1:
            for name, conv in named.items():
                self.conv.add_module(name, conv)
        self.objectness_logits = Conv2d(channels, anchors, 1)
        self.anchor_deltas = Conv2d(channels, anchors * 4, 1)
        for conv in (*convs, self.objectness_logits, self.anchor_deltas):
            # The paper's beginning (section 3.1.3): no anchor stands out, and none is moved.
            nn.init.normal_(conv.weight, std=0.01)
            nn.init.zeros_(conv.bias)

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Maps N,C,H,W to N,HWA logits and N,HWA,4 deltas a map, both float32."""
        logits, deltas = [], []
        for feature in features:
            hidden = self.conv(feature)
            logit, delta = self.objectness_logits(hidden), self.anchor_deltas(hidden)
            logits.append(logit.permute(0, 2, 3, 1).flatten(1).float())
            # Channels hold the four numbers of an anchor together; rows and columns go first, so that both outputs follow the anchors' order.
            n, _, h, w = delta.shape
            delta = delta.view(n, -1, 4, h, w).permute(0, 3, 4, 1, 2)
            deltas.append(delta.reshape(n, -1, 4).float())
        return logits, deltas


@dataclass(frozen=True)
class ProposalOptions:
    """Which proposals an RPN gives.

    Attributes:
        before_nms, after_nms: how many of each map go into NMS, how many of all maps are kept: (in training, in evaluation).
        nms_threshold: IoU from which on a worse proposal is dropped.
        min_size: pixels that both sides of a proposal must exceed.
    """

    before_nms: tuple[int, int] = (12000, 6000)
    after_nms: tuple[int, int] = (2000, 1000)
    nms_threshold: float = 0.7
    min_size: float = 0

    @classmethod
    def from_config(cls, cfg: CfgNode) -> ProposalOptions:
        """By MODEL.RPN and MODEL.PROPOSAL_GENERATOR."""
        options = cfg.MODEL.RPN
        return cls(
            (options.PRE_NMS_TOPK_TRAIN, options.PRE_NMS_TOPK_TEST),
            (options.POST_NMS_TOPK_TRAIN, options.POST_NMS_TOPK_TEST),
            options.NMS_THRESH,
            cfg.MODEL.PROPOSAL_GENERATOR.MIN_SIZE,
        )


class RPN(nn.Module):
    """The head, its anchors, its losses and its choice of proposals.

    Args:
        in_features: names of the maps, finest first.
        anchor_generator, head, transform: what is predicted, and how it is coded.
        matcher: anchors to objects.
        samples, fraction: anchors of each image that the losses look at, and the share of positive ones at most.
        boundary: pixels that an anchor may leave the image by before it is ignored in training; below 0 any.
        loss: of the boxes, its kind and its ``beta``; ``weights`` of the losses of class and box.
        proposals: which are given.
    """

    def __init__(
        self,
        in_features: Sequence[str],
        anchor_generator: AnchorGenerator,
        head: RPNHead,
        transform: BoxTransform,
        matcher: Matcher,
        *,
        samples: int = 256,
        fraction: float = 0.5,
        boundary: float = -1,
        loss: tuple[str, float] = ("smooth_l1", 0.0),
        weights: tuple[float, float] = (1.0, 1.0),
        proposals: ProposalOptions = ProposalOptions(),
    ):
        super().__init__()
        self.in_features = tuple(in_features)
        self.anchor_generator, self.rpn_head = anchor_generator, head
        self.matcher, self.transform = matcher, transform
        self.samples, self.fraction, self.boundary = samples, fraction, boundary
        self.loss_kind, self.beta = loss
        self.class_weight, self.box_weight = weights
        self.nms_threshold, self.min_size = proposals.nms_threshold, proposals.min_size
        # By whether the model trains.
        self.before_nms = dict(zip((True, False), proposals.before_nms, strict=True))
        self.after_nms = dict(zip((True, False), proposals.after_nms, strict=True))

    @classmethod
    def from_config(cls, cfg: CfgNode, channels: dict[str, int], strides: dict[str, int]) -> RPN:
        """By MODEL.RPN and MODEL.ANCHOR_GENERATOR, on a backbone's ``channels`` and ``strides`` by map name."""
        options, anchors = cfg.MODEL.RPN, cfg.MODEL.ANCHOR_GENERATOR
        names = options.IN_FEATURES
        generator = AnchorGenerator(
            anchors.SIZES,
            ratios=anchors.ASPECT_RATIOS,
            strides=[strides[name] for name in names],
            offset=anchors.OFFSET,
            rounded=anchors.ROUND,
        )
        return cls(
            names,
            anchor_generator=generator,
            head=RPNHead(channels[names[0]], generator.per_cell[0], options.CONV_DIMS),
            transform=BoxTransform(options.BBOX_REG_WEIGHTS),
            matcher=Matcher(options.IOU_THRESHOLDS, options.IOU_LABELS, keep_best=True),
            samples=options.BATCH_SIZE_PER_IMAGE,
            fraction=options.POSITIVE_FRACTION,
            boundary=options.BOUNDARY_THRESH,
            loss=(options.BBOX_REG_LOSS_TYPE, options.SMOOTH_L1_BETA),
            weights=(options.LOSS_WEIGHT, options.LOSS_WEIGHT * options.BBOX_REG_LOSS_WEIGHT),
            proposals=ProposalOptions.from_config(cfg),
        )

    def forward(
        self,
        features: dict[str, Tensor],
        sizes: Sequence[tuple[int, int]],
        targets: Sequence[Instances] | None = None,
        generators: Sequence[torch.Generator | None] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Proposals n,4 of each image, best first, without gradient; in training also the losses, scalars."""
        maps = [features[name] for name in self.in_features]
        logits, deltas = self.rpn_head(maps)
        anchors = self.anchor_generator([m.shape[-2:] for m in maps])
        losses = (
            self.losses(anchors, logits, deltas=deltas, targets=targets, generators=generators)
            if self.training
            else {}
        )
        with torch.no_grad():
            return self.propose(anchors, logits, deltas, sizes), losses

    def losses(self, anchors, logits, deltas, targets, generators) -> dict[str, Tensor]:
        """``loss_rpn_cls`` and ``loss_rpn_loc``, scalars, both over BATCH_SIZE_PER_IMAGE x images however many were sampled."""
        anchors, logits, deltas = (
            torch.cat(anchors),
            torch.cat(logits, dim=1),
            torch.cat(deltas, dim=1),
        )
        rows, wanted, sources, gt_boxes = [], [], [], []
        for index, (instances, generator) in enumerate(zip(targets, generators, strict=True)):
            positive, negative, match = self.sample_anchors(anchors, instances, generator)
            # Rows of the whole batch, so that one gather serves all images.
            rows.append(torch.cat((positive, negative)) + index * len(anchors))
            wanted.append(torch.cat((torch.ones_like(positive), torch.zeros_like(negative))))
            sources.append(positive)
            gt_boxes.append(instances.gt_boxes.tensor[match[positive]].to(anchors))
        foreground = torch.cat([p + i * len(anchors) for i, p in enumerate(sources)])
        # Logits come in float32 whatever the features' precision, and so do the answers.
        wanted = torch.cat(wanted).to(torch.float32)
        objectness = F.binary_cross_entropy_with_logits(
            logits.flatten()[torch.cat(rows)], wanted, reduction="sum"
        )
        location = box_regression_loss(
            self.transform,
            anchors[torch.cat(sources)],
            deltas=deltas.flatten(0, 1)[foreground],
            target=torch.cat(gt_boxes),
            kind=self.loss_kind,
            beta=self.beta,
        )
        # By the number wanted, not found: an image with few positives does not weigh its boxes more, and learning rates carry over.
        sampled = self.samples * len(targets)
        return {
            "loss_rpn_cls": objectness / sampled * self.class_weight,
            "loss_rpn_loc": location / sampled * self.box_weight,
        }

    @torch.no_grad()
    def sample_anchors(
        self, anchors: Tensor, instances: Instances, generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Which of an image's anchors A,4 it learns from.

        Returns:
            Indices of the positive and of the negative anchors sampled, and the object matched to every anchor, A int64.
        """
        match, label = self.matcher(pairwise_iou(instances.gt_boxes, Boxes(anchors)))
        if self.boundary >= 0:
            label[~Boxes(anchors).inside_box(instances.image_size, self.boundary)] = -1
        return *sample(
            label == 1, label == 0, total=self.samples, fraction=self.fraction, generator=generator
        ), match

    def propose(self, anchors, logits, deltas, sizes) -> list[Tensor]:
        """The best anchors of each map, moved by their deltas, clipped, NMS by map; the best of all maps remain.

        Args:
            anchors: A,4 of each map.
            logits: N,A of each map.
            deltas: N,A,4 of each map.
            sizes: (height, width) of each image.

        Returns:
            n,4 of each image, best first.
        """
        scores, boxes, levels = [], [], []
        for level, (anchor, logit, delta) in enumerate(zip(anchors, logits, deltas, strict=True)):
            # By map, before NMS: one over all maps would leave the coarse ones, which have few cells, without any.
            score, index = logit.topk(min(self.before_nms[self.training], logit.shape[1]), dim=1)
            delta = delta.gather(1, index[:, :, None].expand(-1, -1, 4))
            boxes.append(
                self.transform.decode(delta.flatten(0, 1), anchor[index.flatten()]).view(
                    *score.shape, 4
                )
            )
            scores.append(score)
            # NMS keeps maps apart, as Detectron2's: a large proposal does not drop a small one inside it.
            levels.append(torch.full((score.shape[1],), level, device=score.device))
        scores, boxes, levels = torch.cat(scores, dim=1), torch.cat(boxes, dim=1), torch.cat(levels)
        return [
            self.choose(b, s, levels, size) for b, s, size in zip(boxes, scores, sizes, strict=True)
        ]

    def choose(
        self, boxes: Tensor, scores: Tensor, levels: Tensor, size: tuple[int, int]
    ) -> Tensor:
        """One image's proposals n,4, best first.

        Args:
            boxes: A,4, x1, y1, x2, y2, as predicted.
            scores: A logits.
            levels: A, which map each comes from.
            size: (height, width) that they are clipped to.

        Raises:
            FloatingPointError: predictions that are not finite, in training: it has diverged.
        """
        # NaN and infinity are no boxes; in evaluation they are dropped, in training they mean that nothing will be learned any more.
        finite = torch.isfinite(boxes).all(dim=1) & torch.isfinite(scores)
        clipped = Boxes(boxes)
        # Before NMS: two boxes that differ only outside the image are one proposal.
        clipped.clip(size)
        keep = finite & clipped.nonempty(threshold=self.min_size)
        if self.training and not finite.all():
            raise FloatingPointError(
                "predicted boxes or scores are not finite: training has diverged; lower SOLVER.BASE_LR"
            )
        boxes, scores, levels = clipped.tensor[keep], scores[keep], levels[keep]
        return boxes[
            batched_nms(boxes, scores, levels, self.nms_threshold)[: self.after_nms[self.training]]
        ]
