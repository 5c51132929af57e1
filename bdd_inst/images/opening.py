"""The one door to image files: which formats are opened, how large they may be, and every failure as one DataError line."""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from collections.abc import Iterator
from typing import IO

from PIL import Image, UnidentifiedImageError

from bdd_inst.base.environment import limit
from bdd_inst.base.errors import DataError, printable
from bdd_inst.base.regular_files import open_regular

# Decoders that read bytes and do nothing else. PostScript is left out on purpose: PIL hands it to another program.
FORMATS = (
    "JPEG",
    "MPO",
    "PNG",
    "BMP",
    "DIB",
    "GIF",
    "WEBP",
    "TIFF",
    "PPM",
    "JPEG2000",
    "AVIF",
)
LIMIT_VARIABLE = "BDD_INST_MAX_PIXELS"
MAX_PIXELS = 89_478_485  # PIL's own: a quarter of a GiB at three bytes a pixel
MAX_SIDE = 1_000_000  # what shrinks a strip weighs each of its pixels, for each pixel that is left

# What PIL says of damaged metadata is not about pixels, and its size warning is our limit below.
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def max_pixels() -> int:
    """How many pixels an image may have: ``$BDD_INST_MAX_PIXELS``, else MAX_PIXELS.

    Raises:
        ConfigError: the variable is no whole number above 0.
    """
    return limit(LIMIT_VARIABLE) or MAX_PIXELS


@contextlib.contextmanager
def open_image(
    source: str | os.PathLike | IO[bytes],
    formats: tuple[str, ...] | None = None,
    name: str | os.PathLike | None = None,
) -> Iterator[Image.Image]:
    """An image, its header read and its pixels not yet, until the block ends; whatever goes wrong inside is one DataError.

    Args:
        source: a regular file (no pipe, no device: they may never end), or an open stream of bytes.
        formats: the decoders that may try it, FORMATS where None; a wrong suffix does not matter.
        name: what messages call it; the path where there is one.

    Yields:
        The open image; ``load`` decodes its pixels.

    Raises:
        DataError: missing, no image of these formats, broken, or of more pixels than :func:`max_pixels`; the line names the file.
    """
    is_path = isinstance(source, (str, os.PathLike))
    name = printable(name or (source if is_path else "image"))
    most = max_pixels()
    _raise_pil_limit(most)
    try:
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(open_image_file(source)) if is_path else source
            image = stack.enter_context(Image.open(stream, formats=formats or _known_formats()))
            if image.width * image.height > most:
                raise DataError(_too_large(name, f"{image.width}x{image.height} pixels", most))
            if max(image.size) > MAX_SIDE:
                raise DataError(
                    f"{name}: an image of {image.width}x{image.height} pixels, one side longer than {MAX_SIDE}; cut it into pieces"
                )
            yield image
    except (DataError, GeneratorExit):
        raise
    except UnidentifiedImageError:
        raise DataError(f"{name}: not an image in a known format; fetch it again") from None
    except Image.DecompressionBombError:
        raise DataError(_too_large(name, "too many pixels", most)) from None
    except MemoryError:
        raise DataError(f"{name}: an image that does not fit into the memory") from None
    except Exception as error:  # PIL's decoders raise whatever their bytes lead them to
        raise DataError(f"{name}: a broken image ({reason(error)}); fetch it again") from None


def open_image_file(path: str | os.PathLike) -> IO[bytes]:
    """The file of an image for reading, its bytes as they are.

    Args:
        path: of the file.

    Returns:
        A binary stream, which the caller closes.

    Raises:
        DataError: missing, unreadable, or no regular file.
    """
    return open_regular(path, "no such image; is the data set complete?")


@functools.cache
def _known_formats() -> tuple[str, ...]:
    """Those of FORMATS that this PIL was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def reason(error: BaseException) -> str:
    """What an exception says, as one short line.

    Args:
        error: of any library.

    Returns:
        Its first line, or its kind where it has none.
    """
    return " ".join(str(error).split())[:120] or type(error).__name__


def _too_large(name: str, size: str, limit: int) -> str:
    return (
        f"{name}: an image of {size}, more than the {limit} that are read; "
        f"if you trust it, set {LIMIT_VARIABLE} to a larger number"
    )


def _raise_pil_limit(limit: int) -> None:
    """PIL refuses at twice its own limit; a larger one that the user has asked for must reach it."""
    if Image.MAX_IMAGE_PIXELS is not None and limit > 2 * Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = limit
