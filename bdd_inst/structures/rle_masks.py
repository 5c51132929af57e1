"""Masks of one image's objects as COCO run-length codes: small, whatever the image's size."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pycocotools.mask as coco_mask
import torch
from torch import Tensor


class RLEMasks:
    """N masks. Attributes: ``rles``, N dicts ``{"size": [h, w], "counts": str}``; ``image_size`` (H, W)."""

    def __init__(self, rles: Sequence[dict], image_size: tuple[int, int]):
        self.rles = list(rles)
        self.image_size = tuple(image_size)

    def to(self, *args, **kwargs) -> RLEMasks:
        """Itself: codes live on the CPU."""
        return self

    def cpu(self) -> RLEMasks:
        """Itself, as a tensor on the CPU would be."""
        return self

    def detach(self) -> RLEMasks:
        """Itself: codes have no gradient."""
        return self

    def numpy(self) -> np.ndarray:
        """N,H,W bool, decoded anew at each call: what ``tensor.numpy()`` of Detectron2's masks gives."""
        return self.decode().numpy()

    def __array__(self, dtype=None, copy: bool | None = None) -> np.ndarray:
        """For ``np.asarray(masks)``: N,H,W bool, or of ``dtype``.

        Raises:
            ValueError: ``copy`` is False: decoding always makes new pixels.
        """
        if copy is False:
            raise ValueError(
                "run lengths become an array only by decoding them: copy=False cannot be"
            )
        pixels = self.numpy()
        return pixels if dtype is None else pixels.astype(dtype)

    @property
    def shape(self) -> torch.Size:
        """(N, H, W) of the masks as a tensor."""
        return torch.Size((len(self), *self.image_size))

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def __getitem__(self, item: int | slice | Sequence[int] | Tensor) -> RLEMasks:
        if isinstance(item, int):
            # Still N masks, of which there is one: as BitMasks and PolygonMasks do.
            return RLEMasks([self.rles[item]], self.image_size)
        if isinstance(item, slice):
            return RLEMasks(self.rles[item], self.image_size)
        item = torch.as_tensor(item)
        chosen = (item.nonzero().flatten() if item.dtype == torch.bool else item).tolist()
        return RLEMasks([self.rles[i] for i in chosen], self.image_size)

    def __iter__(self) -> Iterator[dict]:
        return iter(self.rles)

    def __len__(self) -> int:
        return len(self.rles)

    def __repr__(self) -> str:
        return f"RLEMasks(num_instances={len(self)})"

    def decode(self) -> Tensor:
        """N,H,W bool."""
        out = np.zeros((len(self), *self.image_size), dtype=bool)
        for row, rle in zip(out, self.rles, strict=True):
            row[:] = coco_mask.decode(rle).astype(bool)
        return torch.from_numpy(out)

    def area(self) -> Tensor:
        """N int64: pixels set."""
        return torch.tensor([int(coco_mask.area(rle)) for rle in self.rles], dtype=torch.int64)

    def nonempty(self) -> Tensor:
        """N bool: at least one pixel is set."""
        return self.area() > 0

    @staticmethod
    def cat(masks_list: Sequence[RLEMasks]) -> RLEMasks:
        if any(masks.image_size != masks_list[0].image_size for masks in masks_list):
            raise ValueError("only masks of one image size can be joined")
        return RLEMasks(
            list(itertools.chain.from_iterable(m.rles for m in masks_list)),
            masks_list[0].image_size,
        )
