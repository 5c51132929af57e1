"""What every meta-architecture shares: pixel statistics, padding of a batch, and the mode switch of losses or outputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bdd_inst.modeling.freeze import hold_statistics
from bdd_inst.modeling.layers.deform_conv import DeformConv2d
from bdd_inst.structures import ImageList

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class PictureModel(nn.Module):
    """A model on ``list[dict]``: a subclass builds ``backbone`` and defines ``losses(batch)`` and ``inference(batch)``.

    Attributes: ``precision``, the dtype of inference; ``backbone.size_divisibility`` must be there.
    """

    def __init__(self, cfg):
        super().__init__()
        for name, values in (
            ("pixel_mean", cfg.MODEL.PIXEL_MEAN),
            ("pixel_std", cfg.MODEL.PIXEL_STD),
        ):
            statistics = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
            self.register_buffer(name, statistics, persistent=False)
        self.precision = PRECISIONS[cfg.MODEL.PRECISION]
        self._wants_channels_last = bool(cfg.MODEL.CHANNELS_LAST)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.pixel_mean.device

    @property
    def channels_last(self) -> bool:
        """Whether pictures go in by this memory order."""
        # Group norm in this order sums its groups less exactly, which float32 would show; deformable taps enlarge what rounds otherwise.
        return self._wants_channels_last and not (
            self.precision == torch.float32
            and any(isinstance(module, nn.GroupNorm | DeformConv2d) for module in self.modules())
        )

    def train(self, mode: bool = True) -> PictureModel:
        """As torch's; a batch norm whose own scale is fixed keeps its running statistics too."""
        super().train(mode)
        hold_statistics(self)
        return self

    def forward(self, batch: Sequence[dict]) -> dict[str, Tensor] | list[dict]:
        """A dict of losses in training, one dict of outputs a picture in evaluation."""
        return self.losses(batch) if self.training else self.inference(batch)

    def preprocess(self, batch: Sequence[dict]) -> ImageList:
        """Normalised pictures, padded with zeros to a size that the backbone's strides divide."""
        pictures = [
            (entry["image"].to(self.device).float() - self.pixel_mean) / self.pixel_std
            for entry in batch
        ]
        # Float32 training keeps the plain order: another order of summation would move gradients by more than its gain is worth.
        last = (
            not self.training or torch.is_autocast_enabled(self.device.type)
        ) and self.channels_last
        return ImageList.from_tensors(pictures, self.backbone.size_divisibility, channels_last=last)


def output_size(entry: dict, own: tuple[int, int]) -> tuple[int, int]:
    """(height, width) that a picture's outputs are wanted on: its dict's, or the size that went in."""
    return int(entry.get("height", own[0])), int(entry.get("width", own[1]))
