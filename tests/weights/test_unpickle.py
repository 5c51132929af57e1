"""Weight pickles: real exploits are refused before anything runs; arrays of every NumPy and protocol come through."""

import collections
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bdd_inst.base.errors import DataError
from bdd_inst.weights.unpickle import load_arrays


class Exploit:
    """Pickles as a call of ``function(*args)``: what an attacker's ``__reduce__`` does."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def write(path: Path, content, protocol=4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: x,
        lambda x: {"model": {"w": x}},
        lambda x: [({"a": x},)],
        lambda x: collections.OrderedDict(w=x),
    ],
)
def test_os_system_is_refused_and_does_not_run(tmp_path, wrap, protocol):
    witness = tmp_path / "owned"
    command = f"echo owned > {witness}"
    path = write(tmp_path / "evil.pkl", wrap(Exploit(os.system, command)), protocol)
    pickle.loads(path.read_bytes())
    assert witness.exists()  # the payload is real: free unpickling runs it
    witness.unlink()
    with pytest.raises(DataError, match=r"evil\.pkl: refused") as caught:
        load_arrays(path)
    assert "\n" not in str(caught.value)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("module", "name", "argument"),
    [
        ("builtins", "eval", "1"),
        ("__builtin__", "exec", "pass"),
        ("builtins", "getattr", "x"),
        ("numpy.testing._private.utils", "runstring", "1"),
        ("numpy", "load", "x"),
        ("numpy.f2py.crackfortran", "param_eval", "1"),
        ("numpy.core.multiarray", "fromfile", "/etc/passwd"),
        ("torch.storage", "_load_from_bytes", "x"),
        ("torch", "load", "x"),
        ("operator", "attrgetter", "x"),
        ("pickle", "loads", "x"),
        ("numpy.core", "multiarray._reconstruct.__globals__", "x"),
        ("numpy", "dtype.__class__", "x"),
    ],
)
def test_gadget_names_are_refused(tmp_path, module, name, argument):
    def text(value):
        return b"\x8c" + struct.pack("<B", len(value)) + value.encode()

    path = tmp_path / "gadget.pkl"
    path.write_bytes(b"\x80\x04" + text(module) + text(name) + b"\x93" + text(argument) + b"\x85R.")
    with pytest.raises(DataError, match="refused"):
        load_arrays(path)


def test_builders_cannot_be_changed_by_a_file(tmp_path):
    path = tmp_path / "patch.pkl"
    path.write_bytes(b"\x80\x02c_codecs\nencode\n}X\x06\x00\x00\x00_buildK\x01sb.")
    with pytest.raises(DataError, match="refused"):
        load_arrays(path)
    good = write(tmp_path / "good.pkl", {"w": np.arange(3.0)}, 2)
    assert load_arrays(good)["w"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["f4", "<f8", ">f4", "f2", "i8", "u1", "?"])
def test_arrays_of_every_protocol_come_through(tmp_path, protocol, dtype):
    arrays = {
        "c": np.arange(24).reshape(2, 3, 4).astype(dtype),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3).astype(dtype)),
        "transposed": np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1).astype(dtype),
        "empty": np.zeros((0, 3), dtype),
        "scalar": np.array(3, dtype),
    }
    content = {"model": arrays, "lr": np.float32(0.5), "__author__": "me", "bytes": b"\xff\x00"}
    got = load_arrays(write(tmp_path / "a.pkl", content, protocol))
    for name, array in arrays.items():
        np.testing.assert_array_equal(got["model"][name], array)
        assert got["model"][name].dtype.kind == array.dtype.kind
    assert (got["lr"], got["__author__"]) == (0.5, "me")
    assert got["bytes"] == b"\xff\x00"


@given(
    array=hnp.arrays(
        st.sampled_from(["f4", "i2"]), hnp.array_shapes(min_dims=0, max_dims=4, max_side=4)
    ),
    protocol=st.integers(0, 5),
)
def test_any_array_survives(tmp_path_factory, array, protocol):
    path = write(tmp_path_factory.mktemp("p") / "a.pkl", [array], protocol)
    np.testing.assert_array_equal(load_arrays(path)[0], array)


def test_python_2_pickle_with_numpy_1_names(tmp_path):
    """Caffe2's backbones were pickled by Python 2: array bytes are a str there, the names are those of NumPy 1."""
    data = np.array([1.5, -2.0], "<f4").tobytes()
    path = tmp_path / "py2.pkl"
    path.write_bytes(
        b"\x80\x02}U\x07conv1_wcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85"
        b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U"
        + bytes([len(data)])
        + data
        + b"tbs."
    )
    assert load_arrays(path)["conv1_w"].tolist() == [1.5, -2.0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("memo", b"\x80\x02}r\xff\xff\xff\x7f."),
        ("length", b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x."),
        ("frame", b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"}."),
        ("bytearray", b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b"x."),
        ("object array", pickle.dumps(np.array([{}], object))),
        ("cut", pickle.dumps({"w": np.arange(1000.0)})[:500]),
        ("empty", b""),
        ("persistent id", b"\x80\x02U\x01xQ."),
        ("shape", pickle.dumps(np.zeros(7, "f4")).replace(b"K\x07\x85", b"K\x09\x85")),
        ("nesting", b"\x80\x02" + b"]" * 200 + b"a" * 199 + b"."),
    ],
)
def test_bombs_and_damage_get_one_line(tmp_path, name, content):
    path = tmp_path / "bad.pkl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.pkl") as caught:
        load_arrays(path)
    assert "\n" not in str(caught.value)


def test_shared_containers_are_walked_once(tmp_path):
    value: list = []
    for _ in range(18):
        value = [value, value]
    assert load_arrays(write(tmp_path / "laughs.pkl", value)) is not None
