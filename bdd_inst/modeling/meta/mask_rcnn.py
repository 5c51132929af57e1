"""Mask R-CNN (He et al. 2017): Detectron2's GeneralizedRCNN, its parameter names, its contract."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from fvcore.common.config import CfgNode
from torch import Tensor, nn

from bdd_inst.base.errors import DataError
from bdd_inst.modeling.backbones import build_backbone, require_features
from bdd_inst.modeling.freeze import set_trainable
from bdd_inst.modeling.heads import ROI_HEADS
from bdd_inst.modeling.heads.rpn import RPN
from bdd_inst.modeling.layers.matching import image_generators
from bdd_inst.modeling.meta.base import ImageModel, output_size
from bdd_inst.modeling.meta.postprocessing import postprocess
from bdd_inst.modeling.meta.rcnn_tta import RCNNTTA
from bdd_inst.structures import ImageList, Instances


class MaskRCNN(ImageModel):
    """Takes ``list[dict]``: ``image`` C,H,W (uint8 or float, in INPUT.FORMAT), ``height`` and ``width`` of the result
    (the image's own where missing), ``instances`` in training (``gt_boxes``, ``gt_classes``, ``gt_masks``), and
    optionally ``sample_seed``: with it the image's random draws depend on nothing else.

    In training a dict of losses; in evaluation ``[{"instances": Instances}]`` with ``pred_boxes``, ``scores``,
    ``pred_classes`` and ``pred_masks`` on the image of ``height`` x ``width``.

    Args:
        backbone: N,3,H,W to maps by name, with ``channels``, ``strides`` and ``size_divisibility``.
        proposal_generator, roi_heads: first and second stage.
        tta: how an image is seen several times in evaluation (TEST.AUG), or None.
        image_options: of :class:`ImageModel`.
    """

    mask_formats = ("bitmask", "rle")

    def __init__(
        self,
        backbone: nn.Module,
        proposal_generator: RPN,
        roi_heads: nn.Module,
        *,
        tta: RCNNTTA | None = None,
        **image_options,
    ):
        super().__init__(**image_options)
        self.backbone = backbone
        self.proposal_generator, self.roi_heads = proposal_generator, roi_heads
        self.tta = tta

    @classmethod
    def from_config(cls, cfg: CfgNode) -> MaskRCNN:
        """By MODEL, with random weights."""
        return cls(*detector_parts(cfg), tta=RCNNTTA.from_config(cfg), **cls.image_options(cfg))

    def losses(self, batch: Sequence[dict]) -> dict[str, Tensor]:
        """``loss_rpn_cls``, ``loss_rpn_loc``, ``loss_cls``, ``loss_box_reg``, ``loss_mask``, scalars.

        Raises:
            DataError: an image without ``instances``.
        """
        require_instances(batch)
        images = self.preprocess(batch)
        return self.object_losses(batch, images, self.backbone(images.tensor))

    def object_losses(
        self, batch: Sequence[dict], images: ImageList, features: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """As :meth:`losses`, from the backbone's features, N,C,H/stride,W/stride by name."""
        targets = [entry["instances"].to(self.device) for entry in batch]
        # One for each image: what is sampled of it does not depend on the device or on its neighbors in the batch.
        generators = image_generators([entry.get("sample_seed") for entry in batch])
        proposals, rpn_losses = self.proposal_generator(
            features, images.image_sizes, targets, generators
        )
        _, losses = self.roi_heads(features, proposals, images.image_sizes, targets, generators)
        return losses | rpn_losses

    @torch.no_grad()
    def inference(
        self, batch: Sequence[dict], do_postprocess: bool = True, mask_format: str = "bitmask"
    ) -> list:
        """Detections, of all views of an image where TEST.AUG is on.

        Args:
            do_postprocess: False gives Instances on the resized images, seen once, with ``pred_masks`` N,1,M,M probabilities.
            mask_format: ``bitmask`` for N,H,W bool, ``rle`` for RLEMasks, which are made without whole bitmaps.
        """
        if not do_postprocess:
            return self.detect(*self.extract(batch))
        if self.tta is None:
            detections = self.detect(*self.extract(batch))
        else:
            # One image at a time: its views are a batch already.
            detections = [self.tta.detect(self, entry) for entry in batch]
        return [
            {"instances": self._postprocess(d, entry, mask_format)}
            for d, entry in zip(detections, batch, strict=True)
        ]

    def extract(self, batch: Sequence[dict]) -> tuple[ImageList, dict[str, Tensor]]:
        """The padded images, N,3,H,W, and the backbone's features of them, N,C,H/stride,W/stride by name, in the precision of inference."""
        images = self.preprocess(batch)
        return images, self.backbone(images.tensor.to(self.precision))

    def detect(
        self, images: ImageList, features: dict[str, Tensor], masks: bool = True
    ) -> list[Instances]:
        """Instances on the resized images, from the backbone's features, N,C,H/stride,W/stride by name."""
        proposals, _ = self.proposal_generator(features, images.image_sizes)
        detections, _ = self.roi_heads(features, proposals, images.image_sizes)
        return self.add_masks(features, detections) if masks else detections

    def add_masks(
        self, features: dict[str, Tensor], detections: list[Instances]
    ) -> list[Instances]:
        """The same detections with ``pred_masks`` R,1,2S,2S probabilities for their boxes, where there is a mask head."""
        return self.roi_heads.forward_with_given_boxes(features, detections)

    @staticmethod
    def _postprocess(detections: Instances, entry: dict, mask_format: str) -> Instances:
        height, width = output_size(entry, detections.image_size)
        return postprocess(detections, height, width, mask_format)


def require_instances(batch: Sequence[dict]) -> None:
    """Refuse a batch that nothing can be learned from.

    Args:
        batch: inputs of a training step.

    Raises:
        DataError: for the first image without ``instances``.
    """
    for index, entry in enumerate(batch):
        if "instances" not in entry:
            raise DataError(
                f'image {entry.get("file_name") or index} of the batch has no "instances" (gt_boxes, gt_classes, gt_masks), which '
                "training needs, empty ones where it has no object; call model.eval() to detect"
            )


def detector_parts(cfg: CfgNode) -> tuple[nn.Module, RPN, nn.Module]:
    """Backbone, first and second stage by MODEL.BACKBONE, RPN and ROI_HEADS.

    Raises:
        ConfigError: a stage reads a map that the backbone does not give.
    """
    backbone = build_backbone(cfg)
    for key in ("RPN", "ROI_HEADS"):
        require_features(backbone, f"MODEL.{key}.IN_FEATURES", cfg.MODEL[key].IN_FEATURES)
    maps = backbone.channels, backbone.strides
    rpn = RPN.from_config(cfg, *maps)
    return backbone, rpn, ROI_HEADS.pick(cfg.MODEL.ROI_HEADS.NAME)(cfg, *maps)


def build_mask_rcnn(cfg: CfgNode) -> MaskRCNN:
    """The model of ``cfg``, randomly initialized, frozen as MODEL.BACKBONE.FREEZE_AT says.

    Args:
        cfg: a whole, checked config.

    Returns:
        the model on the CPU, in training mode.
    """
    model = MaskRCNN.from_config(cfg)
    set_trainable(model, "all", cfg.MODEL.BACKBONE.FREEZE_AT)
    return model
