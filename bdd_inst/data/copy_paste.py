"""Copy-paste: objects of one image put into another, masks cut where they are covered (Ghiasi et al., arXiv 2012.07177)."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from PIL import Image

from bdd_inst.structures import Boxes, CroppedMasks, Instances

Sample = tuple[Image.Image, Instances | None]


def paste(target: Sample, source: Sample, limit: int, rng: np.random.Generator) -> Sample:
    """The target image with some of the source's objects in it.

    One to ``limit`` objects, drawn evenly, keep their place and size; where the images differ in size the source is cut off or ends.
    Objects of the target lose the pixels that are covered, and are dropped where none is left; the box of one that lost some is
    taken anew from its mask.
    """
    image, instances = target
    if instances is None or source[1] is None or not len(source[1]):
        return target
    height, width = instances.image_size
    count = int(rng.integers(1, min(limit, len(source[1])) + 1))
    chosen = source[1][torch.from_numpy(np.sort(rng.permutation(len(source[1]))[:count]))]
    windows = [
        clipped(chosen.gt_masks.crop(i), chosen.gt_masks.boxes[i].tolist(), height, width)
        for i in range(count)
    ]
    cover = np.zeros((height, width), bool)
    for window, x, y in windows:
        cover[y : y + window.shape[0], x : x + window.shape[1]] |= window
    pixels, others = np.array(image), np.asarray(source[0])
    # Inside both images: a mask ends with its own, and ``clipped`` ended it at the target's edge.
    ys, xs = np.nonzero(cover)
    pixels[ys, xs] = others[ys, xs]
    old = uncovered(instances, cover)
    new = from_windows(windows, chosen.gt_classes, (height, width))
    return Image.fromarray(pixels), Instances.cat([old, new])


def paste_labels(
    target: tuple[Image.Image, torch.Tensor | None],
    source: tuple[Image.Image, torch.Tensor | None],
    ignore: int = 255,
) -> tuple[Image.Image, torch.Tensor | None]:
    """The target image with every labeled pixel of the source in it, background (0) and ignored ones left out; label maps H,W int64.

    What is labeled keeps its place and size; where the images differ in size the source is cut off or ends. Its outermost pixels are
    a mixture, as they are in photographs: a hard edge would be learnt as the mark of an object.
    """
    image, labels = target
    if labels is None or source[1] is None:
        return target
    height, width = (min(a, b) for a, b in zip(labels.shape, source[1].shape))
    other = source[1][:height, :width]
    cover = (other != 0) & (other != ignore)
    pixels, labels = np.array(image), labels.clone()
    share = softened(cover.numpy())[..., None]
    old, new = pixels[:height, :width], np.asarray(source[0])[:height, :width]
    pixels[:height, :width] = np.rint(old + (new.astype(np.float32) - old) * share)
    labels[:height, :width][cover] = other[cover]
    return Image.fromarray(pixels), labels


def softened(cover: np.ndarray) -> np.ndarray:
    """How much of each pixel of a mask (H,W bool) is the object's, from 0 to 1 (float32): the share of the mask around it, 0 outside."""
    return cv2.blur(cover.astype(np.float32), (3, 3)) * cover


def clipped(
    crop: np.ndarray, box: list[int], height: int, width: int
) -> tuple[np.ndarray, int, int]:
    """What of a mask lies in an image of that size: window h,w bool and its place x, y."""
    x1, y1, _, _ = box
    return crop[: max(0, height - y1), : max(0, width - x1)].astype(bool), x1, y1


def uncovered(instances: Instances, cover: np.ndarray) -> Instances:
    """The objects without their covered pixels (H,W bool); boxes of untouched ones stay as they are."""
    masks = instances.gt_masks
    windows, touched = [], np.zeros(len(masks), bool)
    for i in range(len(masks)):
        x1, y1, x2, y2 = masks.boxes[i].tolist()
        over = cover[y1:y2, x1:x2]
        crop = masks.crop(i).astype(bool)
        touched[i] = bool((crop & over).any())
        windows.append((crop & ~over, x1, y1))
    rest = from_windows(windows, instances.gt_classes, instances.image_size, keep_empty=True)
    # A label's box and the tight box of its mask may differ by a little: only covered objects change theirs.
    boxes = torch.where(
        torch.from_numpy(touched)[:, None], rest.gt_boxes.tensor, instances.gt_boxes.tensor
    )
    rest.gt_boxes = Boxes(boxes)
    return rest[rest.gt_masks.nonempty()]


def from_windows(
    windows: list, classes: torch.Tensor, image_size: tuple[int, int], keep_empty: bool = False
) -> Instances:
    """Instances of N masks in windows, with tight boxes.

    Args:
        windows: a mask h,w bool each, with its place in the image.
        classes: N int64.
        image_size: (height, width).
        keep_empty: masks without a pixel stay.

    Returns:
        ``gt_boxes``, ``gt_classes`` and ``gt_masks``.
    """
    out = Instances(image_size)
    masks = CroppedMasks.from_crops(windows, image_size)
    out.gt_boxes, out.gt_classes, out.gt_masks = masks.get_bounding_boxes(), classes, masks
    return out if keep_empty else out[masks.nonempty()]
