"""The config: Detectron2's keys and meanings, `_BASE_` inheritance, KEY VALUE overrides (fvcore's CfgNode)."""

from __future__ import annotations

import ast
import difflib
import functools
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import yaml
from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.yaml_files import Tree, read_with_bases

CONFIG_FOLDER = "configs"


def get_cfg() -> CfgNode:
    """A fresh config with every key at its default (``defaults.yaml``)."""
    text = resources.files("bdd_inst.config").joinpath("defaults.yaml").read_text(encoding="utf-8")
    return CfgNode(yaml.safe_load(text))


@functools.cache
def defaults() -> CfgNode:
    """The default of every key, to look at."""
    return get_cfg()


def load_cfg(path: str | os.PathLike, overrides: Sequence[str] = ()) -> CfgNode:
    """Defaults, then the file with its bases, then ``KEY VALUE`` pairs.

    Args:
        path: a YAML file; a bare name is also looked up in ``configs/``.
        overrides: alternating keys and values, e.g. ``["SOLVER.BASE_LR", "0.01", "STAGES.0.MAX_ITER", "100"]``.

    Returns:
        Every key, to be read as attributes.

    Raises:
        ConfigError: a missing or broken file, an unknown key (with the nearest known one), a value of the wrong type.
    """
    cfg = get_cfg()
    merge_tree(cfg, read_tree(find_config(path)), str(path))
    merge_overrides(cfg, overrides)
    return cfg


