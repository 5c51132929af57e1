"""Backbones from timm (ConvNeXt, Swin, EfficientNet, ResNet variants, ...) cut into ``stem``, ``res2`` ... ``res5`` for the FPN."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from types import ModuleType

import torch
from fvcore.common.config import CfgNode
from torch import Tensor, nn

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.loading import get_cfg

STRIDES = {4: "res2", 8: "res3", 16: "res4", 32: "res5"}
# An image size that the backbone's strides divide and no window or position table was made for.
PROBE = (96, 160)
# What timm, and a library built on it, raise for a model that cannot do what is asked of it; they document none.
TIMM_ERRORS = (
    RuntimeError,
    AssertionError,
    TypeError,
    ValueError,
    AttributeError,
    KeyError,
    NotImplementedError,
)

logger = logging.getLogger(__name__)


class TimmBackbone(nn.Module):
    """A timm model without its classifier, its modules kept whole under the parts of a ResNet in Detectron2's layout.

    ``stem`` holds all that lies before the module whose output has stride 4; each of ``res2`` ... ``res5`` ends with the module
    that gives the feature of that stride. FREEZE_AT, layer decay and patterns such as ``backbone.bottom_up.res5.*`` therefore
    mean what they mean for a ResNet. Within a part the names are timm's: ``res2.stages_0.blocks.0.conv_dw.weight``.

    Attributes:
        channels, strides: by part name.
        norm_features: whether the FPN should norm what it is given: blocks normed before their residual sum (ConvNeXt, Swin) leave
            features of any scale, and the detectors of both papers put a layer norm on each.
    """

    def __init__(self, body: nn.Module):
        super().__init__()
        taps = _taps(body)
        self.channels = {STRIDES[stride]: channels for stride, channels in taps.values()}
        self.strides = {part: stride for stride, part in STRIDES.items()}
        self.out_features = tuple(STRIDES.values())
        self.norm_features = any(isinstance(module, nn.LayerNorm) for module in body.modules())
        self.feature_last = str(getattr(body.output_fmt, "value", body.output_fmt)) == "NHWC"
        waiting: dict[str, nn.Module] = {}
        for child, module in body.named_children():
            # What comes before the first feature is the stem; what comes between two belongs to the later one.
            if child in taps and taps[child][0] == 4:
                self.stem, waiting = _chain(waiting), {}
            waiting[child] = module
            if child in taps:
                self.add_module(STRIDES[taps[child][0]], _chain(waiting))
                waiting = {}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """N,3,H,W to N,C,H/stride,W/stride by part name, in the precision of ``x``."""
        if x.dtype == torch.float32 or torch.is_autocast_enabled(x.device.type):
            return self._features(x)
        # timm's layers do not convert their weights to the precision of the input, as ours do; autocast does it,
        # and leaves in float32 what needs it.
        with torch.autocast(x.device.type, x.dtype):
            return {
                name: feature.to(x.dtype) for name, feature in self._features(x.float()).items()
            }

    def _features(self, x: Tensor) -> dict[str, Tensor]:
        x = self.stem(x)
        out = {}
        for part in self.out_features:
            x = getattr(self, part)(x)
            out[part] = x.permute(0, 3, 1, 2) if self.feature_last else x
        return out

    def timm_names(self) -> Iterator[tuple[str, str]]:
        """timm's name (its ``features_only`` form) and ours, relative to this module, of every tensor of the state dict."""
        for name in self.state_dict():
            yield name.split(".", 1)[1], name


def build_timm(name: str, norm: str) -> TimmBackbone:
    """A model of timm with random weights; nothing is downloaded.

    Args:
        name: as ``timm.create_model`` takes it.
        norm: what becomes of its batch norms, if it has any: FrozenBN, BN or SyncBN. Other norms stay as they are.

    Raises:
        ConfigError: timm is not installed, has no such model, or its features do not suit an FPN.
    """
    return TimmBackbone(_with_norm(_create(_timm(), name), norm))


def timm_from_config(cfg: CfgNode) -> TimmBackbone:
    """The model of MODEL.BACKBONE.TIMM_NAME, its batch norms by MODEL.RESNETS.NORM."""
    backbone = build_timm(cfg.MODEL.BACKBONE.TIMM_NAME, cfg.MODEL.RESNETS.NORM)
    _warn_unused(cfg)
    return backbone


def preprocessing(name: str) -> tuple[list[float], list[float]]:
    """PIXEL_MEAN and PIXEL_STD on 0..255, RGB, that timm's weights of a model were trained with.

    Args:
        name: of a model of timm.

    Returns:
        three means and three deviations.
    """
    found = _timm().get_pretrained_cfg(name)
    return ([255 * v for v in found.mean], [255 * v for v in found.std])


