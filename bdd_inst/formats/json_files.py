"""JSON files into memory: whole or item by item, NaN tokens and byte-order marks included, never with a traceback."""

from __future__ import annotations

import json
import os
import re
import zlib
from pathlib import Path
from typing import Any

import msgspec

from bdd_inst.base.environment import limit
from bdd_inst.base.errors import DataError
from bdd_inst.base.memory import gc_paused
from bdd_inst.base.regular_files import read_regular
from bdd_inst.formats.encodings import as_utf8

# A label file of 8 GB is forty times COCO's largest; what is bigger is another thing, or a bomb.
LARGEST_FILE = 8 << 30
LARGEST_UNPACKED = 2 << 30
# Labels shrink to a fourth up to a thirtieth; what shrinks more is mostly nothing, and made to fill the memory.
MOST_SHRUNK, ALWAYS_UNPACKED = 100, 8 << 20
UNPACKED_VARIABLE = "BDD_INST_MAX_UNPACKED"
# Python's json writes these three words, which JSON does not know. They become a number out of range: refused where it stands.
NOT_FINITE = re.compile(rb"(?<=[\[,:\s])(?:NaN|[-+]?Infinity)(?=\s*[\],}])")
# It also writes half a character, of a file's name that is no UTF-8, which JSON's readers refuse. Every escape is looked at in turn,
# for the second half of one pair, or of two backslashes, is no half of its own.
ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
REPLACEMENT = rb"\ufffd"
BLANK = re.compile(rb"\s*\S")
BYTE_POSITION = re.compile(r"\(byte (\d+)\)")

_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_raw_dict = msgspec.json.Decoder(dict[str, msgspec.Raw])

Top = list[msgspec.Raw] | dict[str, msgspec.Raw]


def read_bytes(path: str | os.PathLike, *, empty: bool = False) -> bytes:
    """The bytes of a text file as UTF-8 without a byte-order mark; ``.gz`` is unpacked, within :func:`largest_unpacked`.

    Args:
        path: of the file.
        empty: it may hold nothing.

    Returns:
        Its text.

    Raises:
        DataError: missing, no regular file, empty, too large, of no known encoding.
    """
    path = Path(path)
    data = read_regular(path, LARGEST_FILE)
    if data[:2] == b"\x1f\x8b":
        data = _unpack(data, path)
    data = as_utf8(data, path)
    # Of a large file even one copy more is too many: strip() makes one.
    if not empty and not BLANK.match(data):
        raise DataError(f"{path}: the file is empty; fetch it again")
    return data


def read_lines(path: str | os.PathLike) -> list[str]:
    """The lines of a text file in any encoding that :func:`read_bytes` reads.

    Args:
        path: of the file.

    Returns:
        Its lines without their ends; none for an empty file.

    Raises:
        DataError: missing, no regular file, too large, of no known encoding.
    """
    return read_bytes(path, empty=True).decode().splitlines()


def largest_unpacked(packed: int) -> int:
    """Bytes that a gzip file of ``packed`` bytes may unpack to: ``$BDD_INST_MAX_UNPACKED``, else what labels can come to.

    Raises:
        ConfigError: the variable is no whole number above 0.
    """
    usual = min(LARGEST_UNPACKED, max(ALWAYS_UNPACKED, MOST_SHRUNK * packed))
    return limit(UNPACKED_VARIABLE) or usual


def _unpack(data: bytes, path: Path) -> bytes:
    most = largest_unpacked(len(data))
    parts, left, packed = [], most, len(data)
    while data[:2] == b"\x1f\x8b":  # a gzip file may have several members, one after the other
        try:
            unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            parts.append(unpacker.decompress(data, left + 1))
        except zlib.error as error:
            raise DataError(f"{path}: broken gzip file ({error}); fetch it again") from None
        left -= len(parts[-1])
        if unpacker.unconsumed_tail or left < 0:
            raise DataError(
                f"{path}: its {packed} bytes unpack to more than {most}; if you trust it, "
                f"set {UNPACKED_VARIABLE} to a larger number of bytes"
            )
        if not unpacker.eof:
            raise DataError(f"{path}: broken gzip file (it breaks off); fetch it again")
        data = unpacker.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def decode(path: Path, kind: type, what: str) -> Any:
    """The typed content of a JSON file, or a DataError that names file, entry and reason."""
    data = read_bytes(path)
    try:
        with gc_paused():
            try:
                return msgspec.json.decode(data, type=kind)
            except msgspec.ValidationError:
                raise
            except msgspec.DecodeError:
                mended = repaired(data)
                if mended == data:
                    raise
                return msgspec.json.decode(mended, type=kind)
    except msgspec.ValidationError as error:
        raise DataError(f"{path}: not {what}: {place(str(error))}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path}: broken JSON: {error}") from None


