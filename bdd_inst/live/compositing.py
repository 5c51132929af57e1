"""A small mask becomes clean edges at full size: guided upsampling, foreground colors at the border, the blend."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from bdd_inst.live.pyramid import Pyramid, fitting_size

# Pixels of the longer side of the small image on which the filter's coefficients are found.
GUIDE_LONG_SIDE = 320
# Of the guided filter, in pixels of that image: 3 and more draw threads of alpha along edges of the room.
RADIUS = 2
EPSILON = 4e-4  # variance of the guide (0..1, squared) below which an edge counts as noise
# Pixels of the longer side of the small image on which the colors on either side of the border are averaged,
# and how far around each of its pixels.
COLOR_LONG_SIDE = 160
COLOR_RADIUS = 4
CERTAIN = 0.12  # alpha this close to 0 or 1 becomes 0 or 1
SOFTNESS = 0.5  # how much of the range 0..1 around the threshold stays soft
CHUNK = 4096  # border pixels at a time
FEW = 0.15  # of the image: above this share of border pixels the border is not recolored (the mask is haze)


def sharpen(probability: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Probabilities as alpha: a straight ramp of width SOFTNESS around ``threshold``, 0 and 1 beyond it.

    Args:
        probability: h,w float32 in 0..1.
        threshold: in 0..1, the probability that becomes alpha 0.5.

    Returns:
        h,w float32 in 0..1.
    """
    ramp = (probability - np.float32(threshold)) * np.float32(1 / SOFTNESS) + np.float32(0.5)
    return np.clip(ramp, 0, 1, out=ramp)


