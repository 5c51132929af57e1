"""One training image as the model sees it: resized, padded, masks cut to 56x56, anchors by FPN level, proposals with their positives.

The matching and drawing are the model's own (``proposal_generator`` and ``roi_heads`` of the config). Proposals are the model's where
it has weights; without them they are boxes drawn at random, nine in ten of them around an object, and the result says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from fvcore.common.config import CfgNode

from bdd_inst.data.mapper import DatasetMapper
from bdd_inst.drawing.colors import bgr, class_color
from bdd_inst.modeling.layers.matching import image_generators
from bdd_inst.modeling.meta.mask_rcnn import MaskRCNN
from bdd_inst.structures import Boxes, Instances, pairwise_iou

CROP = 56
# Boxes drawn in place of proposals, and the share of them that lies around objects.
STAND_INS, AROUND_OBJECTS = 1000, 0.9
MOST_CROPS = 48


@dataclass(slots=True)
class LevelCounts:
    """Anchors of one feature map, and the boxes drawn there."""

    name: str
    stride: int
    sizes: str
    anchors: int
    positive: int = 0
    ignored: int = 0
    rois: int = 0


@dataclass(slots=True)
class Sample:
    """What the page shows of one image. Images are H,W,3 uint8 BGR on the padded size; counts are of the model's own draws."""

    name: str
    original: tuple[int, int]
    resized: tuple[int, int]
    padded: tuple[int, int]
    ground_truth: np.ndarray
    anchors: np.ndarray
    rois: np.ndarray
    crops: np.ndarray | None
    objects: int
    levels: list[LevelCounts] = field(default_factory=list)
    anchors_drawn: tuple[int, int] = (0, 0)
    rois_drawn: tuple[int, int] = (0, 0)
    unmatched: int = 0


