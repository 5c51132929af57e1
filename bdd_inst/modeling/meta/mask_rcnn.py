"""Mask R-CNN (He et al. 2017): Detectron2's GeneralizedRCNN, its parameter names, its contract."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bdd_inst.base.errors import DataError
from bdd_inst.modeling.backbones import build_backbone, require_features
from bdd_inst.modeling.freeze import set_trainable
from bdd_inst.modeling.heads import ROI_HEADS
from bdd_inst.modeling.heads.rpn import RPN
from bdd_inst.modeling.layers.matching import picture_generators
from bdd_inst.modeling.meta.base import PictureModel, output_size
from bdd_inst.modeling.meta.postprocessing import postprocess
from bdd_inst.modeling.meta.rcnn_tta import RCNNTTA
from bdd_inst.structures import ImageList, Instances


class MaskRCNN(PictureModel):
    """Takes ``list[dict]``: ``image`` C,H,W (uint8 or float, in INPUT.FORMAT), ``height`` and ``width`` of the result
    (the picture's own where missing), ``instances`` in training (``gt_boxes``, ``gt_classes``, ``gt_masks``), and
    optionally ``sample_seed``: with it the picture's random draws depend on nothing else.

    In training a dict of losses; in evaluation ``[{"instances": Instances}]`` with ``pred_boxes``, ``scores``,
    ``pred_classes`` and ``pred_masks`` on the picture of ``height`` x ``width``.

    Attributes: ``mask_format``, ``bitmask`` (N,H,W bool) or ``rle`` (RLEMasks); ``precision``, the dtype of inference; ``tta``, how
    a picture is seen several times in evaluation (TEST.AUG), or None.
    """

    def __init__(self, cfg):
        super().__init__(cfg)
        self.backbone = build_backbone(cfg)
        for key in ("RPN", "ROI_HEADS"):
            require_features(self.backbone, f"MODEL.{key}.IN_FEATURES", cfg.MODEL[key].IN_FEATURES)
        self.proposal_generator = RPN(cfg, self.backbone.channels, self.backbone.strides)
        self.roi_heads = ROI_HEADS.pick(cfg.MODEL.ROI_HEADS.NAME)(
            cfg, self.backbone.channels, self.backbone.strides
        )
        self.mask_format = "bitmask"
        self.tta = RCNNTTA.from_cfg(cfg)

    def losses(self, batch: Sequence[dict]) -> dict[str, Tensor]:
        """``loss_rpn_cls``, ``loss_rpn_loc``, ``loss_cls``, ``loss_box_reg``, ``loss_mask``.

        Raises:
            DataError: a picture without ``instances``.
        """
        require_instances(batch)
        images = self.preprocess(batch)
        return self.object_losses(batch, images, self.backbone(images.tensor))

    def object_losses(
        self, batch: Sequence[dict], images: ImageList, features: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """As :meth:`losses`, from the backbone's features."""
        targets = [entry["instances"].to(self.device) for entry in batch]
        generators = picture_generators([entry.get("sample_seed") for entry in batch])
        proposals, rpn_losses = self.proposal_generator(
            features, images.image_sizes, targets, generators
        )
        _, losses = self.roi_heads(features, proposals, images.image_sizes, targets, generators)
        return losses | rpn_losses

    @torch.no_grad()
    def inference(self, batch: Sequence[dict], do_postprocess: bool = True) -> list:
        """Detections, of all views of a picture where TEST.AUG is on.

        Without ``do_postprocess`` Instances on the resized pictures, seen once, with ``pred_masks`` N,1,M,M probabilities.
        """
        if not do_postprocess:
            return self.detect(*self.extract(batch))
        if self.tta is None:
            detections = self.detect(*self.extract(batch))
        else:
            detections = [self.tta.detect(self, entry) for entry in batch]
        return [
            {"instances": self._postprocess(d, entry)}
            for d, entry in zip(detections, batch, strict=True)
        ]

    def extract(self, batch: Sequence[dict]) -> tuple[ImageList, dict[str, Tensor]]:
        """The padded pictures and the backbone's features of them, in the precision of inference."""
        images = self.preprocess(batch)
        return images, self.backbone(images.tensor.to(self.precision))

    def detect(
        self, images: ImageList, features: dict[str, Tensor], masks: bool = True
    ) -> list[Instances]:
        """Instances on the resized pictures, from the backbone's features."""
        proposals, _ = self.proposal_generator(features, images.image_sizes)
        detections, _ = self.roi_heads(features, proposals, images.image_sizes)
        return self.add_masks(features, detections) if masks else detections

    def add_masks(
        self, features: dict[str, Tensor], detections: list[Instances]
    ) -> list[Instances]:
        """Mask probabilities for boxes that are already there, where there is a mask head."""
        return self.roi_heads.forward_with_given_boxes(features, detections)

    def _postprocess(self, detections: Instances, entry: dict) -> Instances:
        height, width = output_size(entry, detections.image_size)
        return postprocess(detections, height, width, self.mask_format)


def require_instances(batch: Sequence[dict]) -> None:
    """Raise DataError for the first picture without ``instances``."""
    for index, entry in enumerate(batch):
        if "instances" not in entry:
            raise DataError(
                f'picture {entry.get("file_name") or index} of the batch has no "instances" (gt_boxes, gt_classes, gt_masks), which '
                "training needs, empty ones where it has no object; call model.eval() to detect"
            )


def build_mask_rcnn(cfg) -> MaskRCNN:
    """The model of ``cfg``, randomly initialised, frozen as MODEL.BACKBONE.FREEZE_AT says."""
    model = MaskRCNN(cfg)
    set_trainable(model, "all", cfg.MODEL.BACKBONE.FREEZE_AT)
    return model
