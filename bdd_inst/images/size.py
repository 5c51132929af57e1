"""How large an image is as it is shown, and whether its file is whole, without decoding it where that can be told."""

from __future__ import annotations

import contextlib
import os
import struct

from PIL import Image

from bdd_inst.images.opening import open_image, open_image_file

EXIF_ORIENTATION = 274
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
# How a whole file ends. Some cameras append bytes after it, so a tail without the mark is looked at again.
ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
TAIL = 64
# PNG chunks in which an orientation can lie; others are jumped over.
PNG_METADATA = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")


def read_size(path: str | os.PathLike) -> tuple[int, int]:
    """(height, width) of the image as it is shown (EXIF orientation applied), after a look at whether the file is whole.

    This is the size that labels, masks and every tool speak of.

    Args:
        path: of the image.

    Returns:
        (height, width) in pixels.

    Raises:
        DataError: missing, truncated, or no image.
    """
    with open_image_file(path) as stream, open_image(stream, name=path) as image:
        height, width = stored_size(image)
        # PIL decodes a whole PNG to look for an orientation.
        search = image.format != "PNG" or _has_metadata(path)
        turned = search and orientation(image) in SIDEWAYS
        mark = ENDS.get(image.format)
        if mark is not None:
            stream.seek(-min(TAIL, os.fstat(stream.fileno()).st_size), os.SEEK_END)
            if mark not in stream.read():
                image.load()
        return (width, height) if turned else (height, width)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation that is still to be applied, 1 to 8; 1 where there is none.

    Args:
        image: open, its pixels not loaded yet.

    Returns:
        1 to 8, as EXIF numbers them.
    """
    value = 1
    with contextlib.suppress(Exception):  # a damaged EXIF block says nothing about the pixels
        value = image.getexif().get(EXIF_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def stored_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) of the pixels as they are stored, before any orientation."""
    tags = getattr(image, "tag_v2", None)
    if tags is not None and 256 in tags and 257 in tags:  # newer PILs give a TIFF's size upright
        return int(tags[257]), int(tags[256])
    return image.height, image.width


def _has_metadata(path: str | os.PathLike) -> bool:
    """Whether a PNG has a chunk that can hold an orientation."""
    with open_image_file(path) as stream:
        stream.seek(8)
        while len(head := stream.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind in PNG_METADATA:
                return True
            if kind == b"IEND":
                break
            stream.seek(length + 4, os.SEEK_CUR)
    return False
