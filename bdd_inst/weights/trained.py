"""Weights that know what they are: a trained model's file carries its config and its classes, and is checked to be whole."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from fvcore.common.config import CfgNode
from torch import nn

from bdd_inst import __version__
from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.config.loading import get_cfg, load_cfg, merge_overrides, merge_tree
from bdd_inst.config.yaml_files import parse
from bdd_inst.weights.checkpoint import load_weights, unwrap
from bdd_inst.weights.class_count import describe_class_counts
from bdd_inst.weights.files import find_weights
from bdd_inst.weights.load_report import LoadReport, group_names
from bdd_inst.weights.reader import IDENTITY, read_weights

# What of a data set's metadata goes into the file: plain values that say what the model's outputs mean.
ID_TABLES = ("thing_dataset_id_to_contiguous_id", "stuff_dataset_id_to_contiguous_id")
KEPT = ("thing_classes", "thing_colors", "stuff_classes", *ID_TABLES)
# What ends so is a config; any other file that a user names is weights.
CONFIG_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Identity:
    """What a weight file says of itself.

    Attributes:
        config: the whole config it was trained with, YAML.
        metadata: Detectron2's words for its classes, those of ``KEPT`` that its data set has: ``thing_classes`` (names by index),
            ``thing_colors`` (RGB by index), ``thing_dataset_id_to_contiguous_id`` (category id to index), ``stuff_classes`` and
            ``stuff_dataset_id_to_contiguous_id``.
        version: of the package that wrote it.
    """

    config: str
    metadata: dict = field(default_factory=dict)
    version: str = __version__

    def entry(self) -> dict:
        """What goes beside ``"model"`` into a checkpoint: plain types only, so that any safe reader takes it."""
        content = {"config": self.config, "metadata": self.metadata, "version": self.version}
        return {IDENTITY: content}


def identity_of(cfg: CfgNode, metadata: Mapping) -> Identity:
    """The identity of a model that is trained by ``cfg`` on data of ``metadata`` (a catalog's, as a dict).

    Args:
        cfg: the whole config of the run.
        metadata: class names, colors, ids.

    Returns:
        what goes into the file: :meth:`Identity.entry`.
    """
    kept = {key: _plain(metadata[key]) for key in KEPT if metadata.get(key)}
    return Identity(cfg.dump(), kept)


def read_identity(source: str | os.PathLike) -> Identity | None:
    """What a weight file says of itself.

    Args:
        source: a path, ``https://`` or ``detectron2://``.

    Returns:
        Its config, classes and version; None where it says nothing, as files of other projects.

    Raises:
        DataError: a file that is not there or is no weight file.
    """
    return _checked(read_weights(find_weights(source)).identity)


def trained_cfg(source: str | os.PathLike, overrides: Sequence[str] = ()) -> CfgNode:
    """The config that a weight file carries, MODEL.WEIGHTS set to the file, then ``KEY VALUE`` pairs.

    Modules that the config names for import are not imported: a weight file never makes code run. Nor does it choose a place to write
    to: an OUTPUT_DIR outside the working folder is set back to the default.

    Args:
        source: a weight file, or its address.
        overrides: alternating config keys and values.

    Returns:
        a config of its own.

    Raises:
        DataError: the file carries no config, as files of other projects do.
        ConfigError: its config, or an override, has a key or value that is not known here.
    """
    identity = read_identity(source)
    if identity is None:
        raise DataError(
            f"{source}: these weights do not say with which config they were trained; name it, e.g. --config bdd_maskrcnn.yaml"
        )
    cfg = get_cfg()
    tree = parse(identity.config, f"the config in {source}")
    merge_tree(cfg, tree, f"the config in {source}")
    cfg.MODEL.WEIGHTS = os.fspath(source)
    # A file from somebody else must not choose which code runs.
    if "IMPORTS" in cfg.DATASETS:
        cfg.DATASETS.IMPORTS = []
    place = PurePath(cfg.OUTPUT_DIR)
    if place.is_absolute() or place.drive or ".." in place.parts:
        cfg.OUTPUT_DIR = get_cfg().OUTPUT_DIR
    merge_overrides(cfg, overrides)
    return cfg


def as_cfg(source: CfgNode | str | os.PathLike, overrides: Sequence[str] = ()) -> CfgNode:
    """A config from what a user has: a config itself, a config file or its bare name, or a weight file that carries one.

    Args:
        source: any of these.
        overrides: alternating config keys and values.

    Returns:
        a config of its own, which may be changed.

    Raises:
        ConfigError: none of these.
    """
    if isinstance(source, CfgNode):
        cfg = source.clone()
        cfg.defrost()
        merge_overrides(cfg, overrides)
        return cfg
    if not isinstance(source, str | os.PathLike):
        raise ConfigError(
            f"expected a config, a config file or a weight file, got {type(source).__name__}"
        )
    if Path(source).suffix.lower() in CONFIG_SUFFIXES:
        return load_cfg(source, overrides)
    return trained_cfg(source, overrides)


def load_trained(model: nn.Module, source: str | os.PathLike, cfg: CfgNode) -> LoadReport:
    """Load the weights of a model that is to predict: all of it must be in the file.

    Args:
        model: built from ``cfg``; changed in place.
        source: a path, ``https://``, ``detectron2://`` or ``package://``.
        cfg: its config.

    Returns:
        what became of each parameter.

    Raises:
        ConfigError: the file is of another number of classes.
        DataError: parameters are missing, a backbone alone for example: their random values would find objects everywhere.
    """
    report = load_weights(model, source, cfg)
    if report.reinitialized:
        raise ConfigError(f"MODEL.WEIGHTS {source}: {describe_class_counts(report.reinitialized)}")
    learned = {name for name, _ in unwrap(model).named_parameters()}
    lost = [name for name in report.missing if name in learned]
    # Of another shape is as lost as missing: it would stay random.
    lost += [name.split(" ")[0] for name in report.mismatched]
    if lost:
        groups = group_names(lost)
        raise DataError(
            f"MODEL.WEIGHTS {source}: {len(lost)} of the model's {len(learned)} parameters are not in the file "
            f"({'; '.join(groups[:3])}{'; ...' if len(groups) > 3 else ''}): train first, or name the config of these weights"
        )
    return report


def _plain(value: object) -> object:
    """Lists, dicts, strings and whole numbers in place of tuples, arrays and NumPy's numbers."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, str):
        return str(value)
    return [_plain(inner) for inner in value] if hasattr(value, "__iter__") else int(value)


def _checked(content: object) -> Identity | None:
    """An identity from a file's entry; what is not of the expected types is left out."""
    if not isinstance(content, Mapping) or not isinstance(content.get("config"), str):
        return None
    given = content.get("metadata")
    given = given if isinstance(given, Mapping) else {}
    kept = {}
    for key in ("thing_classes", "stuff_classes"):
        if _all(given.get(key), str):
            kept[key] = list(given[key])
    colors = given.get("thing_colors")
    if _all(colors, list) and all(len(c) == 3 and _all(c, int) for c in colors):
        kept["thing_colors"] = [list(color) for color in colors]
    for key in ID_TABLES:
        ids = given.get(key)
        if isinstance(ids, Mapping) and _all([*ids, *ids.values()], int):
            kept[key] = dict(ids)
    return Identity(content["config"], kept, str(content.get("version", "")))


def _all(values: object, kind: type) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(v, kind) for v in values)
