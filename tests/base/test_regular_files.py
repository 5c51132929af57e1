"""Regular files are opened, and nothing that may never end or never answer."""

import os
import socket
import subprocess
import sys

import pytest

from bdd_inst.base.errors import DataError
from bdd_inst.base.regular_files import open_regular, read_regular
from bdd_inst.formats.json_files import read_bytes
from bdd_inst.images.video import VideoReader
from bdd_inst.weights.reader import read_weights

READERS = (open_regular, read_bytes, read_weights, VideoReader)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("reader", READERS)
def test_pipes_devices_sockets_and_folders_are_refused_at_once(tmp_path, reader):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "link.json").symlink_to("/dev/zero")
    (tmp_path / "loop.json").symlink_to("loop.json")
    with socket.socket(socket.AF_UNIX) as server:
        place = os.getcwd()
        os.chdir(tmp_path)  # the whole path of a test's folder is too long for a socket
        server.bind("socket.json")
        os.chdir(place)
        for name in ("pipe.json", "link.json", "loop.json", "socket.json", "absent.json", ""):
            with pytest.raises(DataError, match="not a regular|cannot be opened|no such file"):
                reader(tmp_path / name)
    for path in ("/dev/zero", "/dev/full", "/dev/null"):
        with pytest.raises(DataError, match="not a regular file"):
            reader(path)


def test_what_is_larger_than_it_may_be_is_not_read(tmp_path):
    (tmp_path / "a.json").write_bytes(b"[1, 2]")
    assert read_regular(tmp_path / "a.json", 6) == b"[1, 2]"
    with pytest.raises(DataError, match="6 bytes, more than the 5 that are read"):
        read_regular(tmp_path / "a.json", 5)


def test_a_file_that_does_not_fit_into_the_memory_is_one_line(tmp_path):
    with open(tmp_path / "a.json", "wb") as stream:
        stream.truncate(1 << 60 if os.name == "nt" else 1 << 43)
    with pytest.raises(DataError, match="a.json: "):
        read_regular(tmp_path / "a.json", 1 << 62)


@pytest.mark.skipif(sys.platform != "linux", reason="no limit of the address space")
def test_a_small_file_takes_little_memory_whatever_is_allowed(tmp_path):
    (tmp_path / "a.json").write_bytes(b"[1, 2]")
    code = (
        "import resource, sys; from bdd_inst.base.regular_files import read_regular; "
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)); "
        "print(read_regular(sys.argv[1], 8 << 30))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.json")], capture_output=True, text=True
    )
    assert done.stdout.strip() == "b'[1, 2]'", done.stderr
