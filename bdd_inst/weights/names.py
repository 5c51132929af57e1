"""Other libraries' parameter names turned into Detectron2's: Caffe2/MSRA blobs, torchvision's ResNet and Mask R-CNN, timm, EfficientNet.

Input and output are plain dicts of name to tensor. Backbone names come out relative (``res2.0.conv1.weight``); ``align_names`` then
finds where the model keeps them (``backbone.bottom_up.`` with FPN).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bdd_inst.weights.efficientnet_names import is_efficientnet_pytorch, timm_names

# What DDP, AveragedModel, a LightningModule and torch.compile put before every name.
_WRAPPERS = re.compile(r"^(?:(?:module|model|_orig_mod)\.)+")
_BN_EPS = 1e-5

# Detectron's names of Caffe2 blobs: each is one of these stems and one of these endings.
_BLOB_ENDINGS = [
    (r"_bn_(?:running_mean|rm)", ".norm.running_mean"),
    (r"_bn_(?:running_var|riv)", ".norm.running_var"),
    (r"_(?:bn_s|bn_gamma|gn_s)", ".norm.weight"),
    (r"_(?:bn_b|bn_beta|gn_b)", ".norm.bias"),
    (r"_w", ".weight"),
    (r"_b", ".bias"),
]
_BLOB_STEMS = [
    (r"(?:res_)?conv1", r"stem.conv1"),
    (r"res(\d)_(\d+)_branch1", r"res\1.\2.shortcut"),
    (r"res(\d)_(\d+)_branch2a", r"res\1.\2.conv1"),
    (r"res(\d)_(\d+)_branch2b", r"res\1.\2.conv2"),
    (r"res(\d)_(\d+)_branch2c", r"res\1.\2.conv3"),
    (r"fpn_inner_res(\d)_\d+_sum(?:_lateral)?", r"backbone.fpn_lateral\1"),
    (r"fpn_res(\d)_\d+_sum", r"backbone.fpn_output\1"),
    (r"conv_rpn(?:_fpn\d)?", r"proposal_generator.rpn_head.conv"),
    (r"rpn_cls_logits(?:_fpn\d)?", r"proposal_generator.rpn_head.objectness_logits"),
    (r"rpn_bbox_pred(?:_fpn\d)?", r"proposal_generator.rpn_head.anchor_deltas"),
    (r"fc6", r"roi_heads.box_head.fc1"),
    (r"fc7", r"roi_heads.box_head.fc2"),
    (r"head_conv(\d)", r"roi_heads.box_head.conv\1"),
    (r"(cls_score|bbox_pred)", r"roi_heads.box_predictor.\1"),
    (r"_\[mask\]_fcn(\d)", r"roi_heads.mask_head.mask_fcn\1"),
    (r"conv5_mask", r"roi_heads.mask_head.deconv"),
    (r"mask_fcn_logits", r"roi_heads.mask_head.predictor"),
]
# torchvision numbers its pyramid from 0, Detectron2 names the level: the map of stride 4 is number 2. Heads with norms
# (maskrcnn_resnet50_fpn_v2) have a convolution and its norm at 0 and 1 of each place.
_TORCHVISION_DETECTOR = [
    (
        r"backbone\.fpn\.inner_blocks\.(\d)(?:\.0)?\.(weight|bias)",
        lambda m: f"backbone.fpn_lateral{int(m[1]) + 2}.{m[2]}",
    ),
    (
        r"backbone\.fpn\.layer_blocks\.(\d)(?:\.0)?\.(weight|bias)",
        lambda m: f"backbone.fpn_output{int(m[1]) + 2}.{m[2]}",
    ),
    (
        r"backbone\.fpn\.inner_blocks\.(\d)\.1\.(.+)",
        lambda m: f"backbone.fpn_lateral{int(m[1]) + 2}.norm.{m[2]}",
    ),
    (
        r"backbone\.fpn\.layer_blocks\.(\d)\.1\.(.+)",
        lambda m: f"backbone.fpn_output{int(m[1]) + 2}.norm.{m[2]}",
    ),
    (r"rpn\.head\.conv\.(weight|bias)", r"proposal_generator.rpn_head.conv.\1"),
    (r"rpn\.head\.conv\.(\d)\.0\.(weight|bias)", r"proposal_generator.rpn_head.conv.conv\1.\2"),
    (r"rpn\.head\.cls_logits\.(.+)", r"proposal_generator.rpn_head.objectness_logits.\1"),
    (r"rpn\.head\.bbox_pred\.(.+)", r"proposal_generator.rpn_head.anchor_deltas.\1"),
    (
        r"roi_heads\.box_head\.fc([67])\.(.+)",
        lambda m: f"roi_heads.box_head.fc{int(m[1]) - 5}.{m[2]}",
    ),
    (
        r"roi_heads\.box_head\.(\d)\.0\.(weight|bias)",
        lambda m: f"roi_heads.box_head.conv{int(m[1]) + 1}.{m[2]}",
    ),
    (
        r"roi_heads\.box_head\.(\d)\.1\.(.+)",
        lambda m: f"roi_heads.box_head.conv{int(m[1]) + 1}.norm.{m[2]}",
    ),
    (r"roi_heads\.box_head\.\d\.(weight|bias)", r"roi_heads.box_head.fc1.\1"),
    (r"roi_heads\.mask_head\.mask_fcn(\d)\.(.+)", r"roi_heads.mask_head.mask_fcn\1.\2"),
    (
        r"roi_heads\.mask_head\.(\d)\.0\.(weight|bias)",
        lambda m: f"roi_heads.mask_head.mask_fcn{int(m[1]) + 1}.{m[2]}",
    ),
    (
        r"roi_heads\.mask_head\.(\d)\.1\.(.+)",
        lambda m: f"roi_heads.mask_head.mask_fcn{int(m[1]) + 1}.norm.{m[2]}",
    ),
    (r"roi_heads\.mask_predictor\.conv5_mask\.(.+)", r"roi_heads.mask_head.deconv.\1"),
    (r"roi_heads\.mask_predictor\.mask_fcn_logits\.(.+)", r"roi_heads.mask_head.predictor.\1"),
]


@dataclass(slots=True)
class NamedWeights:
    """Tensors under Detectron2's names. ``kind`` says whose names they were, ``origin`` maps each to its name in the file."""

    tensors: dict[str, Tensor]
    kind: str
    origin: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def to_detectron2_names(
    state: Mapping[str, Tensor], author: str = "", timm: Mapping[str, str] | None = None
) -> NamedWeights:
    """Rename tensors, of any shape and dtype, and reorder class rows where the background stood first; names nobody knows stay as they are.

    ``author`` is what the file says of itself: Detectron2's converter of torchvision backbones renames them and signs ``torchvision``.
    ``timm``, for a model with a backbone of timm: its ``features_only`` names -> the model's.
    """
    bare = {_WRAPPERS.sub("", name): name for name in state}
    if is_efficientnet_pytorch(bare):
        renamed = timm_names({name: state[original] for name, original in bare.items()})
        bare = {renamed[name]: original for name, original in bare.items()}
    if timm and any(_from_timm(name, timm) for name in bare):
        renamed = {name: _from_timm(name, timm) or name for name in bare}
        tensors = {new: state[bare[name]] for name, new in renamed.items()}
        return NamedWeights(tensors, "timm", {new: bare[name] for name, new in renamed.items()})
    style = naming_style(bare)
    rename = {
        "caffe2": _from_blob,
        "torchvision maskrcnn": _from_torchvision_detector,
        "torchvision resnet": _from_torchvision_resnet,
    }
    convert = rename.get(style, lambda name: name)
    out = NamedWeights({}, style)
    for name, original in bare.items():
        # The optimizer's state, kept beside each blob.
        if style == "caffe2" and name.endswith("_momentum"):
            continue
        new = convert(name)
        out.tensors[new], out.origin[new] = state[original], original
    if style == "torchvision maskrcnn":
        _single_rpn_conv(out)
        # Newer detectors name their single convolution conv.0.0; only the first ones were trained with eps 0.
        if "rpn.head.conv.weight" in bare:
            _undo_zero_eps(out)
    if style in ("caffe2", "torchvision maskrcnn"):
        _background_last(out)
    if style == "detectron2" and author == "torchvision":
        out.kind = "torchvision resnet"
    return out