class Inspector:
    """Looks at training images through a config's mapper and model. ``weighted``: the model's proposals mean something."""

    def __init__(
        self, cfg: CfgNode, model: MaskRCNN, names: Sequence[str], *, weighted: bool = False
    ) -> None:
        self.mapper = DatasetMapper(cfg, is_train=True)
        self.model, self.names, self.weighted = model.eval(), list(names), weighted
        self.format = cfg.INPUT.FORMAT

    @torch.no_grad()
    def look(self, record: dict, seed: int = 0) -> Sample:
        """One dataset dict as a training sample. DataError where the image or a mask cannot be used."""
        entry = self.mapper(record, np.random.default_rng(seed))
        images = self.model.preprocess([entry])
        height, width = entry["image"].shape[-2:]
        padded = tuple(images.tensor.shape[-2:])
        base = self._canvas(entry["image"], padded)
        instances = entry["instances"]
        levels, anchor_view, drawn, unmatched = self._anchors(base, padded, instances)
        roi_view, roi_counts = self._rois(
            base, images, instances=instances, levels=levels, seed=entry["sample_seed"]
        )
        return Sample(
            name=str(record["file_name"]).rsplit("/", 1)[-1],
            original=(entry["height"], entry["width"]),
            resized=(height, width),
            padded=padded,
            ground_truth=self._ground_truth(base, instances),
            anchors=anchor_view,
            rois=roi_view,
            crops=self._crops(instances),
            objects=len(instances),
            levels=levels,
            anchors_drawn=drawn,
            rois_drawn=roi_counts,
            unmatched=unmatched,
        )

    def _canvas(self, image: torch.Tensor, padded: tuple[int, int]) -> np.ndarray:
        """The image as BGR on its padded size, the padding hatched."""
        pixels = image.permute(1, 2, 0).numpy().astype(np.uint8)
        if self.format == "RGB":
            pixels = pixels[..., ::-1]
        rows, columns = np.indices(padded)
        hatch = ((rows + columns) // 6 % 2 * 40 + 70).astype(np.uint8)
        out = np.repeat(hatch[..., None], 3, axis=2)
        out[: pixels.shape[0], : pixels.shape[1]] = pixels
        return out

    def _ground_truth(self, base: np.ndarray, instances: Instances) -> np.ndarray:
        """Ground truth after all transforms."""
        out = base.copy()
        masks = rendered(instances)
        height, width = instances.image_size
        for mask, label in zip(masks, instances.gt_classes.tolist()):
            view = out[:height, :width]
            view[mask] = (0.5 * view[mask] + 0.5 * np.array(bgr(class_color(label)))).astype(
                np.uint8
            )
        for box, label in zip(instances.gt_boxes.tensor.tolist(), instances.gt_classes.tolist()):
            rectangle(out, box, bgr(class_color(label)), 2)
        return out

    def _crops(self, instances: Instances) -> np.ndarray | None:
        """Every mask cut to its box at 56x56, as the mask loss is given it, tiled with its class color; None without masks."""
        if not instances.has("gt_masks") or not len(instances):
            return None
        chosen = instances[:MOST_CROPS]
        masks = chosen.gt_masks.crop_and_resize(chosen.gt_boxes.tensor, CROP).numpy()
        columns = min(len(masks), 12)
        rows = -(-len(masks) // columns)
        out = np.full((rows * (CROP + 6), columns * (CROP + 6), 3), 255, np.uint8)
        for place, (mask, label) in enumerate(zip(masks, chosen.gt_classes.tolist())):
            y, x = place // columns * (CROP + 6) + 3, place % columns * (CROP + 6) + 3
            tile = np.full((CROP, CROP, 3), 32, np.uint8)
            tile[mask] = bgr(class_color(label))
            out[y : y + CROP, x : x + CROP] = tile
        return out

    def _anchors(self, base: np.ndarray, padded: tuple[int, int], instances: Instances):
        """Anchors matched to objects: counts by level, an image of the positive ones, how many were drawn."""
        rpn = self.model.proposal_generator
        strides = rpn.anchor_generator.strides
        grids = rpn.anchor_generator([(-(-padded[0] // s), -(-padded[1] // s)) for s in strides])
        anchors = torch.cat(grids)
        iou = pairwise_iou(instances.gt_boxes, Boxes(anchors))
        _, label = rpn.matcher(iou)
        unmatched = int((iou.amax(dim=1) < max(rpn.matcher.bounds)).sum()) if len(instances) else 0
        out, levels, start = base.copy(), [], 0
        for number, (name, stride, grid) in enumerate(zip(rpn.in_features, strides, grids)):
            part = label[start : start + len(grid)]
            sizes = sorted(
                {
                    round(float(((b[2] - b[0]) * (b[3] - b[1])) ** 0.5))
                    for b in getattr(rpn.anchor_generator, f"cell{number}")
                }
            )
            counts = LevelCounts(
                name,
                stride=stride,
                sizes=", ".join(map(str, sizes)),
                anchors=len(grid),
                positive=int((part == 1).sum()),
                ignored=int((part == -1).sum()),
            )
            levels.append(counts)
            for box in grid[part == 1].tolist():
                rectangle(out, box, bgr(class_color(number)), 1)
            start += len(grid)
        for box in instances.gt_boxes.tensor.tolist():
            rectangle(out, box, (255, 255, 255), 2)
        positive, negative, _ = rpn.sample_anchors(
            anchors, instances, torch.Generator().manual_seed(0)
        )
        return levels, out, (len(positive), len(positive) + len(negative)), unmatched

    def _rois(
        self, base: np.ndarray, images, instances: Instances, levels: list[LevelCounts], seed: int
    ):
        """Boxes drawn for the second stage, positives in their class's color; counts (positive, all), and by level."""
        if self.weighted:
            proposals, _ = self.model.proposal_generator(
                self.model.backbone(images.tensor), images.image_sizes
            )
            boxes = proposals[0]
        else:
            boxes = stand_ins(instances, np.random.default_rng(seed))
        heads = self.model.roi_heads
        drawn = heads.sample_proposals(boxes, instances, image_generators([seed])[0])
        positive = drawn.classes != heads.classes
        out = base.copy()
        for box in drawn.boxes[~positive].tolist()[:200]:
            rectangle(out, box, (150, 150, 150), 1)
        for box, label in zip(drawn.boxes[positive].tolist(), drawn.classes[positive].tolist()):
            rectangle(out, box, bgr(class_color(label)), 2)
        pooler = getattr(heads, "box_pooler", None)
        if pooler is not None and len(drawn.boxes):
            for number in pooler.assign(drawn.boxes).tolist():
                levels[number].rois += 1
        return out, (int(positive.sum()), len(drawn.boxes))


def stand_ins(instances: Instances, rng: np.random.Generator) -> torch.Tensor:
    """Boxes R,4 float32 in place of a trained network's proposals: most shifted and scaled objects, the others anywhere."""
    height, width = instances.image_size
    objects = instances.gt_boxes.tensor.numpy()
    around = int(STAND_INS * AROUND_OBJECTS) if len(objects) else 0
    corners = np.sort(
        rng.uniform(0, 1, (STAND_INS - around, 2, 2)) * (width, height), axis=1
    ).reshape(-1, 4)
    if around:
        chosen = objects[rng.integers(len(objects), size=around)]
        center, size = (chosen[:, :2] + chosen[:, 2:]) / 2, chosen[:, 2:] - chosen[:, :2]
        center = center + rng.normal(0, 0.25, center.shape) * size
        size = size * np.exp(rng.normal(0, 0.3, size.shape))
        corners = np.concatenate(
            (np.concatenate((center - size / 2, center + size / 2), axis=1), corners)
        )
    boxes = Boxes(torch.as_tensor(corners, dtype=torch.float32))
    boxes.clip((height, width))
    return boxes[boxes.nonempty(1.0)].tensor


def rendered(instances: Instances) -> np.ndarray:
    """The ground-truth masks N,H,W bool on the resized image; none where there are none."""
    height, width = instances.image_size
    if not instances.has("gt_masks") or not len(instances):
        return np.zeros((0, height, width), bool)
    masks = instances.gt_masks
    if hasattr(masks, "tensor"):
        return masks.tensor.numpy().astype(bool)
    out = np.zeros((len(masks), height, width), bool)
    for row, box in enumerate(instances.gt_boxes.tensor):
        x1, y1, x2, y2 = (
            int(v) for v in (box[0].floor(), box[1].floor(), box[2].ceil(), box[3].ceil())
        )
        side = min(max(x2 - x1, y2 - y1, 1), 512)
        crop = (
            masks[row : row + 1]
            .crop_and_resize(torch.tensor([[x1, y1, x2, y2]], dtype=torch.float32), side)[0]
            .numpy()
        )
        fitted = (
            cv2.resize(
                crop.astype(np.uint8),
                (max(1, x2 - x1), max(1, y2 - y1)),
                interpolation=cv2.INTER_NEAREST,
            )
            > 0
        )
        target = out[row, max(0, y1) : y2, max(0, x1) : x2]
        target |= fitted[max(0, -y1) :, max(0, -x1) :][: target.shape[0], : target.shape[1]]
    return out


def rectangle(
    image: np.ndarray, box: Sequence[float], color: tuple[int, int, int], line: int
) -> None:
    """Draw a box x1, y1, x2, y2 (exclusive) into an image H,W,3 uint8, in place."""
    x1, y1, x2, y2 = box
    cv2.rectangle(
        image,
        (round(x1), round(y1)),
        (round(x2) - 1, round(y2) - 1),
        tuple(int(c) for c in color),
        line,
    )
