"""Label maps: one PNG an image whose values are class numbers, palette or gray; and the colors that make them readable.

The stored values are what counts: a palette PNG is read by its indices and never converted, for converting replaces them by colors.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import Image

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.images import png_kinds
from bdd_inst.images.opening import open_image
from bdd_inst.masks import run_lengths
from bdd_inst.masks.label_runs import label_rles, paint

VOID = 255


def read_label_map(path: str | os.PathLike) -> np.ndarray:
    """A palette or gray PNG -> H,W uint8 (uint16 for 16 bits) of stored values.

    Args:
        path: of the PNG.

    Returns:
        H,W class numbers, uint8 or uint16.

    Raises:
        DataError: a color image, or a broken file.
    """
    _, _, _, color = png_kinds.header(path)
    if color not in (png_kinds.PALETTE, png_kinds.GRAY):
        raise DataError(
            f"{path}: a label map is a palette or gray PNG, this one is {png_kinds.COLORS[color]}; its classes cannot be told"
        )
    values = png_kinds.pixels(path)
    if values.ndim != 2:
        raise DataError(
            f"{path}: a label map has one value a pixel, this PNG has {values.shape[-1]}"
        )
    return values


def read_encoded(path: str | os.PathLike, encoding: str | Mapping | None = None) -> np.ndarray:
    """A label map file of any coding -> H,W class numbers, uint8 (uint16 for 16 bits).

    Args:
        path: of the file, PNG or another image format.
        encoding: None, the stored values are the class numbers; ``binary``, black is 0 and white 1 (half-way at 128, as lossy or
            smoothed masks need); a mapping of colors ``(r, g, b)`` to class numbers, every other color becoming 255.

    Returns:
        H,W, uint8 or uint16.

    Raises:
        DataError: broken, or a color image where class numbers or black and white belong.
    """
    if encoding is None:
        return read_label_map(path)
    if encoding == "binary":
        values = read_gray(path)
        return (values > 127).astype(np.uint8)
    values = png_kinds.pixels(path)
    _, _, _, kind = png_kinds.header(path)
    if kind == png_kinds.PALETTE:
        # Of a palette the colors count here, for a color table names what they mean.
        values = np.asarray(_opened_as(path, "RGB"))
    if values.ndim != 3:
        raise DataError(f"{path}: a color table goes with color PNGs, this one is gray")
    packed = (values[..., :3].astype(np.uint32) * (65536, 256, 1)).sum(axis=2, dtype=np.uint32)
    out = np.full(packed.shape, VOID, np.uint8)
    for (r, g, b), number in encoding.items():
        out[packed == r * 65536 + g * 256 + b] = number
    return out


def read_gray(path: str | os.PathLike) -> np.ndarray:
    """A 0/255 mask of any image format, palette colors and all, as H,W uint8 gray; fully transparent pixels are 0."""
    image = _opened_as(path, None)
    if image.mode in ("LA", "RGBA"):
        alpha = np.asarray(image.getchannel("A"))
        return np.where(alpha > 0, np.asarray(image.convert("L")), 0).astype(np.uint8)
    if image.mode.startswith("I"):
        values = np.asarray(image)
        # 16 bits: only the file's own largest value says what white is.
        return (values > values.max(initial=0) // 2).astype(np.uint8) * 255
    return np.asarray(image.convert("L"))


def _opened_as(path: str | os.PathLike, mode: str | None) -> Image.Image:
    """The image, whole, converted where a mode is given. DataError where it cannot be read."""
    with open_image(path) as image:
        image.load()
        return image.convert(mode) if mode else image.copy()


def class_instances(
    values: np.ndarray, background: int = 0, void: int | None = VOID, by: str = "class"
) -> list[tuple[int, dict]]:
    """H,W class numbers -> (class, RLE) pairs, classes ascending.

    ``by="class"``: one instance a class that occurs; ``by="component"``: one a connected component (8-neighbors), from the top.
    Pixels of ``background`` and ``void`` belong to nothing.

    Args:
        values: H,W uint8 or wider.
        background, void: numbers that belong to no object; None for none.
        by: ``class``, or ``component``: one instance for each connected component (8 neighbors).

    Returns:
        ``(class number, RLE of (H, W))``, classes ascending.

    Raises:
        ValueError: another ``by``.
    """
    if by not in ("class", "component"):
        raise ValueError(f'by must be "class" or "component", not {by!r}')
    labels, rles = label_rles(values, background)
    pairs = [(int(label), rle) for label, rle in zip(labels, rles) if label != void]
    if by == "class":
        return pairs
    return [(label, part) for label, rle in pairs for part in components(rle)]


def components(rle: dict) -> list[dict]:
    """The connected components (8-neighbors) of a mask, one RLE each, by their top row, then by their left column."""
    x1, y1, x2, y2 = (int(v) for v in run_lengths.to_bbox(rle))
    height, width = rle["size"]
    if x2 <= x1:
        return []
    # Only the object's box is looked at; a component of it cannot leave it.
    crop = np.ascontiguousarray(run_lengths.decode(rle)[y1:y2, x1:x2])
    count, numbers = cv2.connectedComponents(crop.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    # Number 0 is the background: one component is the mask itself.
    if count == 2:
        return [rle]
    whole = np.zeros((height, width), dtype=np.int32)
    whole[y1:y2, x1:x2] = numbers
    _, rles = label_rles(whole)
    return sorted(rles, key=lambda part: run_lengths.to_bbox(part)[1::-1])


# zlib's Z_RLE: label maps are runs; half the time of the default, and smaller.
RUNS = {"compress_type": 3}


def to_label_map(
    rles: Sequence[dict], classes: Sequence[int], height: int, width: int, background: int = 0
) -> np.ndarray:
    """Masks and their class numbers (0 to 255) -> H,W uint8; the later mask's class stays where they overlap."""
    bad = [number for number in classes if not 0 <= number <= 255]
    if bad:
        raise DataError(f"a label map holds classes 0 to 255, not {bad[0]}")
    if background == 0:
        return paint(rles, classes, height=height, width=width, dtype=np.uint8)
    # Painted by place, for a class may have the background's number.
    few = len(rles) < 256
    places = paint(
        rles,
        range(1, len(rles) + 1),
        height=height,
        width=width,
        dtype=np.uint8 if few else np.uint32,
    )
    return np.array([background, *classes], dtype=np.uint8)[places]