def _from_timm(name: str, places: Mapping[str, str]) -> str | None:
    """The model's name for a tensor of a whole timm model; its ``features_only`` form writes ``stages.0`` as ``stages_0``."""
    return places.get(name) or places.get(name.replace(".", "_", 1))


def naming_style(names: Iterable[str]) -> str:
    """``caffe2``, ``torchvision maskrcnn``, ``torchvision resnet`` or ``detectron2``, from the names alone."""
    names = set(names)
    if any(re.fullmatch(r"res\d_\d+_branch\w+", name) for name in names):
        return "caffe2"
    if any(name.startswith(("backbone.body.", "rpn.head.")) for name in names):
        return "torchvision maskrcnn"
    if any(re.match(r"layer\d\.\d+\.conv\d\.", name) for name in names):
        return "torchvision resnet"
    return "detectron2"


def _from_blob(name: str) -> str:
    for ending, new_ending in _BLOB_ENDINGS:
        for stem, new_stem in _BLOB_STEMS:
            match = re.fullmatch(stem + ending, name)
            if match:
                return match.expand(new_stem) + new_ending
    return name


def _from_torchvision_resnet(name: str) -> str:
    match = re.fullmatch(r"(?:layer(\d)\.(\d+)\.)?(conv|bn)(\d)\.(.+)", name)
    if match:
        block = f"res{int(match[1]) + 1}.{match[2]}" if match[1] else "stem"
        return f"{block}.conv{match[4]}{'.norm' if match[3] == 'bn' else ''}.{match[5]}"
    match = re.fullmatch(r"layer(\d)\.(\d+)\.downsample\.([01])\.(.+)", name)
    if match:
        return f"res{int(match[1]) + 1}.{match[2]}.shortcut{'.norm' if match[3] == '1' else ''}.{match[4]}"
    return name


