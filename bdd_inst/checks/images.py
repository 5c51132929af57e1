"""Checks of image files: there, whole, of the right size; and the two digests by which duplicates and leaks are found."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bdd_inst.base.errors import DataError, printable
from bdd_inst.images.opening import open_image, open_image_file, reason
from bdd_inst.images.read import to_rgb
from bdd_inst.images.size import orientation, read_size

# A difference hash of 8x8 bits; images whose hashes differ in at most this many are nearly the same.
HASH_SIDE, NEAR_BITS = 8, 3


@dataclass(slots=True, frozen=True)
class ImageState:
    """What is known of an image file: size as it is shown, digest of its bytes, difference hash of its pixels; ``fault`` is a code where it cannot be used."""

    path: str
    height: int = 0
    width: int = 0
    digest: str = ""
    look: int = 0
    rotated: bool = False
    scaled: str = ""
    fault: str = ""
    message: str = ""


def examine(path: str | Path) -> ImageState:
    """Read an image file whole, decode it (JPEG at a fraction of its size, which still reads every byte) and say what is wrong with it."""
    path = str(path)
    try:
        with open_image_file(path) as stream:
            data = stream.read()
    except (OSError, MemoryError, DataError) as error:
        return ImageState(path, fault="unreadable-image", message=_without(path, error))
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    if not data:
        return ImageState(
            path, fault="unreadable-image", message="the file is empty", digest=digest
        )
    try:
        height, width = read_size(path)
        with open_image(path) as image:
            turn, mode = orientation(image), image.mode
            image.draft("L", (8 * (HASH_SIDE + 1), 8 * HASH_SIDE))
            image.load()
            look = difference_hash(image)
    except DataError as error:
        text = _without(path, error)
        cut = "truncated" in text or "ended" in text or _cut_short(data)
        code = "truncated-image" if cut else "unreadable-image"
        return ImageState(path, fault=code, message=text, digest=digest)
    scaled = mode if mode.startswith(("I", "F")) else ""
    return ImageState(
        path, height=height, width=width, digest=digest, look=look, rotated=turn != 1, scaled=scaled
    )


def _without(path: str, error: BaseException) -> str:
    """What is wrong with an image, without its name: findings have that in a column of their own."""
    return reason(error).removeprefix(f"{printable(path)}: ")


def _cut_short(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end marker (writers may leave padding after it)."""
    if data[:2] == b"\xff\xd8":
        return b"\xff\xd9" not in data[-4096:]
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return b"IEND" not in data[-4096:]
    return False


def difference_hash(image: Image.Image) -> int:
    """64 bits, each telling whether a pixel of the image shrunk to 9x8 is brighter than its right neighbor."""
    small = np.asarray(
        to_rgb(image).convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX),
        np.int16,
    )
    bits = (small[:, :-1] > small[:, 1:]).reshape(-1)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_pairs(
    first: dict[str, int], second: dict[str, int], bits: int = NEAR_BITS
) -> list[tuple[str, str, int]]:
    """Pairs (a name of ``first``, a name of ``second``, differing bits) whose hashes differ in at most ``bits`` of 64.

    Hashes are cut into ``bits + 1`` pieces; two that differ in so few bits share at least one piece whole, so only those are compared.
    Flat images (night, fog) hash to few ones and are left out: their hashes say nothing.
    """
    pieces = bits + 1
    width = 64 // pieces
    mask = (1 << width) - 1
    tables: list[dict[int, list[str]]] = [{} for _ in range(pieces)]
    for name, value in first.items():
        if is_informative(value):
            for place, table in enumerate(tables):
                table.setdefault((value >> (place * width)) & mask, []).append(name)
    found: dict[tuple[str, str], int] = {}
    for name, value in second.items():
        if not is_informative(value):
            continue
        for place, table in enumerate(tables):
            for other in table.get((value >> (place * width)) & mask, ()):
                apart = (first[other] ^ value).bit_count()
                if apart <= bits:
                    found[other, name] = apart
    return [(a, b, apart) for (a, b), apart in found.items()]


def is_informative(value: int) -> bool:
    """Whether a hash has enough of both bits to tell images apart."""
    return 12 <= value.bit_count() <= 52