def write_label_map(
    path: str | os.PathLike, values: np.ndarray, palette: np.ndarray | None = None
) -> None:
    """H,W class numbers 0 to 255 -> a palette PNG, whole or not at all. ``palette``: up to 256,3 uint8 RGB (:func:`class_colors`)."""
    image = Image.fromarray(_bytes(values), "P")
    colors = class_colors() if palette is None else np.asarray(palette, dtype=np.uint8)
    image.putpalette(colors.reshape(-1).tolist())
    with atomic_write(path, "wb") as stream:
        image.save(stream, "PNG", **RUNS)


def write_gray(path: str | os.PathLike, values: np.ndarray, durable: bool = True) -> int:
    """H,W values 0 to 255 -> a gray PNG, whole or not at all.

    Args:
        path: of the PNG.
        values: H,W of any integer dtype, from 0 to 255.
        durable: as of :func:`bdd_inst.base.files.atomic_write`.

    Returns:
        The file's size in bytes.

    Raises:
        DataError: values of another kind, or none. OSError: it could not be written.
    """
    values = _bytes(values)
    if not values.size:
        raise DataError("a PNG of no pixels cannot be written")
    png = _gray_png(values) if values.any() else _black_png(values.shape)
    with atomic_write(path, "wb", durable=durable) as stream:
        stream.write(png)
    return len(png)


def _gray_png(values: np.ndarray) -> bytes:
    return cv2.imencode(".png", values)[1].tobytes()  # runs in a third of Pillow's time


@functools.lru_cache(64)
def _black_png(size: tuple[int, int]) -> bytes:
    # Most images of a large set lack the class asked for.
    return _gray_png(np.zeros(size, np.uint8))


def _bytes(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 2 or (values.size and (values.min() < 0 or values.max() > 255)):
        raise DataError("a label map is written from H,W values of 0 to 255")
    return np.ascontiguousarray(values, dtype=np.uint8)


def class_colors(count: int = 256) -> np.ndarray:
    """K,3 uint8 RGB for K = ``count``, the PASCAL VOC colors: black for 0, then each next number as far apart as bits allow."""
    numbers = np.arange(count, dtype=np.int64)
    colors = np.zeros((count, 3), dtype=np.int64)
    # VOC's rule: bits 0, 1 and 2 of the number are red's, green's and blue's highest bits, bits 3, 4 and 5 the next ones, and so on.
    for step in range(8):
        for channel in range(3):
            colors[:, channel] |= (numbers >> (3 * step + channel) & 1) << (7 - step)
    return colors.astype(np.uint8)


def overlay(
    image: np.ndarray, values: np.ndarray, opacity: float = 0.5, palette: np.ndarray | None = None
) -> np.ndarray:
    """H,W,3 uint8 RGB with the classes of a label map (H,W) laid over it; class 0 is left as it is.

    Args:
        image: H,W,3 uint8 RGB.
        values: H,W class numbers.
        opacity: of the classes' colors, 0 to 1.
        palette: K,3 uint8 RGB by class number; None takes :func:`class_colors`.

    Returns:
        H,W,3 uint8 RGB, a new array.

    Raises:
        DataError: a map of another size than the image.
    """
    if image.shape[:2] != values.shape:
        sizes = f"{values.shape[1]}x{values.shape[0]}", f"{image.shape[1]}x{image.shape[0]}"
        raise DataError(f"a label map of {sizes[0]} does not fit an image of {sizes[1]}")
    colors = class_colors() if palette is None else np.asarray(palette, dtype=np.uint8)
    marked = values != 0
    out = image.copy()
    mixed = (
        image[marked] * (1 - opacity)
        + colors[values[marked].astype(np.int64) % len(colors)] * opacity
    )
    out[marked] = np.rint(mixed).astype(np.uint8)
    return out
