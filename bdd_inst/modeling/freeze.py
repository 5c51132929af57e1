"""Which parameters train: presets and module patterns. What is frozen costs no gradient and keeps no activation."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence

from torch import nn

from bdd_inst.base.errors import ConfigError
from bdd_inst.base.registry import Registry

# Whether a parameter trains, by its name. What is not the backbone's is a head, whatever its meta-architecture calls it.
PRESETS: Registry[Callable[[str], bool]] = Registry(
    "STAGES.TRAIN",
    {
        "heads": lambda name: not name.startswith("backbone."),
        "fpn+heads": lambda name: not is_bottom_up(name),
        "all": lambda name: True,
    },
)


def is_bottom_up(name: str) -> bool:
    """Whether a parameter belongs to the backbone itself, not to an FPN around it or to a head.

    Args:
        name: of the parameter, as Detectron2 has it: ``backbone.bottom_up.res2.0.conv1.weight``.

    Returns:
        True for the backbone's own.
    """
    return name.startswith("backbone.") and not name.startswith("backbone.fpn_")


def set_trainable(
    model: nn.Module, train: str | Sequence[str] = "all", freeze_at: int = 0
) -> list[str]:
    """Let the parameters train whose module is named, and no others; call it again to change the choice.

    Args:
        model: with Detectron2's parameter names (either engine's).
        train: a preset (``heads``: everything above the backbone; ``fpn+heads``; ``all``), or patterns such as ``roi_heads.mask_head``
            or ``backbone.bottom_up.res5.*``: shell wildcards that match a parameter's name or a module that holds it.
        freeze_at: 1 freezes the stem whatever the patterns say, 2 also res2, ... 5 the whole ResNet.

    Returns:
        names of the parameters that train.

    Raises:
        ConfigError: a preset or a pattern that matches nothing; FREEZE_AT for a backbone of unknown parts.
    """
    names = [name for name, _ in model.named_parameters()]
    chosen = _chosen(names, train) - _below(model, names, freeze_at)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in chosen)
    for module in model.modules():
        # A batch norm whose own scale is fixed must not drift by its running statistics either.
        if hasattr(type(module), "frozen"):
            module.frozen = not any(p.requires_grad for p in module.parameters())
    hold_statistics(model)
    return [name for name in names if name in chosen]


def hold_statistics(model: nn.Module) -> None:
    """Other libraries' batch norms follow the model's mode, but stay in evaluation mode where their own scale is fixed."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not hasattr(module, "frozen"):
            own = list(module.parameters(recurse=False))
            module.train(model.training and (not own or any(p.requires_grad for p in own)))


def _chosen(names: Sequence[str], train: str | Sequence[str]) -> set[str]:
    if isinstance(train, str) and train in PRESETS:
        return {name for name in names if PRESETS[train](name)}
    patterns = (train,) if isinstance(train, str) else tuple(train)
    out: set[str] = set()
    for pattern in patterns:
        matched = {
            # ``fnmatchcase``: ``fnmatch`` would ignore case on some systems.
            n
            for n in names
            if any(fnmatch.fnmatchcase(part, pattern) for part in _prefixes(n))
        }
        # Each pattern must match by itself: a misspelt one beside a good one would freeze its part in silence.
        if not matched:
            tops = sorted({".".join(n.split(".")[:2]) for n in names})
            raise ConfigError(
                f"TRAIN {pattern!r} matches no module; presets are {', '.join(PRESETS)}, modules are {', '.join(tops)}"
            )
        out |= matched
    return out


def _prefixes(name: str) -> list[str]:
    """``a.b.c`` to ``a``, ``a.b``, ``a.b.c``."""
    parts = name.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def _below(model: nn.Module, names: Sequence[str], freeze_at: int) -> set[str]:
    """Parameters of the first ``freeze_at`` parts of the backbone: of a ResNet, with or without an FPN around it, or of an
    encoder that says what its parts are (``freeze_parts``)."""
    backbone = getattr(model, "backbone", None)
    if freeze_at > 0 and hasattr(backbone, "freeze_parts"):
        if backbone.freeze_parts is None:
            raise ConfigError(
                f"MODEL.BACKBONE.FREEZE_AT {freeze_at}: the parts of this backbone are not known; set it to 0 and name what trains "
                "in STAGES.<stage>.TRAIN"
            )
        return {f"backbone.{name}" for part in backbone.freeze_parts[:freeze_at] for name in part}
    # Detectron2's counting: the stem is part 1.
    parts = ("stem", "res2", "res3", "res4", "res5")[: max(freeze_at, 0)]
    heads = tuple(
        f"{prefix}{part}." for part in parts for prefix in ("backbone.bottom_up.", "backbone.")
    )
    return {name for name in names if name.startswith(heads)}
