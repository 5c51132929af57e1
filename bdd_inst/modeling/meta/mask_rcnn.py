"""Mask R-CNN (He et al. 2017): Detectron2's GeneralizedRCNN, its parameter names, its contract."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bdd_inst.base.errors import DataError
from bdd_inst.modeling.backbones.fpn import build_backbone
from bdd_inst.modeling.freeze import set_trainable
from bdd_inst.modeling.heads.roi_heads import ROI_HEADS
from bdd_inst.modeling.heads.rpn import RPN
from bdd_inst.modeling.layers.matching import picture_generators
from bdd_inst.modeling.meta.postprocessing import postprocess
from bdd_inst.structures import ImageList, Instances

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class MaskRCNN(nn.Module):
    """Takes ``list[dict]``: ``image`` C,H,W (uint8 or float, in INPUT.FORMAT), ``height`` and ``width`` of the result
    (the picture's own where missing), ``instances`` in training (``gt_boxes``, ``gt_classes``, ``gt_masks``), and
    optionally ``sample_seed``: with it the picture's random draws depend on nothing else.

    In training a dict of losses; in evaluation ``[{"instances": Instances}]`` with ``pred_boxes``, ``scores``,
    ``pred_classes`` and ``pred_masks`` on the picture of ``height`` x ``width``.

    Attributes: ``mask_format``, ``bitmask`` (N,H,W bool) or ``rle`` (RLEMasks); ``precision``, the dtype of inference.
    """

    def __init__(self, cfg):
        super().__init__()
        self.backbone = build_backbone(cfg)
        self.proposal_generator = RPN(cfg, self.backbone.channels, self.backbone.strides)
        self.roi_heads = ROI_HEADS[cfg.MODEL.ROI_HEADS.NAME](
            cfg, self.backbone.channels, self.backbone.strides
        )
        self.register_buffer(
            "pixel_mean",
            torch.tensor(cfg.MODEL.PIXEL_MEAN, dtype=torch.float32).view(-1, 1, 1),
            persistent=False,
        )
        self.register_buffer(
            "pixel_std",
            torch.tensor(cfg.MODEL.PIXEL_STD, dtype=torch.float32).view(-1, 1, 1),
            persistent=False,
        )
        self.mask_format = "bitmask"
        self.precision = PRECISIONS[cfg.MODEL.PRECISION]
        # Group norm in this order sums its groups less exactly, which float32 would show.
        grouped = any(isinstance(module, nn.GroupNorm) for module in self.modules())
        self.channels_last = cfg.MODEL.CHANNELS_LAST and not (
            grouped and self.precision == torch.float32
        )

    @property
    def device(self) -> torch.device:
        return self.pixel_mean.device

    def forward(self, batch: Sequence[dict]) -> dict[str, Tensor] | list[dict]:
        return self.losses(batch) if self.training else self.inference(batch)

    def losses(self, batch: Sequence[dict]) -> dict[str, Tensor]:
        """``loss_rpn_cls``, ``loss_rpn_loc``, ``loss_cls``, ``loss_box_reg``, ``loss_mask``.

        Raises:
            DataError: a picture without ``instances``.
        """
        require_instances(batch)
        images = self.preprocess(batch)
        targets = [entry["instances"].to(self.device) for entry in batch]
        generators = picture_generators([entry.get("sample_seed") for entry in batch])
        features = self.backbone(images.tensor)
        proposals, rpn_losses = self.proposal_generator(
            features, images.image_sizes, targets, generators
        )
        _, losses = self.roi_heads(features, proposals, images.image_sizes, targets, generators)
        return losses | rpn_losses

    @torch.no_grad()
    def inference(self, batch: Sequence[dict], do_postprocess: bool = True) -> list:
        """Detections; without ``do_postprocess`` Instances on the resized pictures with ``pred_masks`` N,1,M,M probabilities."""
        images = self.preprocess(batch)
        features = self.backbone(images.tensor.to(self.precision))
        proposals, _ = self.proposal_generator(features, images.image_sizes)
        detections, _ = self.roi_heads(features, proposals, images.image_sizes)
        if not do_postprocess:
            return detections
        return [
            {"instances": self._postprocess(d, entry)}
            for d, entry in zip(detections, batch, strict=True)
        ]

    def preprocess(self, batch: Sequence[dict]) -> ImageList:
        """Normalised pictures, padded with zeros to a size that the backbone's strides divide."""
        pictures = [
            (entry["image"].to(self.device).float() - self.pixel_mean) / self.pixel_std
            for entry in batch
        ]
        # Float32 training keeps the plain order: another order of summation would move gradients by more than its gain is worth.
        last = self.channels_last and (
            not self.training or torch.is_autocast_enabled(self.device.type)
        )
        return ImageList.from_tensors(pictures, self.backbone.size_divisibility, channels_last=last)

    def _postprocess(self, detections: Instances, entry: dict) -> Instances:
        height, width = (
            int(entry.get(key, own))
            for key, own in zip(("height", "width"), detections.image_size, strict=True)
        )
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
