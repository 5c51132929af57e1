"""Label Studio's brush masks: run lengths of RGBA bytes, packed bit by bit (the "rle-pack" coding), to masks and back.

The stream is 32 bits for the number of words, 5 for the bits of a word less one, 4 times 4 for the bits of four kinds of run lengths less
one; then runs: 1 bit (repeated or literal), 2 bits (which kind of length), the length less one, and one word or as many as the length.
The words are an image's pixels row by row, R, G, B, A each; alpha above 0 is the object.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bdd_inst.masks import run_lengths
from bdd_inst.masks.rle_check import MAX_PIXELS

CHANNELS = 4
LENGTH_BITS = (3, 4, 8, 16)  # as Label Studio itself writes
HEAD_BITS = 32 + 5 + 4 * len(LENGTH_BITS)


def decode(packed: Sequence[int], height: int, width: int) -> dict:
    """The mask of a brush.

    Args:
        packed: bytes as whole numbers, 0 to 255.
        height, width: of the image, in pixels.

    Returns:
        An RLE of (height, width).

    Raises:
        ValueError: no such stream, or one of another size.
    """
    pixels = height * width
    if pixels > MAX_PIXELS:
        raise ValueError(f"a brush on an image of {width}x{height}, which no image has")
    try:
        data = bytes(packed)
    except (TypeError, ValueError):
        raise ValueError("brush data are no bytes, whole numbers of 0 to 255") from None
    if len(data) * 8 < HEAD_BITS:
        raise ValueError("brush data break off")
    # Zeros behind the end, so that eight bytes can be taken anywhere.
    reader = _Bits(data + bytes(8))
    words = reader.take(32)
    if words != CHANNELS * pixels:
        raise ValueError(
            f"brush data are of {words} values, an image of {width}x{height} has {CHANNELS * pixels}"
        )
    bits = reader.take(5) + 1
    lengths = [reader.take(4) + 1 for _ in LENGTH_BITS]
    values = np.zeros(words, dtype=bool)
    place, end = 0, len(data) * 8
    while place < words:
        repeated = reader.take(1)
        stop = place + 1 + reader.take(lengths[reader.take(2)])
        needed = bits if repeated else bits * (stop - place)
        if reader.place + needed > end or stop > words:
            raise ValueError("brush data break off, or their runs pass the image's end")
        if repeated:
            values[place:stop] = reader.take(bits) != 0
        else:
            values[place:stop] = reader.words(stop - place, bits)
        place = stop
    return run_lengths.encode(values[CHANNELS - 1 :: CHANNELS].reshape(height, width))


def encode(rle: dict) -> list[int]:
    """A mask as Label Studio's brush has it.

    Args:
        rle: of (height, width).

    Returns:
        Bytes as whole numbers: all four channels 255 where the mask is set, else 0.
    """
    flat = np.ascontiguousarray(run_lengths.decode(rle)).reshape(-1)
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [len(flat)]))
    out = [f"{CHANNELS * len(flat):032b}", "00111", *(f"{n - 1:04b}" for n in LENGTH_BITS)]
    longest = 1 << LENGTH_BITS[-1]
    for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist()):
        value = "11111111" if flat[start] else "00000000"
        left = CHANNELS * (stop - start)
        while left:
            run = min(left, longest)
            kind = next(k for k, bits in enumerate(LENGTH_BITS) if run <= 1 << bits)
            out.append(f"1{kind:02b}{run - 1:0{LENGTH_BITS[kind]}b}{value}")
            left -= run
    text = "".join(out)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


class _Bits:
    """Numbers of so many bits out of bytes, the highest bit first."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def take(self, bits: int) -> int:
        """The next number of up to 32 bits."""
        first, skip = divmod(self.place, 8)
        self.place += bits
        whole = int.from_bytes(self.data[first : first + 8].ljust(8, b"\0"), "big")
        return whole >> (64 - skip - bits) & ((1 << bits) - 1)

    def words(self, number: int, bits: int) -> np.ndarray:
        """Which of the next words of ``bits`` are not zero: N bool."""
        first, skip = divmod(self.place, 8)
        self.place += number * bits
        flat = np.unpackbits(np.frombuffer(self.data[first : -(-self.place // 8)], np.uint8))
        return flat[skip : skip + number * bits].reshape(number, bits).any(axis=1)
