"""What every meta-architecture shares: pixel statistics, padding of a batch, and the mode switch of losses or outputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from fvcore.common.config import CfgNode
from torch import Tensor, nn

from bdd_inst.modeling.freeze import hold_statistics
from bdd_inst.modeling.layers.deform_conv import DeformConv2d
from bdd_inst.structures import ImageList

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class ImageModel(nn.Module):
    """A model on ``list[dict]``: a subclass defines ``losses(batch)`` and ``inference(batch)``.

    Args:
        pixel_mean, pixel_std: of the three channels, on 0..255, in INPUT.FORMAT's order.
        precision: the dtype of inference.
        channels_last: the memory order of images and features, which changes no result.

    Attributes:
        precision: as given.
        trains_channels_last: whether float32 training takes that order too.
        mask_formats: what :meth:`forward` takes as ``mask_format`` in evaluation; empty where there are no masks of objects.
    """

    mask_formats: tuple[str, ...] = ()
    # Another order of summation moves gradients of the detectors by more than its gain is worth.
    trains_channels_last = False

    def __init__(
        self,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        *,
        precision: torch.dtype = torch.float32,
        channels_last: bool = True,
    ):
        super().__init__()
        for name, values in (("pixel_mean", pixel_mean), ("pixel_std", pixel_std)):
            statistics = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
            # Choices of the config: in a checkpoint they could contradict it.
            self.register_buffer(name, statistics, persistent=False)
        self.precision = precision
        self._wants_channels_last = channels_last

    @staticmethod
    def image_options(cfg: CfgNode) -> dict:
        """The arguments above by MODEL's keys, for a subclass's ``from_config``."""
        options = cfg.MODEL
        return {
            "pixel_mean": options.PIXEL_MEAN,
            "pixel_std": options.PIXEL_STD,
            "precision": PRECISIONS[options.PRECISION],
            "channels_last": bool(options.CHANNELS_LAST),
        }

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.pixel_mean.device

    @property
    def size_divisibility(self) -> int:
        """What both sides of a padded batch are multiples of: as its ``backbone`` needs it, 0 (as they are) for a model without one."""
        backbone = getattr(self, "backbone", None)
        return 0 if backbone is None else backbone.size_divisibility

    @property
    def channels_last(self) -> bool:
        """Whether images go in by this memory order."""
        # Deformable taps enlarge what another order of summation rounds otherwise.
        return self._wants_channels_last and not (
            self.precision == torch.float32
            and any(isinstance(module, DeformConv2d) for module in self.modules())
        )

    def train(self, mode: bool = True) -> ImageModel:
        """As torch's; a batch norm whose own scale is fixed keeps its running statistics too."""
        super().train(mode)
        hold_statistics(self)
        return self

    def forward(self, batch: Sequence[dict], **options: object) -> dict[str, Tensor] | list[dict]:
        """A dict of losses in training, one dict of outputs an image in evaluation.

        Args:
            options: of ``inference``, such as ``mask_format``.
        """
        return self.losses(batch) if self.training else self.inference(batch, **options)

    def preprocess(self, batch: Sequence[dict]) -> ImageList:
        """Normalized images, padded with zeros to a size that the backbone's strides divide."""
        # Normalized before padding: a padded 0 is then the mean color, which says the least.
        images = [
            (entry["image"].to(self.device).float() - self.pixel_mean) / self.pixel_std
            for entry in batch
        ]
        low = torch.is_autocast_enabled(self.device.type)
        last = self.channels_last and (not self.training or self.trains_channels_last or low)
        if last and self.training and not low:
            # Group norm amplifies what another order of summation changes in gradients.
            last = not any(isinstance(module, nn.GroupNorm) for module in self.modules())
        return ImageList.from_tensors(images, self.size_divisibility, channels_last=last)


def output_size(entry: dict, own: tuple[int, int]) -> tuple[int, int]:
    """(height, width) that an image's outputs are wanted on: its dict's, or the size that went in."""
    return int(entry.get("height", own[0])), int(entry.get("width", own[1]))
