"""Packed label files: what labels can come to is unpacked, what would fill the memory is refused, and the limit can be moved."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.formats import json_files
from bdd_inst.formats.json_files import read_bytes, top_level


def packed(path, *members):
    path.write_bytes(b"".join(map(gzip.compress, members)))
    return path


def test_members_follow_one_another(tmp_path):
    assert read_bytes(packed(tmp_path / "a.json.gz", b"[1,", b"2]")) == b"[1,2]"


def test_what_shrinks_more_than_labels_can_is_refused_before_it_is_unpacked(tmp_path):
    path = packed(tmp_path / "bomb.json.gz", b"[" + b"[]," * 20_000_000 + b"[]]")
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=f"unpack to more than.*{json_files.UNPACKED_VARIABLE}"):
            top_level(path)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_many_members_share_one_limit(tmp_path):
    member = gzip.compress(b" " * (1 << 20))
    (tmp_path / "a.gz").write_bytes(member * 9)
    with pytest.raises(DataError, match="unpack to more than"):
        read_bytes(tmp_path / "a.gz")


def test_the_limit_can_be_moved(tmp_path, monkeypatch):
    path = packed(tmp_path / "a.json.gz", b"[" + b" " * 1000 + b"]")
    monkeypatch.setenv(json_files.UNPACKED_VARIABLE, "1001")
    with pytest.raises(DataError, match="more than 1001"):
        read_bytes(path)
    monkeypatch.setenv(json_files.UNPACKED_VARIABLE, "1002")
    assert len(read_bytes(path)) == 1002
    monkeypatch.setenv(json_files.UNPACKED_VARIABLE, "2 GB")
    with pytest.raises(ConfigError, match="number of bytes"):
        read_bytes(path)


@pytest.mark.parametrize("kept", [12, 30, -3])
def test_a_file_cut_short_is_said_so(tmp_path, kept):
    path = packed(tmp_path / "a.json.gz", b"[" + b"123456789," * 100 + b"1]")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match="broken gzip file"):
        read_bytes(path)
