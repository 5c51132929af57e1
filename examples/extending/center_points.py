"""A meta-architecture of one's own: objects as points (after Zhou et al. 2019), boxes alone, without anchors or proposals.

bdd-inst train --import examples/extending/center_points.py --config demo.yaml MODEL.META_ARCHITECTURE CenterPoints MODEL.MASK_ON False
"""

import torch
from torch import nn
from torch.nn import functional as F

from bdd_inst.modeling.backbones import build_backbone
from bdd_inst.modeling.meta import META_ARCHITECTURES
from bdd_inst.modeling.meta.base import ImageModel, output_size
from bdd_inst.structures import Boxes, Instances

FEATURE = "p3"  # the map whose cells are asked whether an object's middle is there


class CenterPoints(ImageModel):
    """``backbone``, ``losses`` and ``inference`` are all that the rest of the package asks for."""

    def __init__(self, backbone, classes, *, least_score=0.05, most=100, **image):
        # Pixel statistics, device, preprocess, losses or inference by mode.
        super().__init__(**image)
        self.classes, self.least_score, self.most = classes, least_score, most
        self.backbone = backbone
        self.stride = self.backbone.strides[FEATURE]
        self.head = nn.Conv2d(self.backbone.channels[FEATURE], self.classes + 4, 3, padding=1)
        nn.init.constant_(self.head.bias[: self.classes], -4.0)  # objects are rare

    @classmethod
    def from_config(cls, cfg):
        """The model that the cfg describes."""
        options = cfg.MODEL.ROI_HEADS
        return cls(
            build_backbone(cfg),
            options.NUM_CLASSES,
            least_score=options.SCORE_THRESH_TEST,
            most=cfg.TEST.DETECTIONS_PER_IMAGE,
            **cls.image_options(cfg),
        )

    def losses(self, batch):
        """Where the middles are, and from each how far the box reaches left, up, right and down (in strides)."""
        images = self.preprocess(batch)
        maps = self.head(self.backbone(images.tensor)[FEATURE])
        points, reach = torch.zeros_like(maps[:, : self.classes]), maps.sum() * 0.0
        count = 0
        for n, entry in enumerate(batch):
            objects = entry["instances"].to(self.device)
            boxes = objects.gt_boxes.tensor / self.stride
            x, y = ((boxes[:, :2] + boxes[:, 2:]) / 2).long().T
            x, y = x.clamp(0, maps.shape[3] - 1), y.clamp(0, maps.shape[2] - 1)
            points[n, objects.gt_classes, y, x] = 1
            middle = torch.stack([x, y], 1) + 0.5
            wanted = torch.cat([middle - boxes[:, :2], boxes[:, 2:] - middle], 1).clamp(min=0.1)
            found = maps[n, self.classes :, y, x].T
            reach, count = (
                reach + F.smooth_l1_loss(found, wanted.log(), reduction="sum"),
                count + len(x),
            )
        scores = F.binary_cross_entropy_with_logits(
            maps[:, : self.classes], points, reduction="sum"
        )
        return {"loss_points": scores / max(1, count), "loss_reach": reach / max(1, 4 * count)}

    @torch.no_grad()
    def inference(self, batch):
        """The highest cells of their neighborhood, as boxes on each image's own size."""
        images = self.preprocess(batch)
        maps = self.head(self.backbone(images.tensor)[FEATURE]).float()
        scores = maps[:, : self.classes].sigmoid()
        scores = scores * (F.max_pool2d(scores, 3, 1, 1) == scores)
        outputs = []
        for n, (entry, size) in enumerate(zip(batch, images.image_sizes, strict=True)):
            best, place = scores[n].flatten().topk(min(self.most, scores[n].numel()))
            label, cell = place // scores[n, 0].numel(), place % scores[n, 0].numel()
            y, x = cell // maps.shape[3], cell % maps.shape[3]
            middle, reach = torch.stack([x, y], 1) + 0.5, maps[n, self.classes :, y, x].T.exp()
            boxes = torch.cat([middle - reach[:, :2], middle + reach[:, 2:]], 1) * self.stride
            height, width = output_size(entry, size)
            boxes = Boxes(boxes * boxes.new_tensor([width / size[1], height / size[0]] * 2))
            boxes.clip((height, width))
            found = Instances((height, width), pred_boxes=boxes, scores=best, pred_classes=label)
            outputs.append({"instances": found[boxes.nonempty() & (best > self.least_score)]})
        return outputs


# The one line: from a cfg to the model.
META_ARCHITECTURES["CenterPoints"] = CenterPoints.from_config
