"""Small weight files that would cost gigabytes or hours are refused before anything is built."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch

from bdd_inst.base.errors import DataError
from bdd_inst.weights import pickle_check
from bdd_inst.weights.reader import read_weights

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
PROTOCOL = pickle.dumps(1001, 2)


def doubling(levels=30, first=b"K\x01\x85"):
    """Opcodes that leave a tuple whose hash and text double with every level; the memo shares its halves."""
    out = first + b"q\x00"
    for i in range(levels):
        out += b"h" + bytes([i]) + b"\x86q" + bytes([i + 1])
    return out


def number(value):
    return b"J" + struct.pack("<i", value)


PICKLES = {
    "a key that doubles": b"\x80\x02}" + doubling() + b"K\x01s.",
    "a member that doubles": b"\x80\x04\x8f(" + doubling() + b"\x90.",
    "a set call": b"\x80\x02c__builtin__\nset\n(" + doubling() + b"l\x85R.",
    "a dtype that doubles": b"\x80\x02cnumpy\ndtype\n" + doubling() + b"\x85R.",
    "a number of bytes": b"\x80\x02cbuiltins\nbytearray\n" + number(2_000_000_000) + b"\x85R.",
    "a number of floats": b"\x80\x02ctorch\nTensor\n" + number(1_000_000_000) + b"\x85R.",
    "a new one of floats": b"\x80\x02ctorch\nTensor\n" + number(1_000_000_000) + b"\x85\x81.",
    "one text copied by many": b"\x80\x02X" + struct.pack("<I", 200_000) + b"x" * 200_000 + b"q\x00"
    + b"c_codecs\nencode\nq\x01" + b"h\x01h\x00X\x06\x00\x00\x00latin1\x86R" * 200 + b".",
    "a far memo index": b"\x80\x02}r\xff\xff\xff\x7f.",
}  # fmt: skip


def zipped(data, path, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a/data.pkl", data, **options)
        archive.writestr("a/version", b"3\n")


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize("form", ["zip", "legacy", "pkl"])
def test_costly_pickles_are_refused_unbuilt(name, form, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("torch has opened it"))
    path = tmp_path / ("w.pkl" if form == "pkl" else "w.pth")
    data = PICKLES[name]
    if form == "zip":
        zipped(data, path)
    else:
        path.write_bytes(data if form == "pkl" else MAGIC + PROTOCOL + PROTOCOL + data)
    with pytest.raises(DataError, match="refused") as caught:
        read_weights(path)
    assert len(str(caught.value)) < 400


def test_old_files_that_claim_gigabytes_are_refused(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    torch.save({"w": torch.zeros(77777)}, buffer, _use_new_zipfile_serialization=False)
    data = buffer.getvalue()
    path = tmp_path / "w.pth"
    path.write_bytes(data)
    assert read_weights(path).tensors["w"].shape == (77777,)
    path.write_bytes(data.replace(number(77777), number(777777777)))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("torch has opened it"))
    with pytest.raises(DataError, match="storages claim 3111111108 bytes"):
        read_weights(path)


def test_zips_that_two_readers_read_differently_are_refused(tmp_path):
    path, good = tmp_path / "w.pth", tmp_path / "good.pth"
    torch.save({"w": torch.zeros(3)}, good)
    content = good.read_bytes()
    assert len(read_weights(good).tensors) == 1
    for name, data in {
        "bytes in front": content[:4] + bytes(200) + content[4:],
        "bytes behind": content + b"x",
        "a second end": content + content[-22:],
    }.items():
        path.write_bytes(data)
        with pytest.raises(DataError):
            read_weights(path)
            pytest.fail(name)
    zipped(pickle.dumps({}), path, compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match="compressed entry"):
        read_weights(path)


def test_opcodes_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(pickle_check, "MAX_OPCODES", 50)
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({str(i): np.zeros(1) for i in range(100)}))
    with pytest.raises(DataError, match="more than 50 objects"):
        read_weights(tmp_path / "w.pkl")


def test_numbers_and_short_tuples_are_keys(tmp_path):
    state = {"model": {"w": torch.zeros(2)}, 3: 1, ("a", 1): 2, None: 0, "o": {0: {"step": 1}}}
    torch.save(state, tmp_path / "w.pth")
    assert list(read_weights(tmp_path / "w.pth").tensors) == ["w"]
