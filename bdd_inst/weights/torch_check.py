"""Files of torch.save looked through before torch opens them: one directory that all readers see, nothing packed, pickles of bounded cost."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import Counter
from pathlib import Path

from bdd_inst.weights.pickle_check import Cost

END, END_SIZE = b"PK\x05\x06", 22
LOCATOR, LOCATOR_SIZE = b"PK\x06\x07", 20
END64, END64_SIZE = b"PK\x06\x06", 56
LEGACY_PICKLES = 5  # magic number, protocol, system, content, names of the storages


def check_zip(path: Path) -> None:
    """Refuse a zip that torch could read otherwise than Python does, entries that unfold, and a pickle that costs too much.

    Args:
        path: of a file that torch has written.

    Raises:
        pickle.UnpicklingError: in one line. ValueError, BadZipFile, ...: it is damaged.
    """
    _check_directory(path)
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = Counter(entry.filename for entry in entries)
        for entry in entries:
            # torch stores its entries as they are; a compressed one could unfold to anything.
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                raise pickle.UnpicklingError(f"compressed entry {entry.filename[:60]}")
            if names[entry.filename] > 1:
                raise pickle.UnpicklingError(f"entry {entry.filename[:60]} is there twice")
        size = path.stat().st_size
        for entry in entries:
            if entry.filename.endswith(".pkl"):
                Cost(size).check(io.BytesIO(archive.read(entry)))


def _check_directory(path: Path) -> None:
    """The directory must end where its end record begins, and that must end the file: torch looks there, Python also elsewhere."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = max(0, size - END_SIZE - LOCATOR_SIZE)
        stream.seek(start)
        tail = stream.read()
        end = tail[-END_SIZE:]
        if len(end) < END_SIZE or end[:4] != END or end[20:22] != b"\0\0":
            raise ValueError("its zip directory is not at the end of the file")
        here = size - END_SIZE
        # Size and place of the central directory, by PKWARE's APPNOTE, section 4.3.16.
        length, offset = (int.from_bytes(end[i : i + 4], "little") for i in (12, 16))
        locator = tail[:-END_SIZE][-LOCATOR_SIZE:]
        if locator[:4] == LOCATOR:
            # A file of zip64 has two more records between the directory and its end.
            here -= LOCATOR_SIZE + END64_SIZE
            if int.from_bytes(locator[8:16], "little") != here or here < 0:
                raise pickle.UnpicklingError("its zip directory is not where its end record says")
            stream.seek(here)
            record = stream.read(END64_SIZE)
            if record[:4] != END64:
                raise pickle.UnpicklingError("its zip directory is not where its end record says")
            length, offset = (int.from_bytes(record[i : i + 8], "little") for i in (40, 48))
        if offset + length != here:
            raise pickle.UnpicklingError(
                "it has bytes that one reader of zip files sees and another does not"
            )


def check_legacy(path: Path) -> None:
    """Refuse a file of torch before 1.6 whose pickles cost too much, or whose storages claim more bytes than it has.

    Raises:
        pickle.UnpicklingError: in one line. ValueError, EOFError, ...: it is damaged.
    """
    cost = Cost(path.stat().st_size)
    with path.open("rb") as stream:
        for _ in range(LEGACY_PICKLES):
            cost.check(stream)
            if cost.storages > cost.file_size:
                raise pickle.UnpicklingError(
                    f"its storages claim {cost.storages} bytes but the file has {cost.file_size}"
                )
