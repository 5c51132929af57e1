"""Panoptic FPN (Kirillov et al. 2019): Mask R-CNN and a semantic FPN on one backbone, merged into one segment a pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from fvcore.common.config import CfgNode
from torch import Tensor, nn

from bdd_inst.modeling.freeze import set_trainable
from bdd_inst.modeling.heads.rpn import RPN
from bdd_inst.modeling.heads.sem_seg import SemSegFPNHead
from bdd_inst.modeling.meta.base import output_size
from bdd_inst.modeling.meta.mask_rcnn import MaskRCNN, detector_parts, require_instances
from bdd_inst.modeling.meta.panoptic_merge import Panoptic, merge_from_config
from bdd_inst.modeling.meta.rcnn_tta import RCNNTTA
from bdd_inst.modeling.meta.semantic_segmentor import sem_seg_postprocess, sem_seg_targets
from bdd_inst.modeling.meta.tta import MeanProbability, View
from bdd_inst.structures import ImageList, Instances

# What MODEL.PANOPTIC_FPN.INSTANCE_LOSS_WEIGHT weighs in Detectron2: not the classification.
WEIGHED = ("loss_box_reg", "loss_mask")


class PanopticFPN(MaskRCNN):
    """As :class:`MaskRCNN`; in training the dicts also carry ``sem_seg`` H,W int64: 0 where things are, stuff from 1 on, IGNORE_VALUE
    where unknown.

    In training its losses and ``loss_sem_seg``; in evaluation ``instances`` as there, ``sem_seg`` K,height,width float32 logits, and
    ``panoptic_seg``: H,W int32 ids and a list of segments (:mod:`bdd_inst.modeling.meta.panoptic_merge`).
    """

    def __init__(
        self,
        backbone: nn.Module,
        proposal_generator: RPN,
        roi_heads: nn.Module,
        sem_seg_head: SemSegFPNHead,
        merge: Callable[[Instances, Tensor], Panoptic],
        *,
        instance_weight: float = 1.0,
        **options,
    ):
        """As :class:`MaskRCNN`.

        Args:
            sem_seg_head: the pixel-wise head on the same maps.
            merge: objects and labels H,W to segments.
            instance_weight: of the losses of boxes and masks.
            options: of :class:`MaskRCNN`.
        """
        super().__init__(backbone, proposal_generator, roi_heads, **options)
        self.sem_seg_head, self.merge = sem_seg_head, merge
        self.instance_weight = instance_weight

    @classmethod
    def from_config(cls, cfg: CfgNode) -> PanopticFPN:
        """By MODEL, with random weights."""
        backbone, *stages = detector_parts(cfg)
        return cls(
            backbone,
            *stages,
            SemSegFPNHead.from_config(cfg, backbone.channels, backbone.strides),
            merge_from_config(cfg),
            instance_weight=cfg.MODEL.PANOPTIC_FPN.INSTANCE_LOSS_WEIGHT,
            tta=RCNNTTA.from_config(cfg),
            **cls.image_options(cfg),
        )

    def losses(self, batch: Sequence[dict]) -> dict[str, Tensor]:
        """Those of :class:`MaskRCNN` and ``loss_sem_seg``, scalars.

        Raises:
            DataError: an image without ``instances`` or ``sem_seg``, or with labels that do not fit it.
        """
        require_instances(batch)
        images = self.preprocess(batch)
        # Before the forward pass: a label map that does not fit should not cost one.
        targets = sem_seg_targets(batch, images, self.sem_seg_head)
        features = self.backbone(images.tensor)
        logits = self.sem_seg_head(features, tuple(images.tensor.shape[-2:]))
        losses = self.object_losses(batch, images, features)
        weighed = {
            name: value * self.instance_weight if name.startswith(WEIGHED) else value
            for name, value in losses.items()
        }
        return self.sem_seg_head.losses(logits, targets) | weighed

    @torch.no_grad()
    def inference(self, batch: Sequence[dict], mask_format: str = "bitmask") -> list[dict]:
        """``instances``, ``sem_seg`` and ``panoptic_seg`` of each image on its original size, of all its views where TEST.AUG is on."""
        if self.tta is not None:
            return [self.infer_views(entry, mask_format) for entry in batch]
        images, features = self.extract(batch)
        logits = self.sem_seg_head(features, tuple(images.tensor.shape[-2:]))
        detections = self.detect(images, features)
        return [
            self.merged(
                self._postprocess(found, entry, mask_format),
                sem_seg_postprocess(planes, size, *output_size(entry, size)),
            )
            for found, planes, size, entry in zip(
                detections, logits, images.image_sizes, batch, strict=True
            )
        ]

    def infer_views(self, entry: dict, mask_format: str) -> dict:
        """One image's output: objects merged and pixel probabilities averaged over its views, then combined."""
        mean = MeanProbability()

        def look(features: dict[str, Tensor], images: ImageList, views: Sequence[View]) -> None:
            logits = self.sem_seg_head(features, tuple(images.tensor.shape[-2:]))
            for view, planes in zip(views, logits, strict=True):
                # On the original size: views differ in theirs, and only there do their pixels correspond.
                mean.add(sem_seg_postprocess(planes, view.size, *view.original), view.mirrored)

        found = self.tta.detect(self, entry, look)
        return self.merged(self._postprocess(found, entry, mask_format), mean.logits())

    def merged(self, instances: Instances, sem_seg: Tensor) -> dict:
        """The output dict of instances and logits K,H,W on the original image."""
        return {
            "sem_seg": sem_seg,
            "instances": instances,
            "panoptic_seg": self.merge(instances, sem_seg.argmax(dim=0)),
        }


def build_panoptic_fpn(cfg: CfgNode) -> PanopticFPN:
    """The model of ``cfg``, randomly initialized, frozen as MODEL.BACKBONE.FREEZE_AT says."""
    model = PanopticFPN.from_config(cfg)
    set_trainable(model, "all", cfg.MODEL.BACKBONE.FREEZE_AT)
    return model
