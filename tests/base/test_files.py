"""Atomic writes: the old file or the new one, never half of either."""

import errno
import os

import pytest

from bdd_inst.base.files import atomic_write


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as stream:
        stream.write("new")
        raise RuntimeError("disk full")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_write_replaces_the_file_and_makes_folders(tmp_path):
    path = tmp_path / "deep" / "er" / "a.bin"
    for content in (b"one", b"two"):
        with atomic_write(path, "wb") as stream:
            stream.write(content)
        assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["a.bin"]


def test_files_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a") as stream:
            stream.write("x")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_errors_name_the_file_that_was_to_be(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught, atomic_write(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left")
    assert caught.value.filename == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_before_an_error_may_stay_under_another_name(tmp_path):
    def keep(stream, error):
        stream.write(b" kept")
        stream.flush()
        return tmp_path / "part" if isinstance(error, ValueError) else None

    for error in (ValueError, KeyError):
        with pytest.raises(error), atomic_write(tmp_path / "a", "wb", keep) as stream:
            stream.write(b"half")
            raise error
    assert [p.name for p in tmp_path.iterdir()] == ["part"]
    assert (tmp_path / "part").read_bytes() == b"half kept"
