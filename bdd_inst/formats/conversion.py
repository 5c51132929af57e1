"""Any label set into any target: parallel over images, parts kept until the whole is done, so that what was interrupted goes on.

Parts lie in ``.NAME.parts`` beside the output, one file for each chunk of images, written atomically; the output itself appears whole at
the end. A second run with the same source and options takes up the parts that are there, where the files that were written for them are
there too; other ones are thrown away.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

import bdd_inst
from bdd_inst.base.children import end_with_parent
from bdd_inst.base.errors import DataError, Problem, ProblemLog
from bdd_inst.base.files import atomic_write, sweep, sweep_beside
from bdd_inst.base.locks import NAME, FolderLock
from bdd_inst.formats.records import ImageLabels, LabelSet
from bdd_inst.formats.target import Target

CHUNK = 32
# Below this many images another process costs more than it brings.
WORTH_A_PROCESS = 2 * CHUNK

Progress = Callable[[int], None]


@dataclass(slots=True)
class Conversion:
    """What was written: how many images and instances went in, how many parts came from an earlier run, what was skipped and lost."""

    path: Path
    images: int
    instances: int
    resumed: int
    skipped: ProblemLog
    lost: ProblemLog
    rule: str


def convert(
    labels: LabelSet,
    target: Target,
    *,
    fingerprint: str = "",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Write all of ``labels`` through ``target``.

    ``fingerprint`` stands for the source and all options (:func:`fingerprint_of`); without it nothing is taken from an earlier run.
    ``progress`` is called with the number of images of each finished chunk. DataError where no image could be written, or a worker was killed.
    """
    try:
        with PartStore(target, fingerprint) as parts:
            return _convert(labels, target, parts=parts, workers=workers, progress=progress)
    except BrokenProcessPool:
        raise DataError(
            f"{target.path}: a process that was writing it was killed from outside (is the memory full?); "
            "run it again, it goes on from there; --workers 1 needs the least memory"
        ) from None


def _convert(
    labels: LabelSet,
    target: Target,
    parts: PartStore,
    workers: int | None,
    progress: Progress | None,
) -> Conversion:
    workers = (os.cpu_count() or 1) if workers is None else workers
    if target.plan.images < WORTH_A_PROCESS:
        workers = 1
    skipped, lost = ProblemLog(), ProblemLog()
    written = 0
    for number, size, outcome in _encoded(_distinct(labels.images, target), target, parts, workers):
        written += outcome["written"]
        _take(skipped, outcome["skipped"])
        _take(lost, outcome["lost"])
        if progress is not None:
            progress(size)
        parts.count = max(parts.count, number + 1)
    skipped.merge(labels.problems)
    if not written:
        parts.remove()
        raise DataError(
            f"{labels.source}: nothing could be written: {'; '.join(skipped.lines()) if skipped else 'it holds no image'}"
        )
    parts.check()
    target.finish(parts.items)
    parts.remove()
    return Conversion(
        target.path,
        images=written,
        instances=target.plan.instances,
        resumed=parts.resumed,
        skipped=skipped,
        lost=lost,
        rule=target.plan.made_by,
    )


def _distinct(images: Iterable[ImageLabels], target: Target) -> Iterator[ImageLabels]:
    """The images, as long as each has a file of its own: one would be written over in silence."""
    owners: dict[Path, str] = {}
    for image in images:
        file = target.file_of(image)
        if file is not None and file in owners:
            raise DataError(
                f"{image.name}: its file {file} is already that of {owners[file]}; rename one of the two"
            )
        if file is not None:
            owners[file] = image.name
        yield image


def _encoded(
    images: Iterable[ImageLabels], target: Target, parts: PartStore, workers: int
) -> Iterator[tuple[int, int, dict]]:
    """Each chunk's number, size and outcome, its part stored; chunks of an earlier run come from the store."""
    if workers <= 1:
        for number, chunk in _chunks(images):
            outcome = parts.outcome(number)
            yield (
                number,
                len(chunk),
                outcome if outcome is not None else parts.put(number, encode_chunk(target, chunk)),
            )
        return
    with ProcessPoolExecutor(workers, initializer=_take_target, initargs=(target,)) as pool:
        running: dict[Future, tuple[int, int]] = {}
        for number, chunk in _chunks(images):
            outcome = parts.outcome(number)
            if outcome is not None:
                yield number, len(chunk), outcome
                continue
            # Few chunks in flight: a reader that is faster than its writers must not fill the memory.
            while len(running) >= 2 * workers:
                yield from _finished(running, parts)
            running[pool.submit(_encode_in_worker, chunk)] = (number, len(chunk))
        while running:
            yield from _finished(running, parts)


