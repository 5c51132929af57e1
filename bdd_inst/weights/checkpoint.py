"""Weights in and out of a model: every file format we know, and a report of what fitted and what did not.

Reading never executes a file: ``.pkl`` goes through ``unpickle.load_arrays``, torch files through ``torch.load(weights_only=True)``.
Writing uses Detectron2's parameter names, so that ``model_final.pth`` loads in either engine.
"""

from __future__ import annotations

import logging
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np
import torch
from fvcore.common.config import CfgNode
from torch import Tensor, nn

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.modeling.backbones.timm_backbone import TimmBackbone
from bdd_inst.modeling.layers.norms import FrozenBatchNorm2d
from bdd_inst.weights.advice import advice
from bdd_inst.weights.files import FROM_SCRATCH, find_weights
from bdd_inst.weights.load_report import LoadReport
from bdd_inst.weights.names import NamedWeights, align_names, to_detectron2_names
from bdd_inst.weights.reader import read_weights

# Their first dimension is the number of classes (times four, plus background); cascades number their predictors.
CLASS_LAYERS = re.compile(
    r"roi_heads\.(?:box_predictor\.(?:\d\.)?(?:cls_score|bbox_pred)|mask_head\.predictor)\."
    r"|sem_seg_head\.(?:predictor|segmentation_head\.0|classifier\.3)\."
)
# In a file without being part of what is learned: counters, buffers rebuilt from the config, the ImageNet classifier.
_NOT_LEARNED = (
    "num_batches_tracked",
    "pixel_mean",
    "pixel_std",
    "attn_mask",
    "relative_position_index",
    "relative_coords_table",
)
_IMAGENET_CLASSIFIER = (
    "fc1000_w",
    "fc1000_b",
    "fc1000.weight",
    "fc1000.bias",
    "pred_w",
    "pred_b",
    "fc.weight",
    "fc.bias",
)
_IMAGENET_CLASSIFIER += ("linear.weight", "linear.bias", "stem.fc.weight", "stem.fc.bias")

logger = logging.getLogger(__name__)


def load_weights(
    model: nn.Module, source: str | os.PathLike, cfg: CfgNode | None = None
) -> LoadReport:
    """Load MODEL.WEIGHTS into ``model`` and log what fitted.

    Args:
        model: parameters under Detectron2's names; DDP and torch.compile wrappers are looked through.
        source: a path, ``https://`` or ``detectron2://``; formats as in :mod:`bdd_inst.weights.reader`. "" loads nothing (from scratch).
        cfg: if given, preprocessing that does not suit the weights (pixel mean, channel order, stride placement) is named in the report.

    Returns:
        The report. Parameters not in ``report.loaded`` keep the values the model had.

    Raises:
        DataError: the file is missing, damaged, holds more than weights, or nothing in it fits the model.
    """
    if not os.fspath(source):
        return _from_scratch(model, cfg)
    path = find_weights(source)
    found = read_weights(path)
    weights = to_detectron2_names(found.tensors, found.author, timm_places(model))
    weights.notes += found.notes
    report = apply_weights(model, weights, str(source))
    if cfg is not None:
        report.warnings += advice(cfg, weights)
    if not report.loaded:
        examples = ", ".join(weights.origin.get(name, name) for name in list(weights.tensors)[:3])
        shapes = (
            f"; those of known names have another shape, e.g. {report.mismatched[0]}"
            if report.mismatched
            else ""
        )
        count = len(weights.tensors)
        raise DataError(
            f"MODEL.WEIGHTS {source}: none of its {count} tensors fits the model (it has {examples}, ...){shapes}"
        )
    report.log(logger)
    return report


def _from_scratch(model: nn.Module, cfg: CfgNode | None) -> LoadReport:
    """No weights: warn where the backbone could not learn its way out of its random start."""
    report = LoadReport("from scratch", "")
    timm = bool(timm_places(model))
    if (
        cfg is not None
        and not hasattr(getattr(unwrap(model), "backbone", None), "freeze_parts")
        and cfg.MODEL.RESNETS.NORM == "FrozenBN"
        and not (timm and not _has_batch_norm(model))
    ):
        needed = FROM_SCRATCH.replace("GN", "BN") if timm else FROM_SCRATCH
        report.warnings.append(
            f"MODEL.RESNETS.NORM FrozenBN cannot learn; training from scratch needs {needed}"
        )
    elif cfg is not None and cfg.MODEL.BACKBONE.FREEZE_AT > 0:
        report.warnings.append(
            f"MODEL.BACKBONE.FREEZE_AT {cfg.MODEL.BACKBONE.FREEZE_AT} freezes random layers; from scratch needs 0"
        )
    report.log(logger)
    return report


def apply_weights(model: nn.Module, weights: NamedWeights, source: str = "weights") -> LoadReport:
    """Copy what fits by name and shape into ``model``; say what happened to every other parameter and tensor."""
    model = unwrap(model)
    own = model.state_dict()
    pairs = align_names(weights, own)
    report = LoadReport(source, weights.kind, notes=list(weights.notes))
    chosen: dict[str, Tensor] = {}
    for name, file_name in pairs.items():
        tensor = weights.tensors[file_name]
        if tensor.shape == own[name].shape:
            chosen[name] = tensor
        # Another number of classes: fine-tuning on other data, where a fresh layer is meant. Any other difference
        # is a fault.
        elif CLASS_LAYERS.match(name) and tensor.shape[1:] == own[name].shape[1:]:
            report.reinitialized.append(
                f"{name} ({_shape(tensor)} in the file, {_shape(own[name])} here)"
            )
        else:
            report.mismatched.append(
                f"{name} ({_shape(tensor)} in the file, {_shape(own[name])} here)"
            )
    _fill_norm_statistics(model, own, pairs=pairs, chosen=chosen, report=report)
    # Not strict: what is missing has been reported above, by kind, and keeps its values.
    model.load_state_dict(chosen, strict=False)
    report.loaded = sorted(chosen)
    report.missing = [
        name
        for name in own
        if name not in pairs and name not in chosen and not name.endswith(_NOT_LEARNED)
    ]
    for name in sorted(weights.tensors.keys() - set(pairs.values())):
        original = weights.origin.get(name, name)
        (
            report.ignored
            if _is_not_learned(name) or _is_timm_head(name, weights, own)
            else report.unexpected
        ).append(original)
    return report


