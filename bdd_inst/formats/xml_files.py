"""XML files into memory element by element; no document type, so no entity is ever made and nothing else is fetched; bounded in depth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from bdd_inst.base.errors import DataError
from bdd_inst.base.regular_files import open_regular
from bdd_inst.formats import fields
from bdd_inst.formats.encodings import as_utf8
from bdd_inst.formats.json_files import read_bytes

Element = ElementTree.Element

# Label files are five elements deep; what is nested deeper is another thing, or made to exhaust the stack.
DEEPEST = 64
CHUNK = 1 << 20
ROOT = re.compile(rb"<([A-Za-z_][\w.-]*)[\s/>]")
# Entities, external ones too, can only be declared in a document type.
DOCUMENT_TYPE = re.compile(rb"<!DOCTYPE|<!ENTITY", re.IGNORECASE)
# Comments and what comes before the root.
BEFORE_ROOT = re.compile(rb"<\?.*?\?>|<!--.*?-->", re.DOTALL)


def root_tag(path: Path) -> str | None:
    """The outermost element's tag, from the first 64 KB; None where it is no XML.

    Args:
        path: of a file.

    Returns:
        Its tag.
    """
    try:
        with open_regular(path) as stream:
            head = stream.read(1 << 16)
        # Cut where no sign is halved: behind an element, or of two and four bytes a sign at a multiple of them.
        whole = head[: len(head) // 4 * 4] if b"\0" in head else head.rpartition(b">")[0] + b">"
        head = as_utf8(whole, path)
    except (OSError, DataError):
        return None
    if not head.lstrip().startswith(b"<"):
        return None
    found = ROOT.search(BEFORE_ROOT.sub(b"", head))
    return found[1].decode() if found else None


def elements(path: Path, tags: frozenset[str]) -> Iterator[Element]:
    """The elements of these tags, each whole, in the order in which they end; those outside them are not kept.

    Args:
        path: of the file, in any encoding that :func:`read_bytes` reads.
        tags: none of which lies in another.

    Yields:
        Elements, cleared when the next one is asked for.

    Raises:
        DataError: missing, too large, a document type, nested too deeply, or broken XML; names line and column.
    """
    data = read_bytes(path)
    if DOCUMENT_TYPE.search(data):
        raise DataError(
            f"{path}: XML with a document type or entities, which are not read; save it without"
        )
    parser = ElementTree.XMLPullParser(("start", "end"))
    # Text, not bytes: the encoding that the file names was that of the bytes as they lay there.
    text = data.decode()
    depth, inside, kept = 0, 0, []
    try:
        for start in range(0, len(text), CHUNK):
            parser.feed(text[start : start + CHUNK])
            for event, element in parser.read_events():
                if event == "start":
                    depth += 1
                    inside += element.tag in tags
                    kept.append(element)
                    if depth > DEEPEST:
                        raise DataError(
                            f"{path}: nested too deeply for a label file; fetch it again"
                        )
                    continue
                depth -= 1
                kept.pop()
                if element.tag in tags:
                    inside -= 1
                    yield element
                if not inside:
                    element.clear()
                    if kept:
                        kept[-1].remove(element)
        parser.close()
    except ElementTree.ParseError as error:
        reason = str(error).replace("\n", " ")
        raise DataError(
            f"{path}: broken XML: {reason}; the file may be cut short, fetch it again"
        ) from None


def text_of(element: Element, tag: str) -> str:
    """The stripped text of a child; empty where there is none.

    Args:
        element: of a file.
        tag: the child's, or a path of tags.

    Returns:
        Its text.
    """
    return (element.findtext(tag) or "").strip()


def number_of(element: Element, key: str, missing: float | None = None) -> float:
    """The number of an attribute.

    Args:
        element: of a file.
        key: the attribute's name.
        missing: what counts where it is not there.

    Returns:
        A finite number of an image's order of size.

    Raises:
        ValueError: it is none.
    """
    return as_number(element.get(key), key, missing)


def as_number(text: str | None, what: str, missing: float | None = None) -> float:
    """A text as a finite number; see :func:`number_of`, ``what`` in messages."""
    if text is None and missing is not None:
        return missing
    try:
        value = float(text or "")
    except ValueError:
        raise ValueError(f"{what} is {str(text)[:30]!r}, not a number") from None
    return fields.number(value, what)
