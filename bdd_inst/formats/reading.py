"""What all readers of JSON files share: file after file, the unreadable ones counted, images made as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats.json_files import Top, describe, plain, top_level
from bdd_inst.formats.records import ImageLabels, LabelSet, LazyImages
from bdd_inst.formats.signs import seen
from bdd_inst.formats.sniff import Found, kind_of_json


def contents(found: Found, log: ProblemLog) -> Iterator[tuple[Path, Top]]:
    """Every file of a source with its content. In a folder, a file that cannot be read or is of another kind is counted and left out;
    DataError where not one is left."""
    if found.top is not None:
        yield found.files[0], found.top
        return
    read = 0
    for file in found.files:
        try:
            top = top_level(file)
        except DataError as error:
            log.add("unreadable-file", str(file), str(error).removeprefix(f"{file}: "))
            continue
        kind = kind_of_json(top)
        if kind not in (found.kind, None) or (kind is None and top):
            log.add("other-kind", str(file), f"{seen(top)} is not {found.kind}; left out")
            continue
        read += 1
        yield file, top
    if not read:
        raise DataError(
            f"{found.path}: none of its {len(found.files)} files could be read, e.g. {log.lines()[0]}"
        )


def named_record(raw: msgspec.Raw, key: str, where: str, log: ProblemLog) -> dict[str, Any] | None:
    """An image's record as plain objects; None, counted, where it cannot be read or has no text under ``key``."""
    try:
        value = plain(raw)
    except ValueError as error:
        log.add("bad-record", where, f"{error}; left out")
        return None
    name = value.get(key) if isinstance(value, dict) else None
    if not isinstance(name, str) or not name.strip():
        log.add("bad-record", where, f"{describe(value)} without a {key}; left out")
        return None
    return value


def label_set(
    found: Found,
    generate: Callable[[ProblemLog], Iterator[ImageLabels]],
    rule: str,
    *,
    categories: tuple[str, ...] | None = None,
    category_ids: tuple[int, ...] | None = None,
    notes: tuple[str, ...] = (),
) -> LabelSet:
    """A label set whose images ``generate`` makes whenever they are iterated."""
    problems = ProblemLog()
    return LabelSet(
        found.kind,
        source=str(found.path),
        categories=categories,
        images=LazyImages(generate, problems),
        problems=problems,
        rule=rule,
        category_ids=category_ids,
        notes=notes,
        files=tuple(found.files),
    )


def one_image_a_file(
    found: Found,
    read_one: Callable[[Top, Path, ProblemLog], ImageLabels | None],
    rule: str,
    *,
    categories: tuple[str, ...] | None = None,
) -> LabelSet:
    """The label set of a format with a file for each image; ``read_one`` makes one of its content, or None where it counted why not."""

    def generate(log: ProblemLog) -> Iterator[ImageLabels]:
        for file, top in contents(found, log):
            if not isinstance(top, dict):
                log.add("bad-record", str(file), f"{seen(top)} where an image should be; left out")
                continue
            image = read_one(top, file, log)
            if image is not None:
                yield image

    return label_set(found, generate, rule, categories=categories)
