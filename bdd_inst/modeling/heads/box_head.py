"""The second stage's boxes: features of each proposal to a class and a better box (Fast R-CNN).

Boxes x1, y1, x2, y2, logits and deltas are float32, class indices int64, features of the precision of the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from fvcore.common.config import CfgNode
from fvcore.nn.weight_init import c2_xavier_fill
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms

from bdd_inst.modeling.layers.box_regression import BoxTransform, box_regression_loss
from bdd_inst.modeling.layers.convolution import Linear, add_convs
from bdd_inst.structures import Boxes, Instances


class ConvFCHead(nn.Module):
    """3x3 convolutions ``conv1`` ... then linear layers ``fc1`` ..., each with ReLU.

    Args:
        channels, size: of the pooled features C,S,S.
        num_conv, conv_dim, norm: of the convolutions.
        num_fc, fc_dim: of the linear layers.

    Attributes:
        outputs: the length of the flattened result.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        *,
        num_conv: int = 0,
        conv_dim: int = 256,
        norm: str = "",
        num_fc: int = 2,
        fc_dim: int = 1024,
    ):
        super().__init__()
        self.convs = [f"conv{index + 1}" for index in range(num_conv)]
        channels = add_convs(self, self.convs, channels=channels, width=conv_dim, norm=norm)
        self.fcs = []
        self.outputs = channels * size * size
        for index in range(num_fc):
            fc = Linear(self.outputs, fc_dim)
            c2_xavier_fill(fc)
            self.fcs.append(f"fc{index + 1}")
            self.add_module(self.fcs[-1], fc)
            self.outputs = fc_dim

    @classmethod
    def from_config(cls, cfg: CfgNode, channels: int, size: int) -> ConvFCHead:
        """By MODEL.ROI_BOX_HEAD."""
        options = cfg.MODEL.ROI_BOX_HEAD
        return cls(
            channels,
            size,
            num_conv=options.NUM_CONV,
            conv_dim=options.CONV_DIM,
            norm=options.NORM,
            num_fc=options.NUM_FC,
            fc_dim=options.FC_DIM,
        )

    def forward(self, x: Tensor) -> Tensor:
        """R,C,S,S to R,outputs."""
        for name in self.convs:
            x = getattr(self, name)(x)
        # By channel, row, column, whatever the memory order: the order that the first layer's weights were learned in.
        x = x.flatten(1)
        for name in self.fcs:
            x = F.relu_(getattr(self, name)(x))
        return x