def _timm() -> ModuleType:
    try:
        with warnings.catch_warnings():
            # Newer torch deprecates the scripting that timm does on import.
            warnings.simplefilter("ignore", FutureWarning)
            import timm
    except ImportError as error:
        reason = (
            "timm is not installed"
            if getattr(error, "name", "") == "timm"
            else f"timm does not load ({error})"
        )
        raise ConfigError(
            f"MODEL.BACKBONE.NAME build_timm_fpn_backbone: {reason}; pip install timm"
        ) from None
    return timm


def _create(timm: ModuleType, name: str) -> nn.Module:
    """``features_only`` with its modules as a plain sequence; sliding windows take images of any size."""
    if not timm.is_model(name):
        near = timm.list_models(f"{name.split('.')[0][:8]}*")[:5]
        hint = (
            f"those that begin alike: {', '.join(near)}"
            if near
            else "timm.list_models() names them"
        )
        raise ConfigError(
            f"MODEL.BACKBONE.TIMM_NAME {name!r} is no model of timm {timm.__version__}; {hint}"
        )
    options: dict = {"pretrained": False, "features_only": True}
    if name.startswith("swin") and "cr" not in name.split("_")[0:2]:
        # Windows keep their size and their shift at every image size, as in the paper's detectors.
        options |= {"strict_img_size": False, "always_partition": True}
    try:
        body = timm.create_model(name, **options)
    except TIMM_ERRORS as error:
        raise _refusal(name, f"timm gives no features of its stages ({_one_line(error)})") from None
    _check_strides(body, name)
    # EfficientNets have a class of their own; asked for as a plain sequence they give what is needed.
    if not hasattr(body, "return_layers"):
        try:
            body = timm.create_model(
                name, **options, feature_cfg={"feature_cls": "list", "flatten_sequential": True}
            )
        except TIMM_ERRORS:
            body = None
        # A class of its own again, HRNet's in older versions.
        if not hasattr(body, "return_layers"):
            raise _refusal(name, "its stages do not follow one another as modules")
        _check_strides(body, name)
    _check_sizes(body, name)
    return body


def _check_strides(body: nn.Module, name: str) -> None:
    strides = sorted(set(body.feature_info.reduction()))
    if not set(STRIDES) <= set(strides):
        raise _refusal(
            name,
            f"its features have strides {', '.join(map(str, strides))}, an FPN needs 4, 8, 16 and 32",
        )


def _check_sizes(body: nn.Module, name: str) -> None:
    """Transformers whose attention or positions are made for one image size cannot see images of every size: try one."""
    training = body.training
    try:
        with torch.no_grad():
            # In evaluation mode: zeros must not enter the running statistics.
            body.eval()(torch.zeros(1, 3, *PROBE))
    except TIMM_ERRORS as error:
        raise _refusal(
            name, f"it does not take images of every size ({_one_line(error)})"
        ) from None
    body.train(training)


def _refusal(name: str, reason: str) -> ConfigError:
    return ConfigError(
        f"MODEL.BACKBONE.TIMM_NAME {name}: {reason}; models such as convnext, swin, efficientnet, regnet and resnet will do"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


def _taps(body: nn.Module) -> dict[str, tuple[int, int]]:
    """Module -> (stride, channels) of the features at strides 4, 8, 16 and 32, in the order of computation."""
    facts = zip(body.feature_info.reduction(), body.feature_info.channels(), strict=True)
    found = dict(zip(body.return_layers, facts, strict=True))
    # Where several modules give one stride, the last of them has seen the most.
    last = {stride: module for module, (stride, _) in found.items() if stride in STRIDES}
    return {module: found[module] for module in last.values()}


def _with_norm(body: nn.Module, norm: str) -> nn.Module:
    from timm.layers import convert_sync_batchnorm, freeze_batch_norm_2d

    if norm == "FrozenBN":
        return freeze_batch_norm_2d(body)
    return convert_sync_batchnorm(body) if norm in ("SyncBN", "nnSyncBN") else body


def _warn_unused(cfg: CfgNode) -> None:
    """Keys of the ResNet that a config sets have no meaning here: say so rather than drop them in silence."""
    default = get_cfg().MODEL.RESNETS
    unused = [
        key
        for key in default
        if key not in ("NORM", "OUT_FEATURES") and cfg.MODEL.RESNETS[key] != default[key]
    ]
    if unused:
        keys = ", ".join(f"MODEL.RESNETS.{key}" for key in unused)
        logger.warning(
            "MODEL.BACKBONE.TIMM_NAME %s says what is built, without effect: %s",
            cfg.MODEL.BACKBONE.TIMM_NAME,
            keys,
        )


def _chain(modules: dict[str, nn.Module]) -> nn.Sequential:
    chain = nn.Sequential()
    for name, module in modules.items():
        chain.add_module(name, module)
    return chain
