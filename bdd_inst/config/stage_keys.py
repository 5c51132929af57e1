"""STAGES as a config has it: each stage's own keys, and the config keys that it sets, by the tables of :mod:`bdd_inst.config.rules`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError
from bdd_inst.config import rules
from bdd_inst.config.checking import check_value, choices
from bdd_inst.config.loading import leaves, nearest

Keys = list[tuple[str, object]]  # dotted config keys and their values


def stage_items(cfg: CfgNode) -> list[tuple[dict, Keys]]:
    """The stages that ``cfg.STAGES`` lists; without any, one stage of everything by the SOLVER keys.

    Args:
        cfg: a whole config.

    Returns:
        For each stage the keys of ``rules.STAGE_KEYS``, and the config keys that it sets.

    Raises:
        ConfigError: a stage that is no mapping, an unknown key (with the nearest known one), a name used twice, a wrong value.
    """
    listed = cfg.STAGES if len(cfg.STAGES) else [{"NAME": "all"}]
    stages = [_stage(cfg, index, item) for index, item in enumerate(listed)]
    names = [own["NAME"] for own, _ in stages]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ConfigError(
            f"STAGES: the name {min(twice)!r} is used twice; names tell the stages apart in logs and checkpoints"
        )
    return stages


def _stage(cfg: CfgNode, index: int, item: object) -> tuple[dict, Keys]:
    where = f"STAGES.{index}"
    if not isinstance(item, Mapping):
        raise ConfigError(
            f"{where}: a stage is a mapping such as {{NAME: heads, TRAIN: heads, MAX_ITER: 1000}}, got {item!r}"
        )
    own = rules.STAGE_KEYS | {
        "NAME": f"stage{index + 1}",
        "FREEZE_AT": cfg.MODEL.BACKBONE.FREEZE_AT,
    }
    own |= {key: value for key, value in item.items() if key in own}
    keys = _config_keys({k: v for k, v in item.items() if k not in own}, cfg, where)
    for key in ("EPOCHS", "FREEZE_AT"):
        check_value(f"STAGES.{key}", own[key], f"{where}.{key}")
    if own["EPOCHS"] is not None and "MAX_ITER" in item:
        raise ConfigError(f"{where}: MAX_ITER and EPOCHS both give a length; keep one")
    return own | {"NAME": str(own["NAME"]), "TRAIN": _train(own["TRAIN"], where)}, keys


def _train(value: object, where: str) -> str | tuple[str, ...]:
    """A preset's name, or patterns of module names."""
    presets = choices("STAGES.TRAIN")
    if isinstance(value, str) and value in presets:
        return value
    if isinstance(value, str):
        near = difflib.get_close_matches(value, presets, 1)
        hint = (
            f"did you mean {near[0]}?"
            if near
            else "or a list of module name patterns such as [roi_heads.*]"
        )
        raise ConfigError(f"{where}.TRAIN: {value!r} is none of {', '.join(presets)}; {hint}")
    if isinstance(value, Sequence) and value and all(isinstance(pattern, str) for pattern in value):
        return tuple(value)
    raise ConfigError(
        f"{where}.TRAIN: expected one of {', '.join(presets)} or a list of module name patterns, got {value!r}"
    )


def _config_keys(item: Mapping, cfg: CfgNode, where: str) -> Keys:
    """Dotted config keys and values of a stage: bare SOLVER keys, section mappings (``INPUT: {...}``) or dotted keys."""
    found: Keys = []
    for name, value in item.items():
        section = name.split(".")[0]
        if section in rules.STAGE_SECTIONS and isinstance(value, Mapping):
            found += leaves({name: value}, cfg)
        elif section in rules.STAGE_SECTIONS:
            found.append((name, value))
        elif section == "MODEL":
            sections = ", ".join(rules.STAGE_SECTIONS)
            raise ConfigError(
                f"{where}.{name}: the model is built once; a stage may set {sections} keys"
            )
        elif isinstance(value, Mapping):
            found += leaves({"SOLVER": {name: value}}, cfg)
        else:
            found.append((f"SOLVER.{name}", value))
    known = {key for key, _ in leaves(cfg)}
    for key, _ in found:
        if key in known and key.startswith(rules.WHOLE_RUN) and key not in rules.BY_STAGE:
            raise ConfigError(f"{where}: {key} holds for the whole run; set it outside STAGES")
        if key not in known:
            bare = key.removeprefix("SOLVER.")
            own = difflib.get_close_matches(bare, rules.STAGE_KEYS, 1, 0.7)
            hint = f"did you mean {own[0]}?" if own else nearest(key, known)
            raise ConfigError(f"{where}: unknown key {bare}; {hint}")
    return found