class BoxPredictor(nn.Module):
    """``cls_score`` (K classes and the background, last) and ``bbox_pred`` (4 a class, or 4 in all).

    Args:
        inputs: length of a region's features.
        num_classes: K.
        transform: between boxes and deltas.
        class_agnostic: one box for all classes.
        loss: of the boxes, its kind, its ``beta`` and the weight of its sum.
        sigmoid: one binary decision a class instead of a softmax.
        score_threshold, nms_threshold, most: which detections are kept; ``most`` below 0 keeps all.
    """

    def __init__(
        self,
        inputs: int,
        num_classes: int,
        transform: BoxTransform,
        *,
        class_agnostic: bool = False,
        loss: tuple[str, float, float] = ("smooth_l1", 0.0, 1.0),
        sigmoid: bool = False,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.5,
        most: int = 100,
    ):
        super().__init__()
        self.classes, self.agnostic = num_classes, class_agnostic
        self.cls_score = Linear(inputs, num_classes + 1)
        self.bbox_pred = Linear(inputs, 4 if class_agnostic else 4 * num_classes)
        # Fast R-CNN's beginnings (section 2.3): all classes alike, and boxes left where the proposals are.
        nn.init.normal_(self.cls_score.weight, std=0.01)
        nn.init.normal_(self.bbox_pred.weight, std=0.001)
        nn.init.zeros_(self.cls_score.bias)
        nn.init.zeros_(self.bbox_pred.bias)
        self.transform = transform
        self.loss_kind, self.beta, self.box_weight = loss
        self.sigmoid = sigmoid
        self.score_threshold, self.nms_threshold, self.most = score_threshold, nms_threshold, most

    @classmethod
    def from_config(
        cls, cfg: CfgNode, inputs: int, weights: Sequence[float] | None = None
    ) -> BoxPredictor:
        """By MODEL.ROI_BOX_HEAD, MODEL.ROI_HEADS and TEST; ``weights`` of the deltas in place of its BBOX_REG_WEIGHTS."""
        options, heads = cfg.MODEL.ROI_BOX_HEAD, cfg.MODEL.ROI_HEADS
        return cls(
            inputs,
            heads.NUM_CLASSES,
            BoxTransform(options.BBOX_REG_WEIGHTS if weights is None else weights),
            class_agnostic=options.CLS_AGNOSTIC_BBOX_REG,
            loss=(
                options.BBOX_REG_LOSS_TYPE,
                options.SMOOTH_L1_BETA,
                options.BBOX_REG_LOSS_WEIGHT,
            ),
            sigmoid=options.USE_SIGMOID_CE,
            score_threshold=heads.SCORE_THRESH_TEST,
            nms_threshold=heads.NMS_THRESH_TEST,
            most=cfg.TEST.DETECTIONS_PER_IMAGE,
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """R,inputs to R,K+1 logits and R,4K (or R,4) deltas, float32."""
        # From here on in float32: scores are compared, and boxes have four digits before the point.
        return self.cls_score(x).float(), self.bbox_pred(x).float()

    def losses(
        self, logits: Tensor, deltas: Tensor, proposals: Tensor, classes: Tensor, gt_boxes: Tensor
    ) -> dict[str, Tensor]:
        """``loss_cls`` and ``loss_box_reg``.

        Args:
            proposals: R,4. classes: R int64, K for background. gt_boxes: R,4, meaningful in foreground rows.
        """
        foreground = (classes < self.classes).nonzero().flatten()
        # Only the box of the true class learns; the others of the region are about other classes.
        chosen = (
            deltas[foreground]
            if self.agnostic
            else deltas.view(-1, self.classes, 4)[foreground, classes[foreground]]
        )
        box = box_regression_loss(
            self.transform,
            proposals[foreground],
            deltas=chosen,
            target=gt_boxes[foreground],
            kind=self.loss_kind,
            beta=self.beta,
        )
        # Over all regions, not the foreground only: so each foreground region weighs the same in every image.
        return {
            "loss_cls": self.class_loss(logits, classes),
            "loss_box_reg": box / max(len(classes), 1) * self.box_weight,
        }

    def class_loss(self, logits: Tensor, classes: Tensor) -> Tensor:
        """The loss of logits R,K+1 on classes R, K for the background: a scalar, 0 (with a gradient of 0) without rows.

        Cross entropy over classes and background, or with USE_SIGMOID_CE one binary decision a class.
        """
        if not len(classes):
            # A gradient of 0 instead of none: with several processes every parameter must take part in the exchange.
            return logits.sum() * 0.0
        if not self.sigmoid:
            return F.cross_entropy(logits, classes)
        # The background is a row of zeros: no class says yes.
        wanted = F.one_hot(classes, self.classes + 1)[:, :-1].to(logits.dtype)
        return F.binary_cross_entropy_with_logits(logits[:, :-1], wanted, reduction="sum") / len(
            classes
        )

    def boxes_of_classes(self, deltas: Tensor, proposals: Tensor, classes: Tensor) -> Tensor:
        """R,4: each proposal moved as its class predicts (background rows: as the last class does)."""
        boxes = self.transform.decode(deltas, proposals).unflatten(1, (-1, 4))
        rows = torch.arange(len(boxes), device=boxes.device)
        return boxes[rows, classes.clamp(0, boxes.shape[1] - 1)]

    def probabilities(self, logits: Tensor) -> Tensor:
        """R,K+1 logits to what each class is worth; with USE_SIGMOID_CE the last column means nothing."""
        return logits.sigmoid() if self.sigmoid else logits.softmax(dim=1)

    def detect(
        self,
        logits: Tensor,
        deltas: Tensor,
        proposals: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Instances]:
        """Detections of each image: ``pred_boxes``, ``scores``, ``pred_classes``, best first.

        Args:
            logits: R,K+1, of all images in turn.
            deltas: R,4K (R,4 class-agnostic).
            proposals: n,4 of each image.
            sizes: (height, width) of each image.
        """
        boxes = self.transform.decode(deltas, torch.cat(list(proposals)))
        return self.choose(boxes, self.probabilities(logits), [len(p) for p in proposals], sizes)

    def choose(
        self,
        boxes: Tensor,
        scores: Tensor,
        counts: Sequence[int],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Instances]:
        """As :meth:`detect`, of predictions that are boxes R,4K and probabilities R,K+1 already; ``counts`` says how many rows each image has."""
        return [
            choose_detections(
                b,
                s,
                size=size,
                score_threshold=self.score_threshold,
                nms_threshold=self.nms_threshold,
                most=self.most,
            )
            for b, s, size in zip(boxes.split(counts), scores.split(counts), sizes, strict=True)
        ]


def choose_detections(
    boxes: Tensor,
    scores: Tensor,
    size: tuple[int, int],
    score_threshold: float,
    nms_threshold: float,
    most: int,
) -> Instances:
    """One image's detections, best first: above the threshold, clipped, NMS by class.

    Args:
        boxes: R,4K, a box for every class, or R,4, one for all.
        scores: R,K+1 probabilities; the last column is the background's.
        most: how many are kept at most; below 0 all.

    Returns:
        ``pred_boxes``, ``scores``, ``pred_classes``.
    """
    # Without NaN: no comparison holds for it, so NMS would neither drop it nor what it overlaps.
    finite = torch.isfinite(boxes).all(dim=1) & torch.isfinite(scores).all(dim=1)
    scores = scores[:, :-1]
    row, kind = ((scores > score_threshold) & finite[:, None]).nonzero(as_tuple=True)
    boxes = boxes.unflatten(1, (-1, 4))
    # A region may be several classes at once, each with a box of its own, until NMS by class has spoken.
    picked = Boxes(boxes[row, 0 if boxes.shape[1] == 1 else kind])
    picked.clip(size)
    scores = scores[row, kind]
    keep = batched_nms(picked.tensor, scores, kind, nms_threshold)
    # NMS gives the best first, over all classes.
    keep = keep[:most] if most >= 0 else keep
    return Instances(size, pred_boxes=picked[keep], scores=scores[keep], pred_classes=kind[keep])
