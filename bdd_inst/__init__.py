"""Instance segmentation that speaks Detectron2 and installs with pip.

The public surface, each imported when it is first used:

- ``load_cfg(path, overrides=())``: a config with every key, from a file or the bare name of one that comes with the package.
- ``read_labels(path)``: any label file or folder as a LabelSet: ``images`` with their ``instances``.
- ``get_dataset(name)``: Detectron2's standard dicts of a data set of the catalog, or of any label file.
- ``build_model(cfg)``: the model of a config, weights random.
- ``Predictor(weights_or_cfg)``: images in, Detectron2's output dicts out.
- ``train(cfg, output=None)``: every stage of a config, then evaluation and report; the run's folder, figures and tables.
- ``evaluate(weights_or_cfg, output=None)``: the figures of a trained model, by data set.
"""

import importlib
import os

__version__ = "0.1.0"
__all__ = [
    "Predictor",
    "build_model",
    "evaluate",
    "get_dataset",
    "load_cfg",
    "read_labels",
    "train",
]

# name -> (module, its name there)
_PUBLIC = {
    "Predictor": ("inference.predictor", "Predictor"),
    "build_model": ("engines", "build_model"),
    "evaluate": ("training.train", "evaluate"),
    "get_dataset": ("datasets.own", "get_dataset"),
    "load_cfg": ("config.loading", "load_cfg"),
    "read_labels": ("formats", "read"),
    "train": ("training.train", "train"),
}

# Feature maps are tens of megabytes, and Linux hands out fresh memory page by page: in pages of 2 MB a map of 66 MB costs 5 ms
# instead of 25. torch reads this at its first allocation; set it to 0 beforehand to keep small pages.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def __getattr__(name: str) -> object:
    """A public name, its module imported now: ``import bdd_inst`` alone stays fast."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'bdd_inst' has no attribute {name!r}")
    module, there = _PUBLIC[name]
    value = globals()[name] = getattr(importlib.import_module(f"bdd_inst.{module}"), there)
    return value


def __dir__() -> list[str]:
    """What there is, the public names included."""
    return sorted({*globals(), *_PUBLIC})
