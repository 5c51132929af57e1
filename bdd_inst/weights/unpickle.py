"""Reads weight pickles without running them: arrays, numbers, strings and plain containers come out, anything else is refused.

A pickle is a program. Here every name it may call is mapped to a builder of our own, so no function of Python, NumPy or torch is ever
called on the file's behalf, and a first pass over its opcodes bounds what reading it can cost.
Formats met: Detectron2's zoo files (dict with ``model``), Caffe2/Detectron blobs (Python 2, latin1), NumPy 1 and 2, protocols 0 to 5.
"""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path

import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.weights.pickle_check import Cost

MAX_DEPTH = 20
_NUMBERS = re.compile(r"[<>|=]?(\?|b1|[iu][1248]|f[248]|c(8|16))$")


class _Array:
    """An array being read; ``value`` is set once its state has come."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple) -> None:
        # NumPy writes five entries; the oldest files have no version in front.
        _version, shape, dtype, fortran, raw = state if len(state) == 5 else (0, *state)
        self.value = _frombuffer(raw, dtype, shape, "F" if fortran else "C")


class _DType:
    """A dtype being read: plain numbers only, so that no array can hold objects."""

    __slots__ = ("value",)

    def __init__(self, spec: object) -> None:
        spec = spec.decode("latin1") if isinstance(spec, bytes) else spec
        if not isinstance(spec, str) or not _NUMBERS.match(spec):
            raise pickle.UnpicklingError(f"an array of {_named(spec)}, not of numbers")
        self.value = np.dtype(spec)

    def __setstate__(self, state: tuple) -> None:
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if order in ("<", ">"):
            self.value = self.value.newbyteorder(order)


def _named(value: object) -> str:
    """A value for a message; what is no text is named by its type, since writing it out could take for ever."""
    return repr(value[:40]) if isinstance(value, (str, bytes)) else f"a {type(value).__name__}"


class _Mapping(dict):
    """An OrderedDict being read; attributes put on it (torch's ``_metadata``) are dropped."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        pass


class _Builder:
    """A callable that the pickle can call but not change: state set on it would outlive the file."""

    __slots__ = ("_build",)

    def __init__(self, build) -> None:
        self._build = build

    def __call__(self, *args):
        return self._build(*args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("an attempt to change a builder")


def _raw_bytes(raw: object) -> bytes | bytearray:
    """Array data: bytes, or the str that a Python 2 pickle's bytes become under latin1."""
    if isinstance(raw, str):
        return raw.encode("latin1")
    if not isinstance(raw, (bytes, bytearray)):
        raise pickle.UnpicklingError(f"array data of type {type(raw).__name__}")
    return raw


def _frombuffer(
    raw: object, dtype: object, shape: object, order: object, axis_order: object = None
) -> np.ndarray:
    """What ``numpy._core.numeric._frombuffer`` does; its size is that of the bytes given, whatever the shape claims."""
    if not isinstance(dtype, _DType):
        raise pickle.UnpicklingError("an array without a number type")
    array = np.frombuffer(_raw_bytes(raw), dtype.value)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if order == "K" and axis_order is not None:
        return array.reshape(shape).transpose(axis_order)
    return array.reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: object, raw: object = b"") -> object:
    """A NumPy number."""
    return _frombuffer(raw, dtype, (1,), "C")[0]


def _encode(text: object, encoding: object = "latin1") -> bytes:
    """How protocols 0 to 2 spell bytes under Python 3."""
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise pickle.UnpicklingError(f"_codecs.encode to {_named(encoding)}")
    return text.encode("latin1")


_ALLOWED = {
    # Names that weight pickles ask for, each answered by a function above: the file's own is never looked up.
    ("numpy", "ndarray"): object(),  # only ever handed to _reconstruct
    ("numpy", "dtype"): _Builder(lambda spec, *_: _DType(spec)),
    ("collections", "OrderedDict"): _Builder(lambda items=(): _Mapping(items)),
    ("_codecs", "encode"): _Builder(_encode),
    ("__builtin__", "bytes"): _Builder(lambda: b""),  # how protocols 0 to 2 spell empty bytes
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[_core + ".multiarray", "_reconstruct"] = _Builder(lambda *_: _Array())
    _ALLOWED[_core + ".multiarray", "scalar"] = _Builder(_scalar)
    _ALLOWED[_core + ".numeric", "_frombuffer"] = _Builder(_frombuffer)


class _WeightsUnpickler(pickle.Unpickler):
    """Resolves the names above and no other."""

    def find_class(self, module: str, name: str) -> object:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}"[:120]) from None


def load_arrays(path: str | os.PathLike) -> object:
    """The content of a weight pickle: NumPy arrays of numbers, scalars, str, bytes, None, dict, list, tuple, set.

    Raises:
        DataError: the file asks for anything else, is damaged, or claims more than it holds; one line, nothing was executed.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            # Twice over the file: first what building it would cost, then, where that is bounded, the building.
            Cost(path.stat().st_size).check(stream)
            stream.seek(0)
            content = _WeightsUnpickler(stream, encoding="latin1").load()
        return _resolve(content, {}, 0)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path}: refused, a weight pickle may hold arrays and plain containers only: {_one_line(error)}"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (
        EOFError,
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        MemoryError,
        RecursionError,
    ) as error:
        raise DataError(
            f"{path}: not a readable weight pickle, cut short or damaged: {_one_line(error)}"
        ) from None


def _resolve(value: object, seen: dict[int, object], depth: int) -> object:
    """Replace the stand-ins by what they hold; each shared object is walked once, so nesting cannot blow up."""
    if depth > MAX_DEPTH:
        raise pickle.UnpicklingError(f"containers nested more than {MAX_DEPTH} deep")
    if isinstance(value, (_Array, _DType)):
        return value.value
    if id(value) in seen:
        return seen[id(value)]
    if isinstance(value, dict):
        # Noted before it is filled: a dict may contain itself.
        out = seen[id(value)] = {}
        out.update((key, _resolve(inner, seen, depth + 1)) for key, inner in value.items())
        return out
    if isinstance(value, (list, tuple)):
        out = seen[id(value)] = type(value)(_resolve(inner, seen, depth + 1) for inner in value)
        return out
    if isinstance(value, _Builder):
        raise pickle.UnpicklingError("a function among the weights")
    return value


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
