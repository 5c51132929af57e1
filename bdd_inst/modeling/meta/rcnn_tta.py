"""Test-time augmentation of Mask R-CNN: boxes of all views merged by NMS, masks of the merged boxes averaged, as Detectron2 does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from fvcore.common.config import CfgNode
from torch import Tensor

from bdd_inst.modeling.heads.box_head import choose_detections
from bdd_inst.modeling.meta.tta import View, Views
from bdd_inst.structures import Boxes, ImageList, Instances

# Views go through the model in batches of so many, padded together, as in Detectron2: another number would pad them
# otherwise, which the features near their edges see.
BATCH = 3
SCORE_THRESHOLD = 1e-8  # the views' own detections have passed SCORE_THRESH_TEST
KEPT_BYTES = 1 << 30  # of features that wait for the masks; what goes beyond is computed twice

Features = dict[str, Tensor]


class RCNNTTA:
    """Sees one image after the other in all views.

    Args:
        views: how.
        num_classes: of the model.
        nms_threshold, most: which of the merged detections are kept; ``most`` below 0 keeps all.
        masks: whether the model has masks.
    """

    def __init__(
        self, views: Views, num_classes: int, nms_threshold: float, most: int, masks: bool
    ):
        self.views, self.classes, self.masks = views, num_classes, masks
        self.nms_threshold, self.most = nms_threshold, most

    @classmethod
    def from_config(cls, cfg: CfgNode) -> RCNNTTA | None:
        """By TEST.AUG; None where it is off."""
        views, heads = Views.from_config(cfg), cfg.MODEL.ROI_HEADS
        if views is None:
            return None
        return cls(
            views,
            num_classes=heads.NUM_CLASSES,
            nms_threshold=heads.NMS_THRESH_TEST,
            most=cfg.TEST.DETECTIONS_PER_IMAGE,
            masks=bool(cfg.MODEL.MASK_ON),
        )

    def detect(
        self,
        model: Any,
        entry: dict,
        look: Callable[[Features, ImageList, Sequence[View]], None] | None = None,
    ) -> Instances:
        """Detections of one model input on its original image, ``pred_masks`` N,1,M,M the mean probabilities.

        Args:
            model: with ``preprocess``, ``extract``, ``detect`` and ``add_masks`` of Mask R-CNN.
            look: takes the features of every batch of views, for what else a model makes of them.
        """
        views = self.views.of(entry)
        groups = [views[i : i + BATCH] for i in range(0, len(views), BATCH)]
        inputs = [[{"image": view.image(entry["image"])} for view in group] for group in groups]
        boxes, scores, kept, room = [], [], [], KEPT_BYTES
        for group, batch in zip(groups, inputs, strict=True):
            images, features = model.extract(batch)
            if look is not None:
                look(features, images, group)
            for view, found in zip(group, model.detect(images, features, False), strict=True):
                boxes.append(view.boxes_back(found.pred_boxes.tensor))
                scores.append(self._rows(found))
            room -= sum(f.numel() * f.element_size() for f in features.values())
            kept.append(features if room >= 0 and self.masks else None)
        merged = choose_detections(
            torch.cat(boxes),
            torch.cat(scores),
            size=views[0].original,
            score_threshold=SCORE_THRESHOLD,
            nms_threshold=self.nms_threshold,
            most=self.most,
        )
        if self.masks:
            merged.pred_masks = self._masks(model, merged, groups=groups, inputs=inputs, kept=kept)
        return merged

    def _rows(self, found: Instances) -> Tensor:
        """R,K+1: each detection's score in the column of its class."""
        # As a predictor's probabilities, which ``choose_detections`` takes: each box is of one class only.
        rows = found.scores.new_zeros(len(found), self.classes + 1)
        rows[torch.arange(len(found), device=rows.device), found.pred_classes] = found.scores
        return rows

    def _masks(self, model: Any, merged: Instances, groups, inputs, kept) -> Tensor:
        """N,1,M,M: the mean over the views of the masks of the same boxes."""
        parts = []
        for group, batch, features in zip(groups, inputs, kept, strict=True):
            if features is None:
                _, features = model.extract(batch)
            seen = [
                Instances(
                    view.size,
                    pred_boxes=Boxes(view.boxes_here(merged.pred_boxes.tensor)),
                    pred_classes=merged.pred_classes,
                )
                for view in group
            ]
            for view, found in zip(group, model.add_masks(features, seen), strict=True):
                masks = found.pred_masks
                # The grid lies on the mirrored box: turned back, its columns mean the same in every view.
                parts.append(masks.flip(-1) if view.mirrored else masks)
        return torch.stack(parts).mean(dim=0)