def find_config(path: str | os.PathLike) -> Path:
    """The file itself, or the one of that name in ``configs/`` of the working folder, or among the configs that come with the package."""
    given = Path(path)
    folders = [Path(), Path(CONFIG_FOLDER), own_configs()]
    for folder in folders:
        if (folder / given).is_file():
            return folder / given
    known = sorted(
        {p.name for folder in folders[1:] if folder.is_dir() for p in folder.glob("*.yaml")}
    )
    near = difflib.get_close_matches(given.name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"configs/ has {', '.join(known) or 'none'}"
    raise ConfigError(f"{path}: no such config file; {hint}")


def own_configs() -> Path:
    """The folder of the configs that come with the package: inside it where it is installed, at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / CONFIG_FOLDER
    return inside if inside.is_dir() else package.parent / CONFIG_FOLDER


def read_tree(path: str | os.PathLike) -> Tree:
    """The YAML tree of ``path`` merged over its ``_BASE_`` files; see :mod:`bdd_inst.config.yaml_files` for what is refused."""
    return read_with_bases(path)


def merge_tree(cfg: CfgNode, tree: dict, source: str) -> None:
    """Merge a YAML tree into ``cfg``; unknown keys and wrong types raise ConfigError naming key and source, the line where it is known.

    Args:
        cfg: changed in place.
        tree: nested mappings, as a YAML file has them.
        source: the file, for messages.

    Raises:
        ConfigError: an unknown key or a value of the wrong type; names key and source, the line where it is known.
    """
    known = known_keys(cfg)
    lines = getattr(tree, "lines", {})
    for key, value in leaves(tree, cfg):
        where = lines.get(key, source)
        if key not in known:
            raise ConfigError(f"{where}: unknown config key {printed(key)}; {nearest(key, known)}")
        set_key(cfg, key, value, where)


def merge_overrides(cfg: CfgNode, overrides: Sequence[str]) -> None:
    """Apply alternating keys and values; values are read as Python literals where they are, else as strings.

    Args:
        cfg: changed in place.
        overrides: alternating keys and values, e.g. ``["SOLVER.BASE_LR", "0.01"]``.

    Raises:
        ConfigError: an odd number of words, an unknown key, a value of the wrong type.
    """
    if len(overrides) % 2:
        raise ConfigError(f"overrides come in pairs KEY VALUE; {overrides[-1]!r} has no value")
    known = known_keys(cfg)
    for key, text in zip(overrides[::2], overrides[1::2], strict=True):
        if key.startswith("STAGES."):
            set_in_stage(cfg, key, literal(text))
        elif key not in known:
            raise ConfigError(f"unknown config key {printed(key)}; {nearest(key, known)}")
        else:
            set_key(cfg, key, literal(text), "command line")


def set_in_stage(cfg: CfgNode, key: str, value: object) -> None:
    """Set ``STAGES.<number or name>.<KEY>``; the stage must exist."""
    parts = key.split(".")
    names = {str(stage.get("NAME", i)): i for i, stage in enumerate(cfg.STAGES)}
    names.update({str(i): i for i in range(len(cfg.STAGES))})
    if len(parts) != 3 or parts[1] not in names:
        raise ConfigError(
            f"unknown config key {printed(key)}; write STAGES.<stage>.<KEY> with a stage of {sorted(names)}"
        )
    stages = [dict(stage) for stage in cfg.STAGES]
    stages[names[parts[1]]][parts[2]] = value
    cfg.STAGES = stages


def set_key(cfg: CfgNode, key: str, value: object, source: str) -> None:
    """Set one leaf with yacs' type rules (tuple and list are alike, an int serves as a float).

    Args:
        cfg: changed in place.
        key: dotted, of a leaf.
        value: of the default's type.
        source: where it was written, for messages.

    Raises:
        ConfigError: a value of the wrong type, or too large.
    """
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and isinstance(get_key(cfg, key), float)
    ):
        value = float(value)
    if key == "SOLVER.IMS_PER_BATCH" and value == "auto":
        value = -1
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ConfigError(f"{source}: config key {key}: {shown(value)} is too large")
    default = get_key(defaults(), key)
    if value is None and default is not None:
        if not isinstance(default, list):
            raise ConfigError(
                f"{source}: config key {key}: null is no {type(default).__name__} (default {default!r})"
            )
        value = []  # a list whose entries are all taken out
    try:
        cfg.merge_from_list([key, value])
    except (ValueError, AssertionError, KeyError) as error:
        current = get_key(cfg, key)
        reason = f"expected {type(current).__name__} (default {current!r}), got {shown(value)}"
        raise ConfigError(f"{source}: config key {key}: {reason}") from error


def shown(value: object) -> str:
    """A value for a message, cut short; Python writes out no number of thousands of digits."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= 120 else f"{text[:117]}..."


def printed(key: str) -> str:
    """A key for a message: as it was written, or with escapes where it is not a piece of one line."""
    return key if len(key) <= 200 and key.isprintable() else shown(key)


def get_key(cfg: CfgNode, key: str) -> object:
    """The value at a dotted key.

    Args:
        cfg: the config.
        key: dotted.

    Returns:
        The value, or the section.
    """
    node = cfg
    for part in key.split("."):
        node = node[part]
    return node


def known_keys(cfg: CfgNode) -> set[str]:
    """Every dotted leaf key.

    Args:
        cfg: the config.

    Returns:
        Dotted keys.
    """
    return {key for key, _ in leaves(cfg)}


def leaves(tree: dict, shape: dict | None = None, prefix: str = "") -> list[tuple[str, object]]:
    """Dotted keys and values; a mapping is walked into only while ``shape`` has a mapping or nothing there.

    Args:
        tree: nested mappings.
        shape: nested mappings that say what is a section; None takes every mapping for one.
        prefix: what dotted keys begin with.

    Returns:
        Dotted keys and their values, in order.
    """
    out = []
    for name, value in tree.items():
        inner = shape.get(name) if isinstance(shape, dict) else None
        if isinstance(value, dict) and not (
            shape is not None and name in shape and not isinstance(inner, dict)
        ):
            out += leaves(value, inner if shape is not None else None, f"{prefix}{name}.") or [
                (f"{prefix}{name}", value)
            ]
        else:
            out.append((f"{prefix}{name}", value))
    return out


def literal(text: object) -> object:
    """A Python literal where ``text`` is one (numbers, lists, True, None), else the string itself."""
    if not isinstance(text, str):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {"true": True, "false": False, "null": None}.get(text, text)


def nearest(key: str, known: set[str]) -> str:
    """The nearest known key, by spelling of the whole or of its last part.

    Args:
        key: dotted, as it was written.
        known: the keys that there are.

    Returns:
        A hint for a message.
    """
    last = key.rsplit(".", 1)[-1]
    same_leaf = sorted(k for k in known if k.rsplit(".", 1)[-1] == last)
    best = difflib.get_close_matches(key, same_leaf or sorted(known), 1, 0.0 if same_leaf else 0.5)
    return f"did you mean {best[0]}?" if best else "see bdd_inst/config/defaults.yaml for every key"