def repaired(data: bytes) -> bytes:
    """What Python's json has written and JSON does not know, so that it can be read: numbers that are none, out of range; halves of
    characters, as the sign of a lost one.

    Args:
        data: JSON that could not be read.

    Returns:
        The same where neither is in it.
    """
    data = NOT_FINITE.sub(b"1e999", data)
    if b"\\ud" in data or b"\\uD" in data:
        data = ESCAPE.sub(lambda found: REPLACEMENT if found[1] else found[0], data)
    return data


def place(message: str) -> str:
    """msgspec's ``... - at `$[3].score``` in words: ``entry 4, score: ...``.

    Args:
        message: of a msgspec.ValidationError.

    Returns:
        The place in words, then the reason.
    """
    reason, _, path = message.partition(" - at ")
    path = path.strip("`").removeprefix("$")
    head, bracket, rest = path.partition("[")
    if bracket and rest.split("]")[0].isdigit():
        number, _, tail = rest.partition("]")
        path = f"{head.lstrip('.')} entry {int(number) + 1}{tail.replace('.', ', ')}".strip()
    return f"{path.lstrip('.')}: {reason}" if path else reason


def top_level(path: str | os.PathLike) -> Top:
    """The outermost list or object of a JSON file, its items as raw slices of the file (checked for syntax, not parsed).

    Args:
        path: of the file; ``.gz`` is unpacked.

    Returns:
        A list of raw items, or a dict of them.

    Raises:
        DataError: missing, too large, no text in any of Unicode's encodings, or broken JSON; names line and column.
    """
    return split(read_bytes(path), path)


def split(data: bytes, path: str | os.PathLike) -> Top:
    """``data``'s outermost list or object, items as raw slices. DataError names line and column of what is broken."""
    start = BLANK.match(data)
    first = data[start.end() - 1 : start.end()] if start else b""
    if first not in (b"[", b"{"):
        shown = data[start.end() - 1 :][:20] if start else data[:20]
        raise DataError(
            f"{path}: not a JSON label file: it starts with {shown.decode(errors='replace')!r}"
        )
    decoder = _raw_list if first == b"[" else _raw_dict
    try:
        return decoder.decode(data)
    except RecursionError:
        raise DataError(f"{path}: nested too deeply for a label file; fetch it again") from None
    except msgspec.DecodeError as error:
        mended = repaired(data)
        if mended != data:
            return split(mended, path)
        raise DataError(
            f"{path}: broken JSON: {_position(str(error), data)}; the file may be cut short, fetch it again"
        ) from None


def _position(message: str, data: bytes) -> str:
    """msgspec's complaint, with line and column in place of the byte."""
    found = BYTE_POSITION.search(message)
    if "truncated" in message:
        return f"it breaks off at its end, line {data.count(10) + 1}"
    if not found:
        return message.removeprefix("JSON is malformed: ").removeprefix("Input data was ")
    before = data[: int(found[1])]
    column = len(before) - before.rfind(b"\n")
    return f"{message[: found.start()].removeprefix('JSON is malformed: ').strip()} at line {before.count(10) + 1}, column {column}"


def plain(raw: msgspec.Raw | bytes) -> Any:
    """One item as plain Python objects, numbers out of range as infinity. ValueError where even that fails.

    Args:
        raw: one item of a file.

    Returns:
        dicts, lists, numbers and texts.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(bytes(raw))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def items(raw: msgspec.Raw | None) -> list[msgspec.Raw] | None:
    """The items of a raw list; None where it is no list.

    Args:
        raw: one item of a file.

    Returns:
        Its raw items in order, or None.
    """
    if raw is None:
        return None
    try:
        return _raw_list.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def json_stem(path: Path) -> str:
    """The name of a JSON file without ``.json`` or ``.json.gz``."""
    return path.name.removesuffix(".gz").removesuffix(".json")


def raw_object(raw: msgspec.Raw | None) -> dict[str, msgspec.Raw] | None:
    """The values of a raw object by key; None where it is no object.

    Args:
        raw: one item of a file.

    Returns:
        Its raw values, or None.
    """
    if raw is None:
        return None
    try:
        return _raw_dict.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def keys(value: dict) -> str:
    """The first few keys of an object, long ones shortened."""
    return ", ".join(f"{key!r:.40}" for key in list(value)[:8])


def describe(value: Any) -> str:
    """A value's type and beginning in words, for messages."""
    kinds = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "a truth value",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    kind = kinds.get(type(value), type(value).__name__)
    if isinstance(value, dict):
        return f"{kind} with keys {keys(value)}" if value else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return kind if value is None else f"{kind} {str(value)[:40]!r}"