def _from_torchvision_detector(name: str) -> str:
    if name.startswith("backbone.body."):
        return _from_torchvision_resnet(name.removeprefix("backbone.body."))
    for pattern, new in _TORCHVISION_DETECTOR:
        match = re.fullmatch(pattern, name)
        if match:
            return new(match) if callable(new) else match.expand(new)
    return name


def _single_rpn_conv(weights: NamedWeights) -> None:
    """One convolution is ``conv`` in Detectron2, several are ``conv.conv0``, ``conv.conv1``."""
    head = "proposal_generator.rpn_head.conv."
    if head + "conv1.weight" not in weights.tensors:
        for end in ("weight", "bias"):
            if f"{head}conv0.{end}" in weights.tensors:
                _rename(weights, f"{head}conv0.{end}", head + end)


def _rename(weights: NamedWeights, old: str, new: str) -> None:
    weights.tensors[new] = weights.tensors.pop(old)
    weights.origin[new] = weights.origin.pop(old)


def _undo_zero_eps(weights: NamedWeights) -> None:
    """torchvision's COCO_V1 detectors (the files that still name ``rpn.head.conv.weight``) normalize with eps 0; ours is 1e-5."""
    for name, tensor in weights.tensors.items():
        if name.endswith("norm.running_var"):
            # var + 0 there is (var - eps) + eps here.
            weights.tensors[name] = tensor - _BN_EPS
    weights.notes.append(
        "torchvision COCO_V1 detector: running_var lowered by 1e-5, because it was trained with eps 0"
    )


def _background_last(weights: NamedWeights) -> None:
    """Class 0 is the background there; here it is the last score, and boxes and masks have no row for it."""
    tensors = weights.tensors
    classes = tensors.get("roi_heads.box_predictor.cls_score.weight")
    if classes is None:
        return
    for end in ("weight", "bias"):
        score, box = (
            f"roi_heads.box_predictor.cls_score.{end}",
            f"roi_heads.box_predictor.bbox_pred.{end}",
        )
        mask = f"roi_heads.mask_head.predictor.{end}"
        if score in tensors:
            # Scores keep the background, moved to the end; boxes and masks of it predict nothing and are dropped.
            tensors[score] = torch.cat([tensors[score][1:], tensors[score][:1]])
        if box in tensors and len(tensors[box]) == 4 * len(classes):
            tensors[box] = tensors[box][4:]
        if mask in tensors and len(tensors[mask]) == len(classes):
            tensors[mask] = tensors[mask][1:]


def align_names(weights: NamedWeights, model_names: Iterable[str]) -> dict[str, str]:
    """Model name -> name among ``weights`` for every parameter that the file has.

    Equal names first. Otherwise a file name that is a whole-word ending of a model name fits it, the longest one winning
    (Detectron2's rule for backbone files: ``res2.0.conv1.weight`` fits ``backbone.bottom_up.res2.0.conv1.weight``);
    an ending that would fit several model parameters fits none.
    """
    model_names = list(model_names)
    pairs = {name: name for name in model_names if name in weights.tensors}
    taken = set(pairs)
    claims: dict[str, list[str]] = {}
    for name in model_names:
        if name in pairs:
            continue
        parts = name.split(".")
        # From the longest ending down, at least two parts: ``weight`` alone would fit every layer.
        for start in range(1, len(parts) - 1):
            ending = ".".join(parts[start:])
            if ending in weights.tensors and ending not in taken:
                claims.setdefault(ending, []).append(name)
                break
    pairs.update({names[0]: ending for ending, names in claims.items() if len(names) == 1})
    return pairs
