"""A weight file of any known container as a plain dict of name to CPU tensor. Nothing in the file is executed.

Containers: Detectron2's zoo ``.pkl`` (``{"model": arrays, "__author__": ...}``), Caffe2 and Detectron ``.pkl`` (blobs, with or without
``"blobs"`` around them), ``.pth`` of Detectron2, torchvision, timm, this project or others (bare, or under ``model`` / ``state_dict``,
with or without optimizer state beside it), Lightning ``.ckpt``, ``.safetensors``. Where a file keeps averaged (EMA) weights, those are
taken.
"""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bdd_inst.base.errors import DataError
from bdd_inst.base.regular_files import open_regular
from bdd_inst.weights.torch_check import check_legacy, check_zip
from bdd_inst.weights.unpickle import load_arrays

MAX_SHARING = 4
IDENTITY = "bdd_inst"  # beside "model": what a checkpoint of this project says of itself
_EMA_KEYS = ("model_ema", "ema_model", "state_dict_ema", "ema_state_dict", "ema_state", "ema")
_MODEL_KEYS = ("model", "state_dict", "model_state_dict", "model_state", "blobs")
_LEGACY_TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the first pickle of torch.save before 1.6: its magic number


@dataclass(slots=True)
class FileWeights:
    """Tensors of a file by the names they have there, on the CPU.

    ``author`` is the file's ``__author__``, where it has one; ``notes`` says what was chosen among several sets; ``identity`` is what
    the file says of itself, unchecked (see :mod:`bdd_inst.weights.trained`).
    """

    tensors: dict[str, Tensor]
    author: str = ""
    notes: list[str] = field(default_factory=list)
    identity: object = None


def read_weights(path: str | os.PathLike) -> FileWeights:
    """The weights of a file.

    Raises:
        DataError: unreadable, holding anything but weights, or claiming more data than the file has.
    """
    path = Path(path)
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        head = stream.read(len(_LEGACY_TORCH))
    # The content decides, for suffixes differ: here the length of a JSON header, then the header.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size:
        content = _load_safetensors(path)
    elif head[:4] == b"PK\x03\x04":
        content = _load_torch(path, zipped=True)
    elif head == _LEGACY_TORCH:
        content = _load_torch(path, zipped=False)
    elif head[:1] == b"\x80" or path.suffix in (".pkl", ".pickle"):
        content = load_arrays(path)
    else:
        start = (
            "an HTML page"
            if head.lstrip()[:1] == b"<"
            else "empty"
            if not head
            else "neither a pickle nor a torch file"
        )
        raise DataError(f"{path}: not a weight file ({start}); download it again")
    state, notes = _state_of(content, path)
    found = {name: value for name, value in state.items() if _is_tensor(value)}
    if not found:
        raise DataError(
            f"{path}: holds no weights (its keys: {', '.join(name[:60] for name in list(state)[:5])})"
        )
    _check_size(found, size, path)
    author = content.get("__author__")
    return FileWeights(
        {name: _tensor(value) for name, value in found.items()},
        author if isinstance(author, str) else "",
        notes,
        content.get(IDENTITY),
    )


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise DataError(
            f"{path}: a safetensors file, and the package that reads them is not installed; pip install safetensors"
        ) from None
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(
            f"{path}: not a readable safetensors file, cut short or damaged: {' '.join(str(error).split())[:160]}"
        ) from None


def _load_torch(path: Path, *, zipped: bool) -> object:
    try:
        (check_zip if zipped else check_legacy)(path)
        # Mapped: tensors are read when they are used, and an optimizer beside them never is.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        asked = re.search(r"(?:GLOBAL|class|function|storage type)\s+([\w.]+\.[\w.]+)", str(error))
        what = (
            f"it asks for {asked[1]}"
            if asked
            else " ".join(str(error).split(". ")[0].split())[:160]
        )
        raise DataError(
            f"{path}: refused, a checkpoint may hold tensors, numbers and plain containers only: {what}; "
            "if you trust it, save its state_dict() alone with torch.save"
        ) from None
    except Exception as error:  # by kind of damage torch raises RuntimeError, EOFError, IndexError, AssertionError, BadZipFile, ...
        raise DataError(
            f"{path}: not a readable torch file, cut short or damaged: {' '.join(str(error).split())[:160]}"
        ) from None


def _state_of(content: object, path: Path) -> tuple[Mapping, list[str]]:
    """The dict that holds the weights; EMA weights go before the plain ones (Lightning's ``state_dict`` already is the average)."""
    if isinstance(content, Mapping):
        # Averages first: they are what their authors evaluate.
        for key in (*_EMA_KEYS, *_MODEL_KEYS):
            inner = content.get(key)
            if isinstance(inner, Mapping) and any(_is_tensor(value) for value in inner.values()):
                notes = (
                    [f"the averaged weights under {key!r} were taken"] if key in _EMA_KEYS else []
                )
                return _named(inner), notes
        return _named(content), []
    raise DataError(f"{path}: holds a {type(content).__name__}, not a dict of weights")


def _named(items: Mapping) -> dict[str, object]:
    """The entries whose keys are words or numbers, by the key as a word; other keys name no weight."""
    return {str(name): value for name, value in items.items() if isinstance(name, (str, int))}


def _is_tensor(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
    )


def _tensor(value: np.ndarray | Tensor) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    # torch knows the machine's byte order only, and of unsigned numbers in older versions uint8 only.
    native = value.astype(value.dtype.newbyteorder("="), copy=False)
    if native.dtype.kind == "u" and native.dtype.itemsize > 1:
        native = native.astype(np.int64)
    return torch.from_numpy(np.array(native, copy=True, order="C"))


def _check_size(tensors: Mapping[str, np.ndarray | Tensor], file_size: int, path: Path) -> None:
    """Views of one small storage can claim any size; what is claimed may not exceed what the file holds, with room for shared weights."""
    # Shared weights are counted as often as they occur: room for that is what MAX_SHARING allows.
    claimed = sum(value.nbytes for value in tensors.values())
    if claimed > MAX_SHARING * file_size:
        raise DataError(
            f"{path}: refused, its tensors claim {claimed} bytes but the file has {file_size}"
        )
