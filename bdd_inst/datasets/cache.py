"""Parsed data sets kept on disk under the hash of what they were parsed from, and mapped into memory from there.

The folder is :func:`bdd_inst.base.cache_folder.cache_folder`; an empty $BDD_INST_CACHE switches the cache off. Files may be deleted at
any time.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import mmap
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from bdd_inst.base.cache_folder import cache_folder
from bdd_inst.base.errors import Problem, ProblemLog
from bdd_inst.base.files import atomic_write
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.dict_array import DictArray

# Where a change of code may change what comes out of a label file: it is part of every key.
CODE = ("base/vocabulary.py", "datasets", "formats", "images", "masks", "structures/boxes.py")
MAGIC = b"bdd_inst dataset\n"
ALIGN = 64
LABEL_SUFFIXES = (".png", ".json")  # images are photographs: a folder of PNGs may be masks

log = logging.getLogger(__name__)


def cached(
    sources: Sequence[str | os.PathLike], options: dict, build: Callable[[], DatasetRecords]
) -> DatasetRecords:
    """What ``build`` gives, with its dicts as a :class:`DictArray`; taken from the cache where the same sources were parsed the same way.

    Args:
        sources: files (their content counts) and folders (their names and times count) that the result follows from.
        options: everything else that it follows from, plain values.
    """
    home = cache_folder()
    if home is None:
        return in_memory(build())
    key = hashlib.blake2b(
        repr([code_hash(), options, [fingerprint(Path(s), home) for s in sources]]).encode(),
        digest_size=20,
    ).hexdigest()
    path = home / f"{key}.dataset"
    try:
        return load(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, msgspec.MsgspecError) as error:
        log.warning("%s: unreadable cache file (%s); parsed anew", path, error)
    records = build()
    try:
        save(path, records)
        return load(path)
    except (OSError, UnicodeEncodeError, OverflowError) as error:  # no UTF-8, an id of no 64 bits
        log.warning(
            "%s: parsed labels cannot be cached (%s); set BDD_INST_CACHE to a writable folder",
            path,
            error,
        )
        return in_memory(records)


@functools.cache
def code_hash() -> str:
    """The hash of the source files that turn labels into dicts, so that a mended reader does not meet what the old one made."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.blake2b(digest_size=20)
    for name in CODE:
        for file in (
            sorted((root / name).rglob("*.py")) if (root / name).is_dir() else [root / name]
        ):
            digest.update(str(file.relative_to(root)).encode() + file.read_bytes())
    return digest.hexdigest()


def in_memory(records: DatasetRecords) -> DatasetRecords:
    """The same records with their dicts as arrays."""
    dicts = (
        records.dicts
        if isinstance(records.dicts, DictArray)
        else DictArray.from_dicts(records.dicts)
    )
    return DatasetRecords(dicts, records.metadata, records.problems)


def fingerprint(source: Path, home: Path) -> list:
    """What a source is: for a file its path and the hash of its content; for a folder its path, the times of it and its subfolders
    (they change when a file comes or goes), and the sizes and times of label files in it."""
    source = source.absolute()
    if source.is_dir():
        folders, labels = [], []
        for place, _, names in os.walk(source, followlinks=True):
            folders.append((os.path.relpath(place, source), os.stat(place).st_mtime_ns))
            for name in names:
                if name.endswith(LABEL_SUFFIXES):
                    info = os.stat(os.path.join(place, name))
                    labels.append((folders[-1][0], name, info.st_size, info.st_mtime_ns))
        return [str(source), sorted(folders), sorted(labels)]
    return [str(source), content_hash(source, home)]


