"""The whole check of one or more splits: labels, images, and what they share that they should not."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bdd_inst.base.errors import DataError
from bdd_inst.base.problems import ERROR
from bdd_inst.checks.findings import Findings
from bdd_inst.checks.images import ImageState, examine, near_pairs
from bdd_inst.checks.labels import LabelChecker
from bdd_inst.checks.statistics import Statistics
from bdd_inst.formats.records import ImageLabels, LabelSet
from bdd_inst.images.finder import ImageFinder
from bdd_inst.images.size import read_size

Progress = Callable[[Iterable, int | None, str], Iterable]


@dataclass
class Split:
    """One set of labels, the folder of its images (None where there is none), and what was found in it.

    ``whole_folder``: the labels should speak of every image there.
    """

    name: str
    labels: LabelSet
    images: Path | None = None
    whole_folder: bool = True
    statistics: Statistics = field(default_factory=Statistics)
    states: dict[str, ImageState] = field(default_factory=dict)
    videos: set[str] = field(default_factory=set)


@dataclass
class CheckResult:
    """The splits with their statistics, and all findings."""

    splits: list[Split]
    findings: Findings

    @property
    def failed(self) -> bool:
        """Whether anything is wrong enough to stop."""
        return self.findings.of(ERROR) > 0


def _plain(items: Iterable, _total: int | None, _unit: str) -> Iterable:
    return items


def check(splits: list[Split], *, decode: bool = True, progress: Progress = _plain) -> CheckResult:
    """Check every split and all of them against each other.

    Args:
        splits: one or more, named apart.
        decode: read every image whole; else its header alone is looked at, and duplicates are not searched for.
        progress: wraps iterables: (items, total, unit) -> items.

    Returns:
        The splits with their statistics, and all findings.

    Raises:
        DataError: a split with nothing in it to check.
    """
    findings = Findings()
    for split in splits:
        _check_split(split, findings, decode, progress)
        if not split.statistics.images:
            reason = (
                split.labels.problems.lines()[0] if split.labels.problems else "it holds no image"
            )
            raise DataError(f"{split.labels.source}: nothing to check: {reason}")
    for split in splits:
        _duplicates(split, findings)
    for first, second in itertools.combinations(splits, 2):
        _leaks(first, second, findings)
        _ids(first, second, findings)
    return CheckResult(splits, findings)


def _check_split(split: Split, findings: Findings, decode: bool, progress: Progress) -> None:
    checker = LabelChecker(split.labels, findings, split.statistics)
    finder = ImageFinder(split.images) if split.images is not None else None
    wanted: dict[Path, ImageLabels] = {}
    for image in progress(split.labels.images, None, "label records"):
        if finder is not None:
            _find(image, finder, wanted, findings)
        checker.image(image)
    split.videos = split.statistics.videos
    checker.finish()
    if finder is None:
        return
    states = _examined(list(wanted), decode)
    for path, state in zip(wanted, progress(states, len(wanted), "images"), strict=True):
        split.states[wanted[path].name] = state
        _check_image(state, wanted[path], findings)
    spare = [path for path in finder.all() if path not in wanted] if split.whole_folder else []
    for path in spare:
        findings.add(
            "image-without-labels",
            str(path.relative_to(finder.folder)),
            None,
            "no label record names this image",
        )


def _find(
    image: ImageLabels, finder: ImageFinder, wanted: dict[Path, ImageLabels], findings: Findings
) -> None:
    """Look up an image's file, and take its size where the labels do not say it."""
    try:
        path = finder.find(image)
    except DataError as error:
        findings.add("ambiguous-image", image.name, None, str(error).partition(": ")[2])
        return
    if path is None:
        findings.add(
            "missing-image",
            image.name,
            None,
            f"labels without image: not below {finder.folder}",
        )
        return
    # Only what the later comparison needs is kept: 70 000 images' outlines would fill the memory.
    wanted.setdefault(path, ImageLabels(image.name, image.width, image.height, video=image.video))
    if image.width is None or image.height is None:
        with contextlib.suppress(DataError):  # reported of the file itself below
            image.height, image.width = finder.size(image)


def _examined(paths: list[Path], decode: bool) -> Iterator[ImageState]:
    if not decode:
        for path in paths:
            try:
                yield ImageState(str(path), *read_size(path))
            except DataError as error:
                yield ImageState(
                    str(path), fault="unreadable-image", message=str(error).partition(": ")[2]
                )
        return
    # Threads: decoding leaves Python's lock alone.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(examine, paths)


def _check_image(state: ImageState, image: ImageLabels, findings: Findings) -> None:
    if state.fault:
        findings.add(state.fault, image.name, None, state.message)
    if state.scaled:
        findings.add("high-bit-depth", image.name, None, f"its mode is {state.scaled}")
    if state.width and image.width and (state.width, state.height) != (image.width, image.height):
        turned = " (its Exif tag turns it)" if state.rotated else ""
        message = f"the image is shown {state.width}x{state.height}, its labels are for {image.width}x{image.height}{turned}"
        findings.add("wrong-size-image", image.name, None, message)
    elif state.rotated:
        findings.add("rotated-image", image.name, None, "its Exif orientation is not upright")


def _by_digest(split: Split) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name, state in split.states.items():
        if state.digest:
            groups[state.digest].append(name)
    return groups


def _duplicates(split: Split, findings: Findings) -> None:
    for names in _by_digest(split).values():
        if len(names) > 1:
            findings.add(
                "duplicate-content",
                names[1],
                None,
                f"{split.name}: byte for byte the same as {names[0]}",
                len(names) - 1,
            )


def _ids(first: Split, second: Split, findings: Findings) -> None:
    """Classes that have one id in one split and another in the other: tools that go by the numbers mix them up."""
    mine, theirs = (
        dict(zip(split.labels.categories or (), split.labels.category_ids or (), strict=False))
        for split in (first, second)
    )
    differ = [name for name in mine.keys() & theirs.keys() if mine[name] != theirs[name]]
    if differ and first.labels.kind == second.labels.kind:
        name = min(differ)
        message = f"{mine[name]} in {first.name}, {theirs[name]} in {second.name}"
        findings.add("category-ids-differ", second.labels.source, name, message, len(differ))


def _leaks(first: Split, second: Split, findings: Findings) -> None:
    """What two splits share: names, contents, looks, videos."""
    pair = f"in {first.name} and {second.name}"
    names = set(first.states or first.statistics.names) & set(
        second.states or second.statistics.names
    )
    for name in sorted(names):
        findings.add("leak-name", name, None, pair)
    mine, theirs = _by_digest(first), _by_digest(second)
    for digest in sorted(mine.keys() & theirs.keys()):
        findings.add(
            "leak-content",
            mine[digest][0],
            None,
            f"{pair} (there {theirs[digest][0]}): the same bytes",
        )
    looks = [
        {n: s.look for n, s in split.states.items() if not s.fault and s.digest}
        for split in (first, second)
    ]
    for one, other, apart in near_pairs(*looks):
        if first.states[one].digest != second.states[other].digest:
            findings.add(
                "leak-near",
                one,
                None,
                f"{pair} (there {other}): {apart} of 64 bits of their looks differ",
            )
    for video in sorted(first.videos & second.videos):
        findings.add("leak-video", video, None, pair)
