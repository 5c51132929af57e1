"""Persons from many sources: every folder below ``people`` that holds images with masks, Supervisely or COCO-notation labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bdd_inst import formats
from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.base.vocabulary import ClassVocabulary
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.layout import MissingDataError
from bdd_inst.datasets.semantic import BACKGROUND, known_of, load_pairs
from bdd_inst.datasets.splits import SHARES, listed, split_names
from bdd_inst.datasets.to_dicts import Options, to_dicts
from bdd_inst.images.finder import ImageFinder
from bdd_inst.images.size import read_size

FOLDER = "people"
REPEATS = "repeat.txt"  # in it, beside the sources
# Spellings met in exports; what is "neutral" there is a border that no one labeled.
PERSON = ClassVocabulary(
    ("person",),
    aliases=dict.fromkeys(("person_bmp", "person_poly", "human", "people", "pedestrian"), "person"),
    ignored={"neutral": "person"},
)


def load_people(
    root: str | os.PathLike,
    split: str | None = None,
    *,
    folder: str = FOLDER,
    seed: int = 0,
) -> DatasetRecords:
    """All person sources below ``root/people`` as one set of label maps: background and person.

    A source is a folder with ``images`` and one of ``masks`` (:func:`load_pairs`; ``ignore`` beside it holds pixels that count
    nowhere), ``ann`` (Supervisely, with ``meta.json`` beside it) or ``instances.json`` (COCO notation). A folder named ``backgrounds``
    holds images without a person. ``train.txt``, ``val.txt`` and ``test.txt`` in ``people`` list the splits; without them shares of
    80, 10 and 10 per cent of every source are sampled by ``seed``. ``repeat.txt`` says which sources an epoch of training sees more
    than once (:func:`read_repeats`); their further records have ``#2``, ``#3`` behind their ``image_id``.

    Raises:
        MissingDataError: no such folder.
        DataError: a source whose labels cannot be read, or no source at all.
    """
    base = Path(root) / folder
    if not base.is_dir():
        raise MissingDataError(f"people_{split or 'all'}", root, [base], FOLDER)
    places = list(sources(base))
    if not places:
        raise DataError(
            f"{base}: no folder below it has images in images/ with masks/, ann/ or instances.json"
        )
    problems, dicts = ProblemLog(), {}
    listing = base / f"{split}.txt" if split is not None else None
    for place in places:
        loaded = load_source(place)
        problems.merge(loaded.problems)
        part = {
            str(Path(record["file_name"]).relative_to(place)): record for record in loaded.dicts
        }
        kept = list(part)
        if listing is not None and not listing.is_file():
            kept = split_names(kept, split, shares=SHARES, seed=seed)
        inner = place.relative_to(base)
        dicts |= {str(inner / name): part[name] for name in kept}
    if listing is not None and listing.is_file():
        dicts = {name: dicts[name] for name in listed(list(dicts), listing)}
    repeats = {}
    if split == "train" and (base / REPEATS).is_file():
        repeats = read_repeats(base / REPEATS, [place.relative_to(base) for place in places])
    dicts = [
        {**record, "image_id": name if turn == 1 else f"{name}#{turn}"}
        for name, record in dicts.items()
        for turn in range(1, times(name, repeats) + 1)
    ]
    metadata = {"image_root": str(base)} | known_of((BACKGROUND, "person"))
    return DatasetRecords(dicts, metadata, problems)


def read_repeats(path: Path, places: Sequence[Path]) -> dict[str, int]:
    """How often an epoch sees each image of a source: lines ``SOURCE TIMES``, ``#`` before a remark; a source not named counts once.

    Small sources that matter would drown in large ones.

    Args:
        path: the file.
        places: the sources, as paths below the folder of all.

    Returns:
        Source -> times, at least 1.

    Raises:
        DataError: a line that is none of these, or of no source.
    """
    known, out = {place.as_posix() for place in places}, {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.partition("#")[0].rsplit(maxsplit=1)
        if not words:
            continue
        if len(words) != 2 or not words[1].isdecimal() or not int(words[1]):
            raise DataError(
                f"{path}, line {number}: {line.strip()!r} is no source and a whole number"
            )
        if words[0] not in known:
            raise DataError(
                f"{path}, line {number}: no source {words[0]}; there are {', '.join(sorted(known))}"
            )
        out[words[0]] = int(words[1])
    return out


def times(name: str, repeats: dict[str, int]) -> int:
    """How often an epoch sees the image ``name`` (below the folder of all sources)."""
    return next((n for source, n in repeats.items() if name.startswith(f"{source}/")), 1)


def sources(base: Path) -> Iterator[Path]:
    """Every folder at or below ``base`` that is a source, in order; links to folders elsewhere serve as well.

    Args:
        base: a folder.

    Yields:
        Folders with images and masks or labels, and those called ``backgrounds``.
    """
    for path, folders, files in os.walk(base, followlinks=True):
        folders.sort()
        here = Path(path)
        labeled = {"masks", "ann"} & set(folders) or "instances.json" in files
        if (("images" in folders or "img" in folders) and labeled) or here.name == "backgrounds":
            folders.clear()
            yield here


def load_source(place: Path) -> DatasetRecords:
    """One source folder, by what lies in it.

    Args:
        place: a folder that :func:`sources` found.

    Returns:
        Its images with their masks.

    Raises:
        DataError: labels that cannot be read.
    """
    if place.name == "backgrounds":
        return load_empty(place)
    images = place / ("images" if (place / "images").is_dir() else "img")
    if (place / "masks").is_dir():
        band = place / "ignore"
        return load_pairs(images, place / "masks", ignore=band if band.is_dir() else None)
    if (place / "ann").is_dir():
        return load_labels(place / "ann", images, "supervisely")
    return load_labels(place / "instances.json", images, "coco")


def load_labels(labels: str | os.PathLike, images: str | os.PathLike, kind: str) -> DatasetRecords:
    """Persons of Supervisely or COCO-notation labels; other classes are background, what cannot be used is left out and counted."""
    label_set = formats.read(labels, kind=kind)
    problems = ProblemLog()
    others = frozenset(name.lower() for name in label_set.categories or ())
    categories = ClassVocabulary(PERSON.names, PERSON.aliases, PERSON.ignored, others)
    options = Options(masks=True, rule="coco", prefer="rle")
    dicts = to_dicts(
        label_set.images,
        ImageFinder(images),
        categories=categories,
        options=options,
        problems=problems,
    )
    problems.merge(label_set.problems)
    return DatasetRecords(dicts, {"thing_classes": ["person"]}, problems)


def load_empty(folder: Path) -> DatasetRecords:
    """Images without a person: background alone."""
    problems, dicts = ProblemLog(), []
    images = ImageFinder(folder)
    for name in images.names():
        path = str(images.find(name))
        try:
            height, width = read_size(path)
        except DataError as error:
            problems.add("unreadable-image", path, str(error))
            continue
        dicts.append({"file_name": path, "height": height, "width": width, "annotations": []})
    return DatasetRecords(dicts, {"thing_classes": ["person"]}, problems)