def content_hash(path: Path, home: Path) -> str:
    """The hash of a file's content; a note of its size and time spares hashing a file that was not touched since."""
    info = path.stat()
    state = [info.st_size, info.st_mtime_ns, info.st_ino]
    note = home / f"{hashlib.blake2b(os.fsencode(path), digest_size=20).hexdigest()}.hash"
    try:
        known = json.loads(note.read_text())
        # Same size, time and inode: not written since, as make and git judge it.
        if known["state"] == state:
            return known["hash"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    digest = hashlib.blake2b(digest_size=20)
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 22):
            digest.update(chunk)
    try:
        with atomic_write(note) as stream:
            json.dump({"state": state, "hash": digest.hexdigest()}, stream)
    except OSError:
        log.debug("%s: cannot be written", note)
    return digest.hexdigest()


def save(path: Path, records: DatasetRecords) -> None:
    """Write records as one file: magic, length of the header, header (MessagePack), then the arrays, each at a multiple of 64 bytes."""
    arrays = in_memory(records).dicts.arrays
    places, offset = {}, 0
    for name, array in arrays.items():
        places[name] = [array.dtype.str, list(array.shape), offset]
        # Aligned to cache lines, and to every dtype: a view into the mapped file needs no copy.
        offset += -(-array.nbytes // ALIGN) * ALIGN
    problems = records.problems
    examples = {
        code: [[p.code, p.where, p.message] for p in kept]
        for code, kept in problems.examples.items()
    }
    header = msgspec.msgpack.encode(
        {
            "arrays": places,
            "metadata": records.metadata,
            "problems": [problems.keep, dict(problems.counts), examples],
            "bytes": offset,
        }
    )
    with atomic_write(path, "wb") as stream:
        start = MAGIC + len(header).to_bytes(8, "little") + header
        stream.write(start + bytes(-len(start) % ALIGN))
        for array in arrays.values():
            stream.write(np.ascontiguousarray(array).data.cast("B") if array.nbytes else b"")
            stream.write(bytes(-array.nbytes % ALIGN))


def load(path: Path) -> DatasetRecords:
    """Map a file that :func:`save` wrote.

    Raises:
        OSError: it is not there or cannot be read.
        ValueError: it is not such a file, or not whole.
    """
    arrays, header = map_arrays(path)
    keep, counts, examples = header["problems"]
    problems = ProblemLog(keep=keep)
    problems.counts.update(counts)
    problems.examples.update({code: [Problem(*p) for p in kept] for code, kept in examples.items()})
    return DatasetRecords(MappedDicts(path, arrays), header["metadata"], problems)


def map_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """The arrays of a file, of any shape and dtype, mapped and read-only, and its header."""
    with open(path, "rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            raise ValueError("not a cached data set")
        length = int.from_bytes(stream.read(8), "little")
        header = msgspec.msgpack.decode(stream.read(length))
        start = -(-stream.tell() // ALIGN) * ALIGN
        # Reading a mapped page behind the end of its file would end the process, not raise.
        if os.fstat(stream.fileno()).st_size < start + header["bytes"]:
            raise ValueError("it breaks off")
        whole = np.frombuffer(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    arrays = {}
    for name, (kind, shape, offset) in header["arrays"].items():
        dtype = np.dtype(kind)
        size = int(np.prod(shape)) * dtype.itemsize
        arrays[name] = whole[start + offset : start + offset + size].view(dtype).reshape(shape)
    return arrays, header


class MappedDicts(DictArray):
    """A DictArray over a mapped file. What goes to another process is the file's name: all processes share one copy of the pages."""

    def __init__(self, path: Path, arrays: dict[str, np.ndarray], index: np.ndarray | None = None):
        super().__init__(arrays, index)
        self.path = path

    def select(self, chosen: np.ndarray) -> MappedDicts:
        return MappedDicts(self.path, self.arrays, self.index[chosen])

    def __reduce__(self):
        return reopen, (self.path, self.index)


def reopen(path: Path, index: np.ndarray) -> MappedDicts:
    """A mapped data set as another process had it; ``index`` N int64 selects its images."""
    return MappedDicts(path, map_arrays(path)[0], index)
