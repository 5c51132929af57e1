"""What the values of label maps mean: by the endings of their files' names, or as the user says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bdd_inst.base import vocabulary as classes
from bdd_inst.base.errors import DataError
from bdd_inst.config.yaml_files import parse
from bdd_inst.formats.json_files import plain, read_bytes
from bdd_inst.formats.names import cityscapes_image
from bdd_inst.images.names import image_stem

ValueNames = dict[int, str]


def _from(start: int, names: Sequence[str]) -> ValueNames:
    return dict(enumerate(names, start))


# Ending of a file's stem -> names of the values. Values without a name are background (0) or void (255).
ENDINGS: dict[str, ValueNames] = {
    "_person": _from(1, classes.FASHION_PERSON),
    "_clothes": _from(1, classes.FASHION_CLOTHES),
    "_labelIds": _from(4, classes.CITYSCAPES[4:]),
    "_labelTrainIds": _from(0, classes.BDD100K_SEM_SEG),
    "_train_id": _from(0, classes.BDD100K_SEM_SEG),
}
# Endings of files that go by Cityscapes' names: the image of X_gtFine_labelIds.png is X_leftImg8bit.png.
CITYSCAPES_ENDINGS = ("_labelIds", "_labelTrainIds")
# Values that mean no object without being background or void.
NO_OBJECTS = {"_labelIds": frozenset(range(1, 4))}
ENTRY = re.compile(r"\s*(\d+)\s*[=:,;\s]\s*(.+?)\s*")


def image_key(stem: str) -> str:
    """What the stems of a label map and of its image have in common.

    Args:
        stem: of either file's name.

    Returns:
        The stem without an ending that says what the values mean; in Cityscapes' case with the image's own.
    """
    ending = next((end for end in ENDINGS if stem.endswith(end)), "")
    if ending in CITYSCAPES_ENDINGS:
        return Path(cityscapes_image(stem.removesuffix(ending))).stem
    stem = stem.removesuffix(ending)
    # A map may be called after the image with its ending: 1.jpg.png.
    return image_stem(stem)


def ending_of(files: Sequence[Path], place: Path) -> str:
    """Which ending says what the values of label maps mean.

    Args:
        files: the maps.
        place: where they lie, for the message.

    Returns:
        The one of :data:`ENDINGS` that all files have, "" for none.

    Raises:
        DataError: files of several endings together.
    """
    known = sorted({end for file in files for end in ENDINGS if file.stem.endswith(end)})
    if len(known) > 1:
        some = " or ".join(f"'{place / f'*{ending}.png'}'" for ending in known)
        raise DataError(
            f"{place}: holds {len(known)} label sets; give one of them as a pattern: {some}"
        )
    if known and all(file.stem.endswith(known[0]) for file in files):
        return known[0]
    return ""


def parse_values(text: str) -> ValueNames:
    """What the user says that values mean.

    Args:
        text: ``1=road,2=car``, or a file of it: lines ``1 road`` (``=``, ``:``, ``,`` or a blank between), names alone (a line each, from
            value 1), or a YAML or JSON object of values and names or names and values.

    Returns:
        Class names by stored value.

    Raises:
        DataError: none of these; the same value twice.
    """
    try:
        is_file = Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a NUL
        is_file = False
    if is_file:
        return _of_file(Path(text))
    where = f"values {text[:80]!r}"
    return _of_lines([part for part in text.split(",") if part.strip()], where)


def _of_file(file: Path) -> ValueNames:
    data = read_bytes(file)
    if file.suffix.lower() not in (".json", ".yaml", ".yml"):
        lines = [line for line in data.decode().splitlines() if line.strip()]
        if not any(ENTRY.fullmatch(line) for line in lines):
            return _from(1, [line.strip() for line in lines])
        return _of_lines([line for line in lines if not line.startswith("#")], str(file))
    try:
        content = plain(data) if file.suffix.lower() == ".json" else parse(data, str(file))
        if isinstance(content, dict) and isinstance(content.get("names"), (dict, list)):
            content = content["names"]
        if isinstance(content, list):
            return _from(1, [_word(name) for name in content])
        pairs = [
            (value, key) if isinstance(value, int) else (int(key), value)
            for key, value in content.items()
        ]
        return _unique([(int(value), _word(name)) for value, name in pairs])
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise DataError(f"{file}: no values with their names ({reason})") from None


def _of_lines(lines: Sequence[str], where: str) -> ValueNames:
    found = [ENTRY.fullmatch(line) for line in lines]
    if not found or None in found:
        bad = lines[found.index(None)] if found else ""
        raise DataError(f"{where}: {bad[:40]!r} is no value with its name; write 1=road,2=car")
    try:
        return _unique([(int(match[1]), match[2]) for match in found])
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None


def _unique(pairs: Sequence[tuple[int, str]]) -> ValueNames:
    out = dict(pairs)
    if len(out) < len(pairs) or len(set(out.values())) < len(out):
        raise ValueError("a value or a name comes twice")
    if not out or not all(0 <= value < 1 << 16 for value in out):
        raise ValueError("values are whole numbers from 0 to 65535")
    return out


def _word(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"{str(name)[:20]!r} is no name")
    return name.strip()
