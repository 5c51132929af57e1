"""Which kind of mask a PNG is: BDD100K bitmask, label map, or 0/255 mask - by its header and its pixels, bombs refused."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from bdd_inst.base.errors import DataError, printable
from bdd_inst.images.opening import open_image, open_image_file
from bdd_inst.masks.rle_check import MAX_PIXELS

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
COLORS = {GRAY: "gray", RGB: "RGB", PALETTE: "palette", GRAY_ALPHA: "gray with alpha", RGBA: "RGBA"}
KINDS = ("bitmask", "pan-seg", "cityscapes-instances", "label-map", "binary-masks")
# Folders whose PNGs number instances and leave their classes to the folder beside (PASCAL VOC, CIHP, LIP), by letters and digits.
NUMBERED_FOLDERS = {
    "segmentationobject",
    "instance",
    "instances",
    "instanceids",
    "instancemap",
    "instancemaps",
    "instancemasks",
}
# The highest class of BDD100K's detection; its panoptic bitmasks go on to 40.
MAX_DETECTION_CLASS = 10
# Values that count on from 1 in every image number objects where one image has this many; or fewer, but of three different numbers
# among so many images. Below, classes that come one after the other (body, head, hat) look the same.
MANY_NUMBERED = 5
FEW_NUMBERED, IMAGES_OF_FEW = 4, 8
# How many of the objects may lie in several places: one stands behind a pole. Classes do so all the time.
DIVIDED = 0.15
# How many PNGs are searched for numbers.
IMAGES_COUNTED = 64
# How many of a folder's PNGs are opened to tell their kind.
IMAGES_LOOKED_AT = 6


def header(path: str | os.PathLike) -> tuple[int, int, int, int]:
    """Height, width, bit depth and color type of a PNG, from its first bytes.

    Args:
        path: of the file.

    Returns:
        Height, width (pixels), bits a channel, and color type (GRAY, PALETTE, ...).

    Raises:
        DataError: no PNG, or a header that makes no sense.
    """
    try:
        with open_image_file(path) as stream:
            return parse_header(stream.read(33), printable(path))
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot be read ({error.strerror})") from None


def parse_header(data: bytes, where: str) -> tuple[int, int, int, int]:
    """:func:`header` of bytes already read; ``where`` names them in messages."""
    if data[:8] != SIGNATURE or data[12:16] != b"IHDR" or len(data) < 26:
        raise DataError(f"{where}: not a PNG file" if data else f"{where}: the file is empty")
    width, height, depth, color = struct.unpack(">IIBB", data[16:26])
    if not width or not height or width * height > MAX_PIXELS or color not in COLORS:
        raise DataError(f"{where}: a PNG of {width}x{height} pixels is no mask that we read")
    return height, width, depth, color


def pixels(path: str | os.PathLike) -> np.ndarray:
    """The stored values of a PNG: H,W for gray and palette (indices), H,W,C else.

    Args:
        path: of the file.

    Returns:
        H,W or H,W,C, uint8 or uint16.

    Raises:
        DataError: no PNG, or a broken one.
    """
    _, _, depth, color = header(path)
    with open_image(path, formats=("PNG",)) as image:
        return stored_values(image, depth, color)


def stored_values(image: Image.Image, depth: int, color: int) -> np.ndarray:
    """The values that an open PNG holds: H,W or H,W,C, uint8 or uint16.

    PIL stretches gray of 2 and 4 bits to 0..255; class numbers are the stored bits, the same in every tool.
    """
    values = np.asarray(image)
    if values.dtype == bool:
        return values.astype(np.uint8)
    if color == GRAY and depth in (2, 4):
        return values // np.uint8(255 // (2**depth - 1))
    return values.astype(np.uint16) if depth == 16 else values


class NoMask(DataError):
    """A sound PNG that is no mask of a kind that we know."""


def kind_of(files: Sequence[Path], path: Path, named: bool = False) -> str:
    """Which of :data:`KINDS` the PNG files found at ``path`` are.

    Args:
        files: the PNGs; a sample of them is looked at.
        path: where they were found, for messages.
        named: somebody said which classes the values are, so that they number no objects.

    Returns:
        One of KINDS.

    Raises:
        DataError: they are of none of these kinds, or of several, or number instances without a class.
    """
    if "colormaps" in {part.lower() for part in path.parts[-2:]}:
        raise DataError(
            f"{path}: color maps number instances for the eye and do not say their class; read the bitmasks beside them"
        )
    step = max(1, len(files) // IMAGES_LOOKED_AT)
    kinds: dict[str, Path] = {}
    trouble = ""
    for file in files[::step]:
        try:
            kinds.setdefault(_kind(file), file)
        except NoMask as error:
            if kinds:
                raise DataError(f"{path}: not only masks: {error}") from None
            raise DataError(f"{path}: no masks that we know: {error}") from None
        except DataError as error:
            trouble = trouble or str(error)
    if not named and "label-map" in kinds and kinds.keys() <= {"label-map", "binary-masks"}:
        refuse_instance_numbers(files, path)
    if set(kinds) == {"label-map", "binary-masks"} and trouble == "":
        # A label map that has nothing of its classes looks like an empty mask, and one of class 255 (ignore) alone like a full one.
        return "label-map"
    if set(kinds) == {"bitmask", "pan-seg"}:
        return "pan-seg"
    if set(kinds) == {"cityscapes-instances", "label-map"}:
        return "cityscapes-instances"
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds:
        mixed = ", ".join(f"{kind} ({file.name})" for kind, file in kinds.items())
        raise DataError(f"{path}: PNGs of different kinds: {mixed}; name one kind's folder")
    raise DataError(f"{path}: no masks that we know: {trouble}")


def refuse_instance_numbers(files: Sequence[Path], path: Path) -> None:
    """DataError where PNGs number instances, by their folder or by their values: as class numbers they would be nonsense."""
    folders = {re.sub("[^a-z0-9]", "", part.lower()) for part in files[0].absolute().parts[-3:-1]}
    if NUMBERED_FOLDERS & folders or numbers_of(files) == "objects":
        raise DataError(
            f"{path}: the PNGs of {files[0].parent.name} number instances from 1 on in each image and do not say their classes; "
            "give the folder of class maps (VOC: SegmentationClass), or instances with classes: COCO or Cityscapes JSON, instanceIds, "
            "BDD100K bitmasks (--kind label-map takes the numbers for classes)"
        )


def numbers_of(files: Sequence[Path]) -> str:
    """What the values of PNGs of small numbers are: classes, or numbers of objects that start anew in each image.

    Objects are numbered from 1 without a gap, nearly each is one region, and images have different numbers of them. Classes leave
    gaps, or lie in several places.

    Args:
        files: PNGs of one folder; a sample of them is looked at, until it is certain.

    Returns:
        ``classes``, ``objects``, or ``either`` where so few are numbered that nobody can tell.
    """
    step = max(1, len(files) // IMAGES_COUNTED)
    counts: list[int] = []
    divided = 0
    for file in files[::step]:
        try:
            values = pixels(file)
        except DataError:
            continue
        values = values if values.ndim == 2 else values[..., 0]
        found = np.unique(values)
        found = found[(found != 0) & (found != np.iinfo(values.dtype).max)]
        if not len(found):
            continue
        if found[0] != 1 or found[-1] != len(found):
            return "classes"
        counts.append(len(found))
        divided += sum(
            cv2.connectedComponents((values == value).view(np.uint8))[0] != 2 for value in found
        )
        if divided > 1 + DIVIDED * sum(counts):
            return "classes"
    if divided > DIVIDED * sum(counts):
        return "classes"
    numbers, most = len(set(counts)), max(counts, default=0)
    few = numbers > 2 and most >= FEW_NUMBERED and len(counts) >= IMAGES_OF_FEW
    if few or (numbers > 1 and most >= MANY_NUMBERED):
        return "objects"
    return "either" if numbers > 1 or (len(counts) == 1 and most > 2) else "classes"


def _kind(file: Path) -> str:
    """The kind of one PNG."""
    _, _, depth, color = header(file)
    values = pixels(file)
    if color == RGBA:
        if is_bitmask(values):
            panoptic = values[..., 0].max(initial=0) > MAX_DETECTION_CLASS
            return "pan-seg" if panoptic or "pan_seg" in file.parts else "bitmask"
        raise NoMask(
            f"{file}: an RGBA PNG that is no BDD100K bitmask (class in R, flags in G, instance number in B and A)"
        )
    if color == PALETTE:
        return "label-map"
    if color in (GRAY, RGB, GRAY_ALPHA):
        if values.ndim == 3:
            if color == RGB and not (values == values[..., :1]).all():
                raise NoMask(f"{file}: a color image, not a mask; give the folder of masks")
            values = values[..., 0]
        found = np.unique(values)
        if file.stem.endswith("_instanceIds") or (depth == 16 and is_numbered_by_class(found)):
            return "cityscapes-instances"
        if not len(np.setdiff1d(found, (0, 255))):
            return "binary-masks"
        if depth <= 8 and len(found) <= 64 and (found[found != 255] <= 64).all():
            return "label-map"
        # A smoothed or lossy 0/255 mask: between the two are only its edges.
        between = ((values >= 16) & (values <= 239)).mean()
        if depth == 8 and between < 0.1 and between <= (values > 239).mean():
            return "binary-masks"
    raise NoMask(
        f"{file}: a {COLORS[color]} PNG with {len(np.unique(values))} values from {values.min()} to {values.max()}, "
        "which is no mask that we know (do they number instances?)"
    )


def is_numbered_by_class(found: np.ndarray) -> bool:
    """Whether these values (K uint8 or uint16, each once) of a PNG are Cityscapes' ``instanceIds``: classes up to 33, and class * 1000 + number for things."""
    numbered = found[found >= 1000]
    return bool(
        len(numbered)
        and (found[found < 1000] <= 33).all()
        and ((numbered // 1000 >= 24) & (numbered // 1000 <= 33)).all()
    )


def is_bitmask(values: np.ndarray) -> bool:
    """Whether H,W,4 uint8 has a BDD100K bitmask's bytes: small classes, four flags, background all zero, numbers where classes are.

    Args:
        values: H,W,4 uint8.

    Returns:
        True for a BDD100K bitmask.
    """
    if values.ndim != 3 or values.shape[2] != 4:
        return False
    category, flags = values[..., 0], values[..., 1]
    number = (values[..., 2].astype(np.uint16) << 8) | values[..., 3]
    return bool(
        (category <= 64).all() and (flags < 16).all() and ((category > 0) == (number > 0)).all()
    )
