"""Masks of one image's objects, each kept only inside its tight box: what a loss needs, without N whole images of zeros."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from bdd_inst.structures.bit_masks import BitMasks
from bdd_inst.structures.boxes import Boxes
from bdd_inst.structures.roi_grid import average_cells


class CroppedMasks:
    """N masks of an image of ``image_size`` (H, W).

    Attributes:
        data: flat uint8 of 0 and 1; the crops one after the other, row by row.
        boxes: N,4 int64, each crop's x1, y1, x2, y2 in the image (exclusive; zeros for an empty mask).

    Behaves as :class:`BitMasks`; ``crop_and_resize`` gives the same bits as on the whole bitmaps.
    """

    def __init__(self, data: Tensor, boxes: Tensor, image_size: tuple[int, int]):
        sides = boxes[:, 2:] - boxes[:, :2]
        areas = sides.prod(dim=1)
        if int(areas.sum()) != len(data):
            raise ValueError(f"crops of {int(areas.sum())} pixels do not fit {len(data)} values")
        self.data, self.boxes, self.image_size = data, boxes, tuple(image_size)
        # Crops lie one after the other in one array, which travels between processes as a single tensor.
        self._starts = torch.cat([areas.new_zeros(1), areas.cumsum(0)]).tolist()

    @classmethod
    def from_crops(
        cls, crops: Sequence[tuple[np.ndarray, int, int]], image_size: tuple[int, int]
    ) -> CroppedMasks:
        """From ``(mask h,w bool, x, y)``: a window of the image that holds the whole object; trimmed to the tight box here."""
        pieces, boxes = [], np.zeros((len(crops), 4), np.int64)
        for i, (window, x, y) in enumerate(crops):
            rows, columns = np.flatnonzero(window.any(axis=1)), np.flatnonzero(window.any(axis=0))
            if len(rows):
                y1, y2, x1, x2 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
                boxes[i] = x + x1, y + y1, x + x2, y + y2
                pieces.append(window[y1:y2, x1:x2].reshape(-1))
        data = np.concatenate(pieces).astype(np.uint8) if pieces else np.zeros(0, np.uint8)
        return cls(torch.from_numpy(data), torch.from_numpy(boxes), image_size)

    def to(self, *args, **kwargs) -> CroppedMasks | BitMasks:
        """Itself on the CPU. On another device whole bitmaps, painted there: only the crops travel."""
        # ``Tensor.to`` takes a device, a dtype or another tensor at any place: torch itself reads the arguments.
        device = torch.empty(0).to(*args, **kwargs).device
        return self if device.type == "cpu" else self.to_bitmasks(device)

    def to_bitmasks(self, device: torch.device | str = "cpu") -> BitMasks:
        """Whole bitmaps on ``device``."""
        height, width = self.image_size
        out = torch.zeros(len(self), height, width, dtype=torch.bool, device=device)
        data = self.data.to(device, non_blocking=True).to(torch.bool)
        for i, (x1, y1, x2, y2) in enumerate(self.boxes.tolist()):
            out[i, y1:y2, x1:x2] = data[self._starts[i] : self._starts[i + 1]].view(
                y2 - y1, x2 - x1
            )
        return BitMasks(out)

    @property
    def tensor(self) -> Tensor:
        """N,H,W bool, drawn anew at each call."""
        return self.to_bitmasks().tensor

    @property
    def device(self) -> torch.device:
        return self.data.device

    def crop(self, i: int) -> np.ndarray:
        """Mask ``i`` inside its box, h,w uint8 (a view)."""
        x1, y1, x2, y2 = self.boxes[i].tolist()
        return self.data[self._starts[i] : self._starts[i + 1]].numpy().reshape(y2 - y1, x2 - x1)

    def nonempty(self) -> Tensor:
        """N bool: at least one pixel is set."""
        return self.boxes[:, 2] > self.boxes[:, 0]

    def area(self) -> Tensor:
        """N int64: pixels set."""
        return torch.tensor([int(self.crop(i).sum()) for i in range(len(self))], dtype=torch.int64)

    def get_bounding_boxes(self) -> Boxes:
        """The tight box of each mask; zeros for an empty one."""
        return Boxes(self.boxes.to(torch.float32))

    def crop_and_resize(self, boxes: Tensor, mask_size: int, index: Tensor | None = None) -> Tensor:
        """Training targets R,S,S bool: mask ``index[i]`` (else mask i) seen through box i; see :meth:`BitMasks.crop_and_resize`."""
        # An object has many proposals: each crop is taken up once for all of its boxes, not once for each.
        chosen = np.arange(len(self)) if index is None else index.cpu().numpy()
        if len(chosen) != len(boxes):
            raise ValueError(f"{len(boxes)} boxes for {len(chosen)} masks")
        rois = boxes.detach().to("cpu", torch.float32).numpy()
        out = np.zeros((len(rois), mask_size, mask_size), bool)
        for i in np.unique(chosen):
            x1, y1, x2, _ = self.boxes[i].tolist()
            if x2 > x1:
                mine = np.flatnonzero(chosen == i)
                out[mine] = (
                    average_cells(
                        self.crop(i),
                        (x1, y1),
                        image_size=self.image_size,
                        rois=rois[mine],
                        side=mask_size,
                    )
                    >= 0.5
                )
        return torch.from_numpy(out).to(boxes.device)

    def __getitem__(self, item: int | slice | Tensor) -> CroppedMasks:
        # Indexing a row of places turns every kind of index, a bool mask too, into places.
        chosen = torch.arange(len(self))[item].reshape(-1)
        pieces = [self.data[self._starts[i] : self._starts[i + 1]] for i in chosen.tolist()]
        return CroppedMasks(
            torch.cat(pieces) if pieces else self.data[:0], self.boxes[chosen], self.image_size
        )

    def __iter__(self) -> Iterator[Tensor]:
        yield from self.tensor

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        return f"CroppedMasks(num_instances={len(self)})"

    @staticmethod
    def cat(masks_list: Sequence[CroppedMasks]) -> CroppedMasks:
        """All masks in order; they must be of one image size."""
        if any(m.image_size != masks_list[0].image_size for m in masks_list):
            raise ValueError("only masks of one image size can be joined")
        return CroppedMasks(
            torch.cat([m.data for m in masks_list]),
            torch.cat([m.boxes for m in masks_list]),
            masks_list[0].image_size,
        )
