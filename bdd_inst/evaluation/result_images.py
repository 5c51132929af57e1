"""Which image of the ground truth each entry of a results file is of: by id, by file name, or by the name that stands for an id."""

from __future__ import annotations

import difflib
from pathlib import PurePosixPath

import numpy as np

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.formats.coco_entries import Id, key_of
from bdd_inst.formats.names import ImageNames


def match_images(
    image_ids: list[Id],
    file_names: dict[int, str],
    truth: GroundTruth,
    source: str,
    problems: ProblemLog,
) -> np.ndarray:
    """The image of each of N entries, by id; file names that disagree are refused, or followed where no id fits.

    Args:
        image_ids: N, as :func:`bdd_inst.formats.coco_entries.key_of` has them.
        file_names: of entries that name their file, by the entry's position.

    Returns:
        N int64, positions in ``truth``.

    Raises:
        DataError: an entry of no image, or whose id and file name are of two.
    """
    index = {key_of(image_id): i for i, image_id in enumerate(truth.image_ids)}
    names = ImageNames(truth.file_names)
    known = {name: names.find(name) for name in set(file_names.values())}
    found = [index.get(image_id, -1) for image_id in image_ids]
    named = [known.get(file_names.get(n)) for n in range(len(image_ids))] if known else []
    numbers = numbered_names(truth)
    stems = named == [numbers.get(image_id) for image_id in image_ids]
    if (
        named
        and None not in named
        and found != named
        and (truth.numbered or min(found) < 0 or stems)
    ):
        # Where the ground truth has no ids of its own, or other ones, and every entry names its image, names decide.
        message = "image ids are not the ground truth's; images were matched by name"
        problems.add("matched-by-name", source, message, count=len(image_ids))
        return np.asarray(named, np.int64)
    strays = [n for n, position in enumerate(found) if position < 0]
    if any(isinstance(image_ids[n], str) for n in strays):
        found = by_stem(image_ids, truth, names=names, source=source, problems=problems)
    elif strays:
        n = strays[0]
        raise DataError(f"{source}: entry {n + 1}: {unknown_image(image_ids[n], truth)}")
    for n, by_name in enumerate(named):
        if by_name is not None and by_name != found[n]:
            raise DataError(
                f"{source}: entry {n + 1}: image_id {image_ids[n]!r} is {truth.file_names[found[n]]} in the ground truth, "
                f"but the entry says {file_names[n]}; the ids do not belong together"
            )
    note_numbered_names(
        found, image_ids, file_names=file_names, truth=truth, source=source, problems=problems
    )
    return np.asarray(found, np.int64).reshape(-1)


def by_stem(
    image_ids: list[Id], truth: GroundTruth, names: ImageNames, source: str, problems: ProblemLog
) -> list[int]:
    """Positions of the rows' images where some ids are file names: then all are, those that are all digits written as numbers.

    Raises:
        DataError: for an id that is no image's name.
    """
    numbers = numbered_names(truth)
    out = []
    for n, image_id in enumerate(image_ids):
        place = names.find(image_id) if isinstance(image_id, str) else numbers.get(image_id)
        if place is None:
            raise DataError(f"{source}: entry {n + 1}: {unknown_image(image_id, truth)}")
        out.append(place)
    if all(isinstance(image_id, str) for image_id in image_ids):
        return out
    message = "image ids are file names, numbers among them too; images were matched by name"
    problems.add("matched-by-name", source, message, count=len(image_ids))
    return out


def numbered_names(truth: GroundTruth) -> dict[int, int]:
    """The images whose file names are numbers (``0001.jpg``), by that number."""
    stems = [PurePosixPath(name).stem for name in truth.file_names]
    return {int(stem): i for i, stem in enumerate(stems) if stem.isdecimal() and len(stem) < 19}


def note_numbered_names(
    found: list[int],
    image_ids: list[Id],
    file_names: dict[int, str],
    truth: GroundTruth,
    source: str,
    problems: ProblemLog,
) -> None:
    """Count entries whose id is one image's id and another's file name: some exporters write the name."""
    numbers = numbered_names(truth)
    other = [
        n
        for n, image_id in enumerate(image_ids)
        if numbers.get(image_id, found[n]) != found[n] and n not in file_names
    ]
    if other:
        n = other[0]
        own, name = truth.file_names[found[n]], truth.file_names[numbers[image_ids[n]]]
        message = f"image_id {image_ids[n]} is taken for the id of {own}; the file {name} is of that number too"
        problems.add("id-or-name", f"{source}: entry {n + 1}", message, count=len(other))


def unknown_image(image_id: int | str, truth: GroundTruth) -> str:
    """What to say of an image id that the ground truth does not have."""
    near = difflib.get_close_matches(str(image_id), [str(i) for i in truth.image_ids[:20000]], 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    left_out = truth.problems.examples.get("wrong-size-image")
    if left_out:
        hint += f"; images were left out of it, e.g. {left_out[0].where}: {left_out[0].message}"
    return f"image {image_id!r} is not in the ground truth ({len(truth.image_ids)} images){hint}"
