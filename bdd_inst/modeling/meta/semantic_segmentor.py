"""Pixel-wise models: Detectron2's SemanticSegmentor, a class for every pixel instead of objects."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch
from fvcore.common.config import CfgNode
from torch import Tensor, nn
from torch.nn import functional as F

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.modeling.freeze import set_trainable
from bdd_inst.modeling.heads import SEM_SEG_HEADS
from bdd_inst.modeling.heads.sem_seg import PixelHead, at_least_float32
from bdd_inst.modeling.meta.base import ImageModel, output_size
from bdd_inst.modeling.meta.sem_seg_tiles import Tiles
from bdd_inst.modeling.meta.tta import MeanProbability, View, Views
from bdd_inst.structures import ImageList


class SemanticSegmentor(ImageModel):
    """Takes ``list[dict]``: ``image`` C,H,W (uint8 or float, in INPUT.FORMAT), ``height`` and ``width`` of the result
    (the image's own where missing), in training ``sem_seg`` H,W int64: class indices, IGNORE_VALUE where unknown.

    In training ``{"loss_sem_seg": ...}``; in evaluation ``[{"sem_seg": K,height,width}]`` logits, float32. With
    MODEL.SEM_SEG_HEAD.NUM_CLASSES 1 there is one plane: its sigmoid is the probability of label 1.

    Args:
        backbone: N,3,H,W to features, with ``size_divisibility``.
        sem_seg_head: features and the batch's size to logits, and their losses.
        tta: how often an image is seen in evaluation (TEST.AUG); None: once.
        tiles: in what pieces (TEST.TILES); None: as a whole.
        image_options: of :class:`ImageModel`; arithmetic of half precision is autocast's.
    """

    trains_channels_last = True  # a fifth of a step less on a CPU, for its many 1x1 convolutions

    def __init__(
        self,
        backbone: nn.Module,
        sem_seg_head: PixelHead,
        *,
        tta: Views | None = None,
        tiles: Tiles | None = None,
        **image_options,
    ):
        super().__init__(**image_options)
        self.tta, self.tiles = tta, tiles
        self.backbone, self.sem_seg_head = backbone, sem_seg_head

    @classmethod
    def from_config(cls, cfg: CfgNode) -> SemanticSegmentor:
        """By MODEL.SEM_SEG_HEAD, with random weights."""
        return cls(
            *SEM_SEG_HEADS.pick(cfg.MODEL.SEM_SEG_HEAD.NAME)(cfg),
            tta=Views.from_config(cfg),
            tiles=Tiles.from_config(cfg),
            **cls.image_options(cfg),
        )

    def losses(self, batch: Sequence[dict]) -> dict[str, Tensor]:
        """``loss_sem_seg``, a scalar.

        Raises:
            ConfigError: one image, for a head that norms means over whole images.
            DataError: an image without ``sem_seg``, of another size, or with a label that is no class.
        """
        norms = [m for m in self.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        # Losses of a validation run on stored statistics, which one image does not trouble.
        if len(batch) == 1 and self.sem_seg_head.pools_globally and any(m.training for m in norms):
            raise ConfigError(
                "SOLVER.IMS_PER_BATCH: this MODEL.SEM_SEG_HEAD.NAME norms means over whole images and needs at least 2 in each step"
            )
        images = self.preprocess(batch)
        targets = sem_seg_targets(batch, images, self.sem_seg_head)
        return self.sem_seg_head.losses(self.logits(images), targets)

    @torch.no_grad()
    def inference(self, batch: Sequence[dict]) -> list[dict]:
        """``sem_seg`` K,height,width float32 logits for each image, of all its views where TEST.AUG is on."""
        if self.tta is None:
            return self.infer_once(batch)
        means = [MeanProbability() for _ in batch]
        views = [self.tta.of(entry) for entry in batch]
        for row in zip(*views, strict=True):
            seen = [apply_view(entry, view) for entry, view in zip(batch, row, strict=True)]
            for mean, output, view in zip(means, self.infer_once(seen), row, strict=True):
                mean.add(output["sem_seg"], view.mirrored)
        return [{"sem_seg": mean.logits()} for mean in means]

    def infer_once(self, batch: Sequence[dict]) -> list[dict]:
        """As :meth:`inference`, each image seen once: as a whole, or in tiles where TEST.TILES is on and it is larger than one."""
        # Those that need no cutting go through the model together.
        whole = [entry for entry in batch if self.tiles is None or self.tiles.fits(entry["image"])]
        planes = iter(self.planes(whole) if whole else ())
        outputs = []
        for entry in batch:
            size = tuple(entry["image"].shape[-2:])
            if self.tiles is None or self.tiles.fits(entry["image"]):
                logits = next(planes)
            else:
                logits = self.tiles.infer(
                    lambda tile: self.planes([{"image": tile}])[0], entry["image"]
                )
            resized = sem_seg_postprocess(logits, size, *output_size(entry, size))
            outputs.append({"sem_seg": resized})
        return outputs

    def planes(self, batch: Sequence[dict]) -> list[Tensor]:
        """K,h,w float32 logits of each image on the size that goes in."""
        images = self.preprocess(batch)
        with self._arithmetic():
            logits = at_least_float32(self.logits(images))
        return [
            # Cut off before anything is enlarged: padding would bleed into the image's edge.
            planes[:, :height, :width]
            for planes, (height, width) in zip(logits, images.image_sizes, strict=True)
        ]

    def logits(self, images: ImageList) -> Tensor:
        """N,K,H,W on the padded batch."""
        return self.sem_seg_head(self.backbone(images.tensor), tuple(images.tensor.shape[-2:]))

    def _arithmetic(self) -> contextlib.AbstractContextManager:
        if self.precision == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.precision)


def apply_view(entry: dict, view: View) -> dict:
    """A model input with its image seen so, its outputs wanted on the same size as before."""
    height, width = view.original
    return {**entry, "image": view.image(entry["image"]), "height": height, "width": width}


def sem_seg_targets(batch: Sequence[dict], images: ImageList, head: PixelHead) -> Tensor:
    """N,H,W int64 labels on the padded batch, where the images are; padding is ignored.

    Raises:
        DataError: as :func:`check_sem_seg`.
    """
    # One plane has two labels: 0 is background.
    classes = max(head.num_classes, 2)
    maps = []
    for index, (entry, size) in enumerate(zip(batch, images.image_sizes, strict=True)):
        name = entry.get("file_name") or f"image {index} of the batch"
        maps.append(
            check_sem_seg(
                entry.get("sem_seg"), name, size=size, classes=classes, ignore=head.ignore_value
            )
        )
    height, width = images.tensor.shape[-2:]
    # What lies beside an image in its batch is nobody's label.
    out = torch.full((len(maps), height, width), head.ignore_value, dtype=torch.int64)
    for row, labels in zip(out, maps, strict=True):
        row[: labels.shape[0], : labels.shape[1]] = labels
    return out.to(images.device)


def check_sem_seg(
    labels: Tensor | None, name: str, size: tuple[int, int], classes: int, ignore: int
) -> Tensor:
    """``labels`` as they are, H,W int64 of ``size``.

    Raises:
        DataError: none are there, or of another size, or with a value that is neither a class nor ``ignore``.
    """
    if labels is None:
        raise DataError(
            f'{name} has no "sem_seg" (H,W class indices), which training needs; call model.eval() to segment'
        )
    if tuple(labels.shape) != tuple(size):
        shape = "x".join(map(str, labels.shape))
        raise DataError(f"{name}: sem_seg is {shape}, its image {size[0]}x{size[1]}")
    labels = labels.to("cpu", torch.int64)
    # A label beyond the classes would index out of the logits: on a GPU that ends the process without a name.
    wrong = labels[(labels != ignore) & ((labels < 0) | (labels >= classes))]
    if len(wrong):
        raise DataError(
            f"{name}: sem_seg holds {int(wrong[0])}, which is none of the {classes} labels 0 to {classes - 1} of "
            f"MODEL.SEM_SEG_HEAD.NUM_CLASSES and not IGNORE_VALUE {ignore}"
        )
    return labels


def sem_seg_postprocess(logits: Tensor, size: tuple[int, int], height: int, width: int) -> Tensor:
    """Logits K,H,W float32 of a padded image on its original size: the padding cut off, then resized bilinearly.

    Args:
        size: (height, width) of the image within the padding.

    Returns:
        K,height,width.
    """
    return F.interpolate(
        logits[None, :, : size[0], : size[1]],
        size=(height, width),
        mode="bilinear",
        align_corners=False,
    )[0]


def build_semantic_segmentor(cfg: CfgNode) -> SemanticSegmentor:
    """The model of ``cfg``, randomly initialized, frozen as MODEL.BACKBONE.FREEZE_AT says."""
    model = SemanticSegmentor.from_config(cfg)
    set_trainable(model, "all", cfg.MODEL.BACKBONE.FREEZE_AT)
    return model
