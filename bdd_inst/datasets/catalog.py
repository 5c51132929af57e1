"""Data sets by name: a table of loaders, and what is known of each (class names, files, protocol)."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bdd_inst.base.errors import ConfigError, ProblemLog
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.dict_array import DictArray

log = logging.getLogger(__name__)

Loader = Callable[..., DatasetRecords]


class Metadata:
    """What is known of one data set, as attributes: ``thing_classes``, ``mask_rule``, ``problems``, ..."""

    def __init__(self, name: str):
        self.name = name

    def set(self, **values: Any) -> Metadata:
        """Set attributes; returns itself."""
        self.__dict__.update(values)
        return self

    def get(self, key: str, default: Any = None) -> Any:
        """The attribute, or ``default``."""
        return self.__dict__.get(key, default)

    def as_dict(self) -> dict[str, Any]:
        """A copy as a plain dict."""
        return dict(self.__dict__)

    def __getattr__(self, key: str) -> Any:
        raise AttributeError(
            f"nothing is known as {key!r} of data set {self.__dict__.get('name')!r}; known: {', '.join(self.__dict__)}"
        )

    def __repr__(self) -> str:
        return f"Metadata({self.__dict__})"


class _MetadataCatalog:
    """Name to Metadata; one is made on first use."""

    def __init__(self) -> None:
        self._known: dict[str, Metadata] = {}

    def get(self, name: str) -> Metadata:
        return self._known.setdefault(name, Metadata(name))

    def list(self) -> list[str]:
        return sorted(self._known)

    def pop(self, name: str) -> None:
        self._known.pop(name, None)


class _DatasetCatalog:
    """Name to loader. A loaded data set is kept, so that several users of one share it."""

    def __init__(self) -> None:
        self._loaders: dict[str, Loader] = {}
        self._loaded: dict[tuple, Sequence[dict]] = {}

    def register(self, name: str, loader: Loader) -> None:
        """Enter a loader: a function that returns DatasetRecords, or a plain list of standard dicts.

        Raises:
            ConfigError: the name is taken.
        """
        if name in self._loaders:
            raise ConfigError(
                f"data set {name} is registered already; remove it first or choose another name"
            )
        self._loaders[name] = loader

    def get(self, name: str, **options: Any) -> Sequence[dict]:
        """The standard dicts of a data set; loading it also fills in its metadata.

        ``options`` (``raster``, ``instances``, ``source``) go to loaders that take them.

        Raises:
            ConfigError: an unknown name (the nearest known one is named).
            DataError: what the loader says.
        """
        self.ensure_registered()
        if name not in self._loaders:
            near = difflib.get_close_matches(name, self._loaders, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self.list())}"
            raise ConfigError(f"no data set is called {name}; {hint}")
        loader = self._loaders[name]
        accepted = {k: v for k, v in options.items() if has_free_parameter(loader, k)}
        key = (name, *sorted(accepted.items()))
        if key not in self._loaded:
            loaded = loader(**accepted)
            if isinstance(loaded, DatasetRecords):
                MetadataCatalog.get(name).set(**loaded.metadata, problems=loaded.problems)
                report(name, loaded)
                loaded = loaded.dicts
            self._loaded[key] = loaded
        return self._loaded[key]

    def ensure_registered(self) -> None:
        """Enter the built-in data sets on first use."""
        if "synthetic_bdd_train" not in self._loaders:
            register_all()

    def list(self) -> list[str]:
        self.ensure_registered()
        return sorted(self._loaders)

    def remove(self, name: str) -> None:
        """Forget a loader and what it loaded."""
        self._loaders.pop(name, None)
        self._loaded = {key: value for key, value in self._loaded.items() if key[0] != name}

    def __contains__(self, name: str) -> bool:
        self.ensure_registered()
        return name in self._loaders

    def __iter__(self) -> Iterator[str]:
        return iter(self.list())


MetadataCatalog = _MetadataCatalog()
DatasetCatalog = _DatasetCatalog()


def has_free_parameter(loader: Loader, name: str) -> bool:
    """Whether a loader has a parameter of that name that is not yet bound."""
    bound = loader.keywords if isinstance(loader, partial) else {}
    return name in inspect.signature(loader).parameters and name not in bound


def report(name: str, loaded: DatasetRecords) -> None:
    """Log what was loaded and, by reason, what was not."""
    arrays = isinstance(loaded.dicts, DictArray)
    objects = (
        int(loaded.dicts.object_counts().sum())
        if arrays
        else sum(len(d.get("annotations", ())) for d in loaded.dicts)
    )
    log.info("%s: %d images, %d objects", name, len(loaded.dicts), objects)
    for line in loaded.problems.lines():
        log.warning("%s: %s", name, line)


def unreported(problems: ProblemLog, names: Iterable[str]) -> ProblemLog:
    """What :func:`report` has not said already when the data sets were loaded.

    Args:
        problems: of the data sets as they are used.
        names: theirs, in the catalog.

    Returns:
        The problems of other codes.
    """
    logged = {
        code
        for name in names
        for code in (MetadataCatalog.get(name).get("problems") or ProblemLog()).counts
    }
    fresh = ProblemLog(counts=problems.counts.copy(), examples=problems.examples)
    for code in logged:
        fresh.counts.pop(code, None)
    return fresh


def data_root() -> Path:
    """The folder of all data sets: $DETECTRON2_DATASETS, or ``datasets`` in the working folder."""
    return Path(os.environ.get("DETECTRON2_DATASETS") or "datasets")


def builtin_loaders(root: str | os.PathLike | None = None) -> dict[str, Loader]:
    """Every data set of this project by name; ``root`` None is looked up in the environment when a set is loaded."""
    from bdd_inst.datasets import builtin

    return {
        name: partial(builtin.AtRoot(entry.loader, root, data_root), **entry.options)
        for name, entry in builtin.DATASETS.items()
    }


def register_all(root: str | os.PathLike | None = None) -> None:
    """Enter every built-in data set under its name, here and, where it is installed, in Detectron2's catalogs."""
    from bdd_inst.datasets.builtin import DATASETS

    for name, loader in builtin_loaders(root).items():
        DatasetCatalog._loaders.setdefault(name, loader)
        metadata = MetadataCatalog.get(name)
        # What the user has said of it already stays.
        for key, value in DATASETS[name].metadata().items():
            if metadata.get(key) is None:
                metadata.set(**{key: value})
    if "detectron2" in sys.modules:
        mirror_to_detectron2()


def mirror_to_detectron2() -> bool:
    """Enter our data sets in Detectron2's DatasetCatalog and MetadataCatalog; False where Detectron2 is not installed."""
    if importlib.util.find_spec("detectron2") is None:
        return False
    from detectron2.data import DatasetCatalog as TheirDatasets
    from detectron2.data import MetadataCatalog as TheirMetadata

    from bdd_inst.datasets.builtin import DATASETS

    def load(name: str) -> list[dict]:
        dicts = list(DatasetCatalog.get(name))
        known = {
            k: v
            for k, v in MetadataCatalog.get(name).as_dict().items()
            if k not in ("name", "problems")
        }
        for key, value in known.items():
            if not hasattr(TheirMetadata.get(name), key):
                TheirMetadata.get(name).set(**{key: value})
        return dicts

    for name in DatasetCatalog.list():
        if name not in TheirDatasets.list():
            TheirDatasets.register(name, partial(load, name))
            if name in DATASETS:
                TheirMetadata.get(name).set(thing_classes=list(DATASETS[name].classes))
    return True


# A program that has Detectron2 loaded already finds our data sets in its catalogs by importing this module.
if "detectron2" in sys.modules:
    register_all()