class Scratch:
    """Arrays of one size used again for each frame: fresh large ones cost more than the arithmetic on them."""

    def __init__(self) -> None:
        self._arrays: dict[str, np.ndarray] = {}

    def __call__(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """The float32 array called ``name``, with whatever it holds."""
        found = self._arrays.get(name)
        if found is None or found.shape != shape:
            found = self._arrays[name] = np.empty(shape, np.float32)
        return found


def upsample(
    alpha: np.ndarray, image: np.ndarray | Pyramid, scratch: Scratch | None = None
) -> np.ndarray:
    """Alpha at the image's size, its edges moved onto the image's (fast guided filter, He and Sun 2015).

    The filter's two coefficients are found on a small image and only they are enlarged; at full size
    one multiplication and one addition a pixel remain.

    Args:
        alpha: h,w float32 in 0..1, any size.
        image: H,W,3 uint8 BGR.
        scratch: kept from frame to frame by the caller; the result then holds until the next call with it.

    Returns:
        H,W float32 in 0..1, exactly 0 or 1 where it is within CERTAIN of them.
    """
    frame = Pyramid.of(image)
    size = frame.image.shape[:2]
    small = fitting_size(*size, GUIDE_LONG_SIDE)
    guide = cv2.cvtColor(frame.at(small), cv2.COLOR_BGR2GRAY)
    scale, offset = _coefficients(
        guide.astype(np.float32) * np.float32(1 / 255), _resized(alpha, small)
    )
    scratch = scratch or Scratch()
    out = scratch("out", size)
    out.fill(0)
    near, part = _reach(scale, offset, size)
    if near[0].stop == 0:
        return out
    gray = cv2.cvtColor(frame.image[part], cv2.COLOR_BGR2GRAY)
    gray = gray.reshape(out[part].shape)
    line, rest = scratch("line", gray.shape), scratch("rest", gray.shape)
    # The ramp ends a little inside 0..1, so that haze far from the person and holes within go.
    stretch = np.float32(1 / (1 - 2 * CERTAIN))
    cv2.resize(scale[near] * (stretch / np.float32(255)), gray.shape[::-1], dst=line)
    cv2.resize((offset[near] - np.float32(CERTAIN)) * stretch, gray.shape[::-1], dst=rest)
    cv2.multiply(line, gray, dst=line, dtype=cv2.CV_32F)
    line += rest
    np.clip(line, 0, 1, out=out[part])
    return out


def _reach(
    scale: np.ndarray, offset: np.ndarray, size: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where the enlarged lines can come above CERTAIN, in the small maps and in the image of ``size``; the rest is background."""
    highest = cv2.max(offset, offset + scale).reshape(scale.shape)  # of gray values in 0..1
    near = _extent(highest > CERTAIN / 2)
    if near[0].stop == 0:
        return near, near
    factors = [full // side for full, side in zip(size, scale.shape, strict=True)]
    if any(full != f * side for full, f, side in zip(size, factors, scale.shape, strict=True)):
        # A part enlarged by itself lies as it does in the whole only where each pixel becomes a whole number of them.
        return tuple(slice(0, side) for side in scale.shape), tuple(slice(0, side) for side in size)
    near = tuple(
        slice(max(0, one.start - 2), min(side, one.stop + 2))
        for one, side in zip(near, scale.shape, strict=True)
    )
    part = tuple(slice(one.start * f, one.stop * f) for one, f in zip(near, factors, strict=True))
    return near, part


def _coefficients(guide: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``scale`` and ``offset`` of the local straight lines ``target ~ scale * guide + offset``, averaged over windows."""

    def mean(values: np.ndarray, radius: int = RADIUS) -> np.ndarray:
        side = 2 * radius + 1
        return cv2.boxFilter(values, -1, (side, side), borderType=cv2.BORDER_REFLECT)

    mean_guide, mean_target = mean(guide), mean(target)
    variance = mean(guide * guide) - mean_guide * mean_guide
    covariance = mean(guide * target) - mean_guide * mean_target
    scale = covariance / (np.maximum(variance, 0) + np.float32(EPSILON))
    return mean(scale), mean(mean_target - scale * mean_guide)


def border_colors(image: np.ndarray | Pyramid, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the person and what stands behind look like around the border, as two smooth small images.

    Args:
        image: H,W,3 uint8.
        alpha: H,W float32 in 0..1.

    Returns:
        foreground, background: h,w,3 float32 (0..255), COLOR_LONG_SIDE long: means of the colors near each place,
        weighted by alpha and by 1 - alpha.
    """
    # What bilinear steps leave out does not show in means over so many pixels.
    size = fitting_size(*alpha.shape, COLOR_LONG_SIDE)
    small = Pyramid.of(image).at(size).reshape(*size, 3).astype(np.float32)
    weight = _resized(alpha, size).reshape(size)
    side = (2 * COLOR_RADIUS + 1,) * 2

    def gathered(weights: np.ndarray) -> np.ndarray:
        total = cv2.boxFilter(weights, -1, side)
        colors = cv2.boxFilter(small * weights[..., None], -1, side)
        return colors / np.maximum(total, np.float32(1e-4))[..., None]

    return gathered(weight), gathered(1 - weight)


def composite(
    image: np.ndarray | Pyramid, alpha: np.ndarray, background: np.ndarray, clean: bool = True
) -> np.ndarray:
    """The person of ``image`` in front of ``background``.

    Args:
        image: H,W,3 uint8.
        alpha: H,W float32 in 0..1.
        background: H,W,3 uint8.
        clean: whether the old background's color is taken out of the pixels at the border.

    Returns:
        H,W,3 uint8, a new array.
    """
    frame, out = Pyramid.of(image), background.copy()
    share = cv2.convertScaleAbs(alpha, alpha=255).reshape(alpha.shape)
    part = _extent(share)
    if part[0].stop == 0:
        return out
    share = cv2.merge([share[part]] * 3)
    # In whole numbers it is twice as fast as cv2.blendLinear, and off by one gray value at most.
    shown = cv2.multiply(frame.image[part], share, scale=1 / 255)
    behind = cv2.multiply(background[part], cv2.bitwise_not(share), scale=1 / 255)
    out[part] = cv2.add(shown, behind)
    if clean:
        for index, colors, share in person_colors(frame, alpha):
            behind = _pixels(background, index).astype(np.float32)
            colors -= behind
            colors *= share
            colors += behind
            out.reshape(-1, 3)[index] = _rounded(colors)
    return out


def cut_out(image: np.ndarray | Pyramid, alpha: np.ndarray) -> np.ndarray:
    """The person alone; border pixels carry the person's color, hidden ones black.

    Args:
        image: H,W,3 uint8 BGR, or its pyramid.
        alpha: H,W float32, how much of each pixel is the person, 0 to 1.

    Returns:
        H,W,4 uint8 BGRA with straight alpha.
    """
    frame = Pyramid.of(image)
    share = cv2.convertScaleAbs(alpha, alpha=255).reshape(alpha.shape)
    shown = cv2.bitwise_and(frame.image, frame.image, mask=share)
    out = cv2.merge([shown, share]).reshape(*share.shape, 4)
    for index, colors, _ in person_colors(frame, alpha):
        out.reshape(-1, 4)[index, :3] = _rounded(colors)
    return out


def border(alpha: np.ndarray) -> np.ndarray:
    """Flat indices (int64) of the pixels of alpha H,W float32 that are neither person nor background; none where there are too many to be a border."""
    inside = alpha > 0
    inside &= alpha < 1
    index = np.flatnonzero(inside)
    return index if index.size <= FEW * alpha.size else index[:0]


def person_colors(frame: Pyramid, alpha: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """The person's own color in the pixels of the border.

    A border pixel shows ``alpha F + (1 - alpha) B``. F and B are first taken from either side, then F is corrected
    by what the pixel shows beyond that, the more the more of the person it holds (blur fusion, Forte 2021).

    Yields:
        flat indices, N; colors, N,3 float32 in 0..255; alpha there, N,3 float32; a few thousand at a time, which the
        cache holds.
    """
    everything = border(alpha)
    if not everything.size:
        return
    image = frame.image
    foreground, behind = border_colors(frame, alpha)
    height, width = alpha.shape
    small_height, small_width = foreground.shape[:2]
    rows = np.arange(height, dtype=np.intp) * small_height // height * small_width
    columns = np.arange(width, dtype=np.intp) * small_width // width
    for start in range(0, everything.size, CHUNK):
        index = everything[start : start + CHUNK]
        row = index // width
        place = rows.take(row) + columns.take(index - row * width)  # in the small images
        front, back = _pixels(foreground, place), _pixels(behind, place)
        share = alpha.ravel().take(index)
        share = cv2.merge([share] * 3).reshape(-1, 3)
        colors = _pixels(image, index).astype(np.float32)
        colors -= back
        back -= front
        back *= share
        colors += back
        colors *= share
        colors += front
        yield index, np.clip(colors, 0, 255, out=colors), share


def _pixels(image: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Pixels by flat index, N,3."""
    return image.reshape(-1, 3).take(index, 0)


def _rounded(colors: np.ndarray) -> np.ndarray:
    return cv2.convertScaleAbs(colors).reshape(colors.shape)


def _resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR)


def _extent(inside: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that hold all true (or positive) values of H,W bool or uint8; empty slices where there are none."""
    left, top, width, height = cv2.boundingRect(inside.view(np.uint8))
    return slice(top, top + height), slice(left, left + width)
