"""Texts of any of Unicode's encodings as UTF-8, and of GBK where it can be nothing else; words never change unseen."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from bdd_inst.base.errors import DataError

# How a file of JSON begins in each encoding of Unicode, the longer marks first: byte-order marks, then "{" and "[" without one.
UNICODE_MARKS = {
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"{\0": "utf-16-le",
    b"[\0": "utf-16-le",
    b"\0{": "utf-16-be",
    b"\0[": "utf-16-be",
}
BEYOND_ASCII = re.compile(rb"[\x80-\xff]+")
# GB 2312's common characters, ordered by their sound, and its punctuation: lead and trail byte. Texts of one byte a letter (Latin,
# Cyrillic), Shift-JIS and Big5 do not stay within them.
COMMON = re.compile(rb"(?:[\xb0-\xd7\xa3][\xa1-\xfe]|\xa1[\xa1-\xfe])+")
# Korean's EUC-KR has its syllables where Chinese has characters of lead bytes up to this one.
LAST_OF_KOREAN = 0xC8

log = logging.getLogger(__name__)
_said: set[Path] = set()


def as_utf8(data: bytes, path: Path) -> bytes:
    """A text as UTF-8 without a byte-order mark. GBK is said once a file, with the words that it gives.

    Raises:
        DataError: an encoding that cannot be told from its bytes.
    """
    encoding = next(
        (name for mark, name in UNICODE_MARKS.items() if data.startswith(mark)), "utf-8"
    )
    if encoding == "utf-8" and data.isascii():
        return data
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        words = chinese_words(data) if encoding == "utf-8" else []
        if not words:
            raise DataError(
                f"{path}: not {encoding.upper()} text (byte {error.start}); save it as UTF-8, e.g. with iconv -f GBK -t UTF-8"
            ) from None
        if path not in _said:
            _said.add(path)
            some = ", ".join(words[:3])
            log.warning("%s: read as GBK, not UTF-8: %s; save it as UTF-8", path, some)
        return data.decode("gb18030").encode()
    data = data if encoding == "utf-8" else text.encode(errors="replace")
    return data.removeprefix(b"\xef\xbb\xbf")


def chinese_words(data: bytes) -> list[str]:
    """The words beyond ASCII of a text that can only be GBK, in order; none where it could be of another encoding."""
    parts = dict.fromkeys(BEYOND_ASCII.findall(data))
    if not all(COMMON.fullmatch(part) for part in parts):
        return []
    leads = {lead for part in parts for lead in part[::2]}
    if not any(lead > LAST_OF_KOREAN for lead in leads):
        return []
    try:
        data.decode("gb18030")
        return [part.decode("gb2312") for part in parts]
    except UnicodeDecodeError:
        return []
