"""The optimizer of a stage: parameter groups by Detectron2's rules, SGD or AdamW, gradient clipping."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import torch
from fvcore.common.config import CfgNode
from torch import nn

from bdd_inst.base.errors import ConfigError
from bdd_inst.base.registry import Registry
from bdd_inst.modeling.freeze import is_bottom_up

# Layers whose parameters take SOLVER.WEIGHT_DECAY_NORM. Local response norm has no parameters and is left out.
NORMS = (
    nn.modules.batchnorm._BatchNorm,  # BatchNorm and SyncBatchNorm of any dimension
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
    nn.LayerNorm,
)
# What ConvNeXt and Swin train without decay besides their norms: layer scales, position tables, the temperature of SwinV2's attention.
SCALES = ("gamma", "relative_position_bias_table", "logit_scale")


def parameter_groups(model: nn.Module, cfg: CfgNode) -> list[dict]:
    """Groups of the trainable parameters that share learning rate and weight decay, each with its parameters' ``names``.

    Norm layers take WEIGHT_DECAY_NORM; parameters called ``bias`` take BIAS_LR_FACTOR and, where it is set, WEIGHT_DECAY_BIAS, which
    wins over the norm's (Detectron2's rules). BACKBONE_MULTIPLIER scales the backbone's rate; with LAYER_DECAY below
    1 its deeper layers train slower still.
    """
    solver = cfg.SOLVER
    groups: dict[tuple[float, float], dict] = {}
    for name, parameter, in_norm in trainable(model):
        rate, weight_decay = (
            solver.BASE_LR,
            solver.WEIGHT_DECAY_NORM if in_norm else solver.WEIGHT_DECAY,
        )
        if weight_decay is None:
            weight_decay = solver.WEIGHT_DECAY
        if name.rsplit(".", 1)[-1] == "bias":
            rate = rate * solver.BIAS_LR_FACTOR if solver.BIAS_LR_FACTOR != 1.0 else rate
            weight_decay = (
                weight_decay if solver.WEIGHT_DECAY_BIAS is None else solver.WEIGHT_DECAY_BIAS
            )
        if solver.BACKBONE_MULTIPLIER != 1.0 and is_bottom_up(name):
            rate *= solver.BACKBONE_MULTIPLIER
        if solver.LAYER_DECAY != 1.0:
            rate *= solver.LAYER_DECAY ** layers_above(name)
        # Few groups: ``foreach`` updates each in one go, where a group a parameter would be hundreds of small kernels.
        group = groups.setdefault(
            (rate, weight_decay),
            {"params": [], "names": [], "lr": rate, "weight_decay": weight_decay},
        )
        group["params"].append(parameter)
        group["names"].append(name)
    return list(groups.values())


def trainable(model: nn.Module) -> Iterator[tuple[str, nn.Parameter, bool]]:
    """Name, parameter and whether it decays as norm layers do, each trainable parameter once."""
    seen: set[int] = set()
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and id(parameter) not in seen:
                # A tensor used twice would be updated twice in a step.
                seen.add(id(parameter))
                yield (
                    f"{module_name}.{name}".lstrip("."),
                    parameter,
                    isinstance(module, NORMS) or name in SCALES,
                )


def layers_above(name: str) -> int:
    """How many stages of the bottom-up backbone lie between a parameter and the FPN: 0 for everything above the backbone.

    Counted by stage (5 for the stem, 4 for res2 ... 1 for res5), as ViTDet and ConvNeXt do by layer; models of timm are cut into the
    same parts.
    """
    if not name.startswith("backbone.bottom_up."):
        return 0
    stage = re.match(r"backbone\.bottom_up\.res(\d)\.", name)
    # res5 is one stage below the FPN, res2 four; whatever has no stage is the stem.
    return 6 - int(stage[1]) if stage else 5


def _sgd(groups: list[dict], solver: CfgNode) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        groups,
        lr=solver.BASE_LR,
        momentum=solver.MOMENTUM,
        nesterov=solver.NESTEROV,
        weight_decay=solver.WEIGHT_DECAY,
        foreach=True,
    )


def _adamw(groups: list[dict], solver: CfgNode) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        groups, lr=solver.BASE_LR, weight_decay=solver.WEIGHT_DECAY, foreach=True
    )


# From parameter groups and the SOLVER section to an optimizer. ``foreach`` updates them together, as Detectron2 does.
OPTIMIZERS: Registry[Callable[[list[dict], CfgNode], torch.optim.Optimizer]] = Registry(
    "SOLVER.OPTIMIZER", {"SGD": _sgd, "AdamW": _adamw}
)


def build_optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of SOLVER.OPTIMIZER over the trainable parameters.

    Raises:
        ConfigError: nothing trains, or an optimizer of another name.
    """
    groups = parameter_groups(model, cfg)
    if not groups:
        raise ConfigError(
            "no parameter trains in this stage; see STAGES.<stage>.TRAIN and FREEZE_AT"
        )
    return OPTIMIZERS.pick(cfg.SOLVER.OPTIMIZER)(groups, cfg.SOLVER)


def _clip_values(parameters: list[nn.Parameter], clip: CfgNode) -> None:
    nn.utils.clip_grad_value_(parameters, clip.CLIP_VALUE)


def _clip_norms(parameters: list[nn.Parameter], clip: CfgNode) -> None:
    for parameter in parameters:
        nn.utils.clip_grad_norm_(parameter, clip.CLIP_VALUE, clip.NORM_TYPE)


def _clip_full_model(parameters: list[nn.Parameter], clip: CfgNode) -> None:
    nn.utils.clip_grad_norm_(parameters, clip.CLIP_VALUE, clip.NORM_TYPE)


# ``value`` clips every entry, ``norm`` the norm of each parameter's gradient on its own (both as Detectron2), ``full_model`` the norm of
# all gradients together (as its DETR-style projects do).
CLIPPERS: Registry[Callable[[list[nn.Parameter], CfgNode], None]] = Registry(
    "SOLVER.CLIP_GRADIENTS.CLIP_TYPE",
    {"value": _clip_values, "norm": _clip_norms, "full_model": _clip_full_model},
)


def clip_gradients(optimizer: torch.optim.Optimizer, cfg: CfgNode) -> None:
    """Clip the gradients in place where SOLVER.CLIP_GRADIENTS asks for it."""
    clip = cfg.SOLVER.CLIP_GRADIENTS
    if clip.ENABLED:
        groups = optimizer.param_groups
        parameters = [p for group in groups for p in group["params"] if p.grad is not None]
        CLIPPERS.pick(clip.CLIP_TYPE)(parameters, clip)
