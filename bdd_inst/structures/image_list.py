"""Images of different sizes in one padded batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class ImageList:
    """Attributes: ``tensor`` N,C,H,W padded at the right and at the bottom; ``image_sizes`` N times (height, width)."""

    def __init__(self, tensor: Tensor, image_sizes: Sequence[tuple[int, int]]):
        self.tensor = tensor
        self.image_sizes = [tuple(size) for size in image_sizes]

    def __len__(self) -> int:
        return len(self.image_sizes)

    def __getitem__(self, index: int) -> Tensor:
        """Image ``index`` without its padding (a view)."""
        height, width = self.image_sizes[index]
        return self.tensor[index, ..., :height, :width]

    def to(self, *args, **kwargs) -> ImageList:
        return ImageList(self.tensor.to(*args, **kwargs), self.image_sizes)

    @property
    def device(self) -> torch.device:
        return self.tensor.device

    @staticmethod
    def from_tensors(
        tensors: Sequence[Tensor],
        size_divisibility: int = 0,
        pad_value: float = 0.0,
        channels_last: bool = False,
    ) -> ImageList:
        """Pad ``C,Hi,Wi`` images, all of one dtype, at the right and at the bottom to a common size that ``size_divisibility`` divides."""
        sizes = [tuple(t.shape[-2:]) for t in tensors]
        step = max(size_divisibility, 1)
        height, width = (-(-max(side) // step) * step for side in zip(*sizes, strict=True))
        shape = (len(tensors), *tensors[0].shape[:-2], height, width)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        # Not filled first: each pixel, of an image or of its padding, is written once.
        batch = torch.empty(
            shape, dtype=tensors[0].dtype, device=tensors[0].device, memory_format=layout
        )
        for row, tensor, (h, w) in zip(batch, tensors, sizes, strict=True):
            row[..., :h, :w] = tensor
            row[..., h:, :] = pad_value
            row[..., :h, w:] = pad_value
        return ImageList(batch, sizes)
