"""Checks of picture files: there, whole, of the right size; and the two digests by which duplicates and leaks are found."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

# A difference hash of 8x8 bits; pictures whose hashes differ in at most this many are nearly the same.
HASH_SIDE, NEAR_BITS = 8, 3
ORIENTATION = 0x0112


@dataclass(slots=True, frozen=True)
class PictureState:
    """What is known of a picture file: size, digest of its bytes, hash of its look; ``fault`` is a code where it cannot be used."""

    path: str
    width: int = 0
    height: int = 0
    digest: str = ""
    look: int = 0
    rotated: bool = False
    fault: str = ""
    message: str = ""


def examine(path: str | Path) -> PictureState:
    """Read a picture file whole, decode it (JPEG at a fraction of its size, which still reads every byte) and say what is wrong with it."""
    path = str(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return PictureState(
            path, fault="unreadable-picture", message=f"cannot be read ({error.strerror})"
        )
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    if not data:
        return PictureState(
            path, fault="unreadable-picture", message="the file is empty", digest=digest
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                width, height = picture.size
                rotated = picture.getexif().get(ORIENTATION, 1) not in (0, 1)
                picture.draft("L", (8 * (HASH_SIDE + 1), 8 * HASH_SIDE))
                picture.load()
                look = difference_hash(picture)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        text = str(error)
        cut = (
            "truncated" in text
            or "ended" in text
            or isinstance(error, EOFError)
            or _cut_short(data)
        )
        code = "truncated-picture" if cut else "unreadable-picture"
        return PictureState(
            path, fault=code, message=text[:120] or type(error).__name__, digest=digest
        )
    if _cut_short(data):
        message = "its end marker is missing"
        return PictureState(
            path, width, height, digest, look, rotated, "truncated-picture", message
        )
    return PictureState(path, width, height, digest, look, rotated)


def _cut_short(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end marker (writers may leave padding after it)."""
    if data[:2] == b"\xff\xd8":
        return b"\xff\xd9" not in data[-4096:]
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return b"IEND" not in data[-4096:]
    return False


def difference_hash(picture: Image.Image) -> int:
    """64 bits, each telling whether a pixel of the picture shrunk to 9x8 is brighter than its right neighbour."""
    small = np.asarray(
        picture.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX), np.int16
    )
    bits = (small[:, :-1] > small[:, 1:]).reshape(-1)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_pairs(
    first: dict[str, int], second: dict[str, int], bits: int = NEAR_BITS
) -> list[tuple[str, str, int]]:
    """Pairs (a name of ``first``, a name of ``second``, differing bits) whose hashes differ in at most ``bits`` of 64.

    Hashes are cut into ``bits + 1`` pieces; two that differ in so few bits share at least one piece whole, so only those are compared.
    Flat pictures (night, fog) hash to few ones and are left out: their hashes say nothing.
    """
    pieces = bits + 1
    width = 64 // pieces
    mask = (1 << width) - 1
    tables: list[dict[int, list[str]]] = [{} for _ in range(pieces)]
    for name, value in first.items():
        if telling(value):
            for place, table in enumerate(tables):
                table.setdefault((value >> (place * width)) & mask, []).append(name)
    found: dict[tuple[str, str], int] = {}
    for name, value in second.items():
        if not telling(value):
            continue
        for place, table in enumerate(tables):
            for other in table.get((value >> (place * width)) & mask, ()):
                apart = (first[other] ^ value).bit_count()
                if apart <= bits:
                    found[other, name] = apart
    return [(a, b, apart) for (a, b), apart in found.items()]


def telling(value: int) -> bool:
    """Whether a hash has enough of both bits to tell pictures apart."""
    return 12 <= value.bit_count() <= 52
