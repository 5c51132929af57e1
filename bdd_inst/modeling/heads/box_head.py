"""The second stage's boxes: features of each proposal to a class and a better box (Fast R-CNN)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from fvcore.nn.weight_init import c2_msra_fill, c2_xavier_fill
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms

from bdd_inst.modeling.layers.box_regression import BoxTransform, box_regression_loss
from bdd_inst.modeling.layers.convolution import Conv2d, Linear
from bdd_inst.modeling.layers.norms import get_norm
from bdd_inst.structures import Boxes, Instances


class ConvFCHead(nn.Module):
    """3x3 convolutions ``conv1`` ... then linear layers ``fc1`` ..., each with ReLU, by MODEL.ROI_BOX_HEAD.

    Attribute ``outputs``: the length of the flattened result.
    """

    def __init__(self, cfg, channels: int, size: int):
        super().__init__()
        options = cfg.MODEL.ROI_BOX_HEAD
        self.convs, self.fcs = [], []
        for index in range(options.NUM_CONV):
            norm = get_norm(options.NORM, options.CONV_DIM)
            conv = Conv2d(
                channels,
                options.CONV_DIM,
                3,
                padding=1,
                bias=not options.NORM,
                norm=norm,
                relu=True,
            )
            c2_msra_fill(conv)
            self.convs.append(f"conv{index + 1}")
            self.add_module(self.convs[-1], conv)
            channels = options.CONV_DIM
        self.outputs = channels * size * size
        for index in range(options.NUM_FC):
            fc = Linear(self.outputs, options.FC_DIM)
            c2_xavier_fill(fc)
            self.fcs.append(f"fc{index + 1}")
            self.add_module(self.fcs[-1], fc)
            self.outputs = options.FC_DIM

    def forward(self, x: Tensor) -> Tensor:
        """R,C,S,S to R,outputs."""
        for name in self.convs:
            x = getattr(self, name)(x)
        x = x.flatten(1)
        for name in self.fcs:
            x = F.relu_(getattr(self, name)(x))
        return x


class BoxPredictor(nn.Module):
    """``cls_score`` (K classes and the background, last) and ``bbox_pred`` (4 a class, or 4 in all).

    ``weights`` are those of the box deltas, MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS where none are given.
    """

    def __init__(self, cfg, inputs: int, weights: Sequence[float] | None = None):
        super().__init__()
        options, heads = cfg.MODEL.ROI_BOX_HEAD, cfg.MODEL.ROI_HEADS
        self.classes, self.agnostic = heads.NUM_CLASSES, options.CLS_AGNOSTIC_BBOX_REG
        self.cls_score = Linear(inputs, self.classes + 1)
        self.bbox_pred = Linear(inputs, 4 if self.agnostic else 4 * self.classes)
        nn.init.normal_(self.cls_score.weight, std=0.01)
        nn.init.normal_(self.bbox_pred.weight, std=0.001)
        nn.init.zeros_(self.cls_score.bias)
        nn.init.zeros_(self.bbox_pred.bias)
        self.transform = BoxTransform(options.BBOX_REG_WEIGHTS if weights is None else weights)
        self.loss_kind, self.beta, self.box_weight = (
            options.BBOX_REG_LOSS_TYPE,
            options.SMOOTH_L1_BETA,
            options.BBOX_REG_LOSS_WEIGHT,
        )
        self.sigmoid = options.USE_SIGMOID_CE
        self.score_threshold, self.nms_threshold = heads.SCORE_THRESH_TEST, heads.NMS_THRESH_TEST
        self.most = cfg.TEST.DETECTIONS_PER_IMAGE

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """R,inputs to R,K+1 logits and R,4K (or R,4) deltas, float32."""
        return self.cls_score(x).float(), self.bbox_pred(x).float()

    def losses(
        self, logits: Tensor, deltas: Tensor, proposals: Tensor, classes: Tensor, gt_boxes: Tensor
    ) -> dict[str, Tensor]:
        """``loss_cls`` and ``loss_box_reg``.

        Args:
            proposals: R,4. classes: R int64, K for background. gt_boxes: R,4, meaningful in foreground rows.
        """
        foreground = (classes < self.classes).nonzero().flatten()
        chosen = (
            deltas[foreground]
            if self.agnostic
            else deltas.view(-1, self.classes, 4)[foreground, classes[foreground]]
        )
        box = box_regression_loss(
            self.transform,
            proposals[foreground],
            chosen,
            gt_boxes[foreground],
            self.loss_kind,
            self.beta,
        )
        # Over all regions, not the foreground only: so each foreground region weighs the same in every picture.
        return {
            "loss_cls": self.class_loss(logits, classes),
            "loss_box_reg": box / max(len(classes), 1) * self.box_weight,
        }

    def class_loss(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Cross entropy over classes and background, or with USE_SIGMOID_CE one binary decision a class."""
        if not len(classes):
            return logits.sum() * 0.0
        if not self.sigmoid:
            return F.cross_entropy(logits, classes)
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
        """Detections of each picture: ``pred_boxes``, ``scores``, ``pred_classes``, best first."""
        boxes = self.transform.decode(deltas, torch.cat(list(proposals)))
        return self.choose(boxes, self.probabilities(logits), [len(p) for p in proposals], sizes)

    def choose(
        self,
        boxes: Tensor,
        scores: Tensor,
        counts: Sequence[int],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Instances]:
        """As :meth:`detect`, of predictions that are boxes and probabilities; ``counts`` says how many each picture has."""
        return [
            choose_detections(b, s, size, self.score_threshold, self.nms_threshold, self.most)
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
    """One picture's detections, best first: above the threshold, clipped, NMS by class.

    Args:
        boxes: R,4K, a box for every class, or R,4, one for all.
        scores: R,K+1 probabilities; the last column is the background's.
        most: how many are kept at most; below 0 all.

    Returns:
        ``pred_boxes``, ``scores``, ``pred_classes``.
    """
    finite = torch.isfinite(boxes).all(dim=1) & torch.isfinite(scores).all(dim=1)
    scores = scores[:, :-1]
    row, kind = ((scores > score_threshold) & finite[:, None]).nonzero(as_tuple=True)
    boxes = boxes.unflatten(1, (-1, 4))
    picked = Boxes(boxes[row, 0 if boxes.shape[1] == 1 else kind])
    picked.clip(size)
    scores = scores[row, kind]
    keep = batched_nms(picked.tensor, scores, kind, nms_threshold)
    keep = keep[:most] if most >= 0 else keep
    return Instances(size, pred_boxes=picked[keep], scores=scores[keep], pred_classes=kind[keep])