def _finished(
    running: dict[Future, tuple[int, int]], parts: PartStore
) -> Iterator[tuple[int, int, dict]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        number, size = running.pop(future)
        yield number, size, parts.put(number, future.result())


def _chunks(images: Iterable[ImageLabels]) -> Iterator[tuple[int, list[ImageLabels]]]:
    chunk: list[ImageLabels] = []
    number = 0
    for image in images:
        chunk.append(image)
        if len(chunk) == CHUNK:
            yield number, chunk
            chunk, number = [], number + 1
    if chunk:
        yield number, chunk


def encode_chunk(target: Target, chunk: list[ImageLabels]) -> dict:
    """The parts of a chunk of images with what was skipped and lost, ready to be stored."""
    target.skipped, target.lost = ProblemLog(), ProblemLog()
    items = [target.encode(image) for image in chunk]
    items = [item for item in items if item is not None]
    return {
        "written": len(items),
        "skipped": _plain(target.skipped),
        "lost": _plain(target.lost),
        "items": items,
    }


_target: Target | None = None


def _take_target(target: Target) -> None:
    global _target
    end_with_parent()
    _target = target


def _encode_in_worker(chunk: list[ImageLabels]) -> bytes:
    # Encoded here and not in the parent, which has all the writing to do.
    return msgspec.json.encode(encode_chunk(_target, chunk))


def _plain(log: ProblemLog) -> list:
    return [
        [code, number, [[p.where, p.message] for p in log.examples[code]]]
        for code, number in log.counts.items()
    ]


def _take(log: ProblemLog, plain: list) -> None:
    """Add what another process has counted."""
    other = ProblemLog()
    for code, number, examples in plain:
        other.counts[code] = number
        other.examples[code] = [Problem(code, where, message) for where, message in examples]
    log.merge(other)


class PartStore:
    """The parts of one output on disk, locked while it is open: two runs into one output would mix."""

    def __init__(self, target: Target, fingerprint: str) -> None:
        """
        Raises:
            DataError: another run is writing this output.
        """
        self.target, self.fingerprint = target, fingerprint
        self.folder = target.path.parent / f".{target.path.name}.parts"
        self.count = 0
        self.resumed = 0
        self._lock = FolderLock(self.folder, target.path)

    def __enter__(self) -> PartStore:
        before = self.folder.exists()
        self._lock.acquire()
        mark = self.folder / "fingerprint"
        if before:
            sweep(self.target.image_folder or self.target.path, NAME)
            sweep_beside(self.target.path)
        same = self.fingerprint and _text(mark) == self.fingerprint
        for file in () if same else self.folder.iterdir():
            if file != self._lock.path:
                file.unlink()
        with atomic_write(mark) as stream:
            stream.write(self.fingerprint)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:07d}.json"

    def outcome(self, number: int) -> dict | None:
        """What an earlier run noted of a chunk; None where it has not done it, or what it wrote is gone."""
        outcome = self._read(number)
        self.resumed += outcome is not None
        return outcome

    def _read(self, number: int) -> dict | None:
        try:
            outcome = msgspec.json.decode(self._file(number).read_bytes())
            intact = all(self.target.intact(item) for item in outcome["items"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return outcome if intact else None

    def put(self, number: int, outcome: dict | bytes) -> dict:
        """Store a chunk's outcome and give it back."""
        data = outcome if isinstance(outcome, bytes) else msgspec.json.encode(outcome)
        with atomic_write(self._file(number), "wb") as stream:
            stream.write(data)
        return msgspec.json.decode(data, type=dict)

    def items(self) -> Iterator[Any]:
        """The parts of all images in order."""
        for number in range(self.count):
            yield from msgspec.json.decode(self._file(number).read_bytes())["items"]

    def check(self) -> None:
        """
        Raises:
            DataError: a file that was written is no longer there.
        """
        for number in range(self.count):
            if self._read(number) is None:
                raise DataError(
                    f"{self.target.path}: files that were written there have gone meanwhile; run it again, and leave the folder alone"
                )

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def fingerprint_of(source: str, files: Iterable[os.PathLike], options: dict[str, Any]) -> str:
    """A digest of a source's files (path, size, time of change) and of all options."""
    digest = hashlib.sha256(
        f"{bdd_inst.__version__}\n{source}\n{sorted(options.items())!r}\n".encode(
            errors="surrogateescape"
        )
    )
    for file in files:
        state = os.stat(file)
        line = f"{file}\t{state.st_size}\t{state.st_mtime_ns}\n"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()