def save_weights(
    model: nn.Module, path: str | os.PathLike, extra: Mapping[str, object] | None = None
) -> None:
    """Write the model's weights, float and contiguous on the CPU, atomically.

    Args:
        model: DDP and torch.compile wrappers are looked through.
        path: ``.pth`` is ``{"model": tensors}``, which Detectron2's checkpointer reads; ``.pkl`` is its model-zoo form with NumPy arrays.
        extra: entries beside the tensors, plain types only (:meth:`bdd_inst.weights.trained.Identity.entry`).

    Raises:
        OSError: it could not be written; a file of that name is left as it was.
    """
    state = {
        # A file must not depend on a GPU, nor hold the whole storage of which a tensor is a view.
        name: tensor.detach().cpu().contiguous()
        for name, tensor in unwrap(model).state_dict().items()
    }
    about = {"__author__": "bdd_inst", **(extra or {})}
    with atomic_write(path, "wb") as stream:
        if Path(path).suffix == ".pkl":
            arrays = {
                # NumPy has no bfloat16, and Detectron2's model zoo is float32.
                name: np.asarray(tensor.float() if tensor.is_floating_point() else tensor)
                for name, tensor in state.items()
            }
            pickle.dump({"model": arrays, **about}, stream, protocol=4)
        else:
            save_to({"model": state, **about}, stream)


def save_to(state: dict, stream: IO[bytes]) -> None:
    """``torch.save``, with the system's own error where writing fails: torch answers a full disk with a RuntimeError of its own.

    Args:
        state: tensors and plain values.
        stream: open for writing bytes.

    Raises:
        OSError: a full disk and the like.
    """
    try:
        torch.save(state, stream)
    except RuntimeError as error:
        cause = error.__context__
        if isinstance(cause, OSError):
            raise cause from None
        raise


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside DistributedDataParallel and torch.compile wrappers."""
    while True:
        if isinstance(model, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
            model = model.module
        # torch.compile's wrapper.
        elif hasattr(model, "_orig_mod"):
            model = model._orig_mod
        else:
            return model


def _fill_norm_statistics(
    model: nn.Module,
    own: dict[str, Tensor],
    pairs: dict[str, str],
    chosen: dict[str, Tensor],
    report: LoadReport,
) -> None:
    """Caffe2 backbones hold each norm's scale and shift with the statistics folded in: mean 0 and variance 1 complete them."""
    filled = 0
    for name in own:
        module, _, end = name.rpartition(".")
        if (
            end in ("running_mean", "running_var")
            and name not in pairs
            and f"{module}.weight" in chosen
        ):
            chosen[name] = (
                torch.zeros_like(own[name]) if end == "running_mean" else torch.ones_like(own[name])
            )
            filled += end == "running_mean"
            if (
                isinstance(model.get_submodule(module), nn.modules.batchnorm._BatchNorm)
                and filled == 1
            ):
                report.warnings.append(
                    "the file has no BatchNorm statistics (they are folded into scale and shift), which suits MODEL.RESNETS.NORM FrozenBN; "
                    "a BN or SyncBN must be trained before it is evaluated"
                )
    if filled:
        report.notes.append(f"{filled} norms had scale and shift only: mean 0, variance 1")


def _is_not_learned(name: str) -> bool:
    return (
        name.endswith(_NOT_LEARNED)
        or name in _IMAGENET_CLASSIFIER
        or ".cell_anchors." in name
        or name == "stem.conv1.bias"
    )


def timm_places(model: nn.Module) -> dict[str, str]:
    """timm's names -> the model's for a backbone or encoder of timm; empty for any other."""
    places: dict[str, str] = {}
    for name, module in unwrap(model).named_modules():
        if isinstance(module, TimmBackbone):
            places |= {theirs: f"{name}.{ours}".lstrip(".") for theirs, ours in module.timm_names()}
        elif hasattr(module, "feature_info") and not places:
            # What segmentation-models-pytorch keeps of timm, with its names.
            places |= {theirs: f"{name}.{theirs}".lstrip(".") for theirs in module.state_dict()}
    return places


def _is_timm_head(name: str, weights: NamedWeights, own: dict[str, Tensor]) -> bool:
    """Whether a tensor of a whole timm model lies outside the modules that make features: its last norm and its classifier."""
    if weights.kind != "timm":
        return False
    used = {
        part
        for theirs in own
        for prefix, place in (("backbone.bottom_up.", 3), ("backbone.model.", 2))
        if theirs.startswith(prefix)
        for part in theirs.split(".")[place : place + 1]
    }
    top = name.split(".")[0]
    return not any(part == top or part.startswith(f"{top}_") for part in used)


def _has_batch_norm(model: nn.Module) -> bool:
    kinds = (nn.modules.batchnorm._BatchNorm, FrozenBatchNorm2d)
    return any(
        isinstance(module, kinds) or "FrozenBatchNorm" in type(module).__name__
        for module in model.modules()
    )


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
