"""Encoders and decoders of segmentation-models-pytorch, taken apart into a backbone and a head; nothing is downloaded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

from fvcore.common.config import CfgNode
from torch import nn

from bdd_inst.base.errors import ConfigError
from bdd_inst.modeling.backbones.timm_backbone import TIMM_ERRORS

# Which argument of each architecture MODEL.SEM_SEG_HEAD.DECODER_CHANNELS sets.
WIDTHS = {
    "Unet": "decoder_channels",
    "DeepLabV3": "decoder_channels",
    "DeepLabV3Plus": "decoder_channels",
    "FPN": "decoder_segmentation_channels",
    "Segformer": "decoder_segmentation_channels",
}
UNET_WIDTHS = (256, 128, 64, 32, 16)


def import_smp() -> ModuleType:
    """The package.

    Raises:
        ConfigError: it is not installed, or does not load.
    """
    try:
        with warnings.catch_warnings():
            # Newer torch deprecates the scripting that timm does on import.
            warnings.simplefilter("ignore", FutureWarning)
            import segmentation_models_pytorch as smp
    except ImportError as error:
        raise ConfigError(
            f"MODEL.SEM_SEG_HEAD needs segmentation-models-pytorch, which does not load ({error}); "
            "pip install 'segmentation-models-pytorch>=0.5'"
        ) from None
    return smp


@dataclass(frozen=True)
class EncoderOptions:
    """Which encoder, and for what.

    Attributes:
        architecture: the name of MODEL.SEM_SEG_HEAD that it serves.
        name: of segmentation-models-pytorch, or with ``tu-`` before it of timm.
        depth: how many of its features are used.
    """

    architecture: str
    name: str
    depth: int = 5

    @classmethod
    def from_config(cls, cfg: CfgNode) -> EncoderOptions:
        """By MODEL.SEM_SEG_HEAD."""
        options = cfg.MODEL.SEM_SEG_HEAD
        return cls(options.NAME, options.ENCODER, options.ENCODER_DEPTH)


def build_network(
    options: EncoderOptions, num_classes: int, decoder_widths: Sequence[int] = ()
) -> nn.Module:
    """A model of the library with random weights: ``encoder``, ``decoder``, ``segmentation_head``.

    The encoder gains ``size_divisibility``, which the sides of the input must be multiples of, and ``freeze_parts``, the parameter
    names of the five parts that MODEL.BACKBONE.FREEZE_AT counts (None where its layout is not known).

    Args:
        num_classes: planes of logits.
        decoder_widths: of Unet's decoder, coarsest first; one number for the others; empty for their own.

    Raises:
        ConfigError: no such encoder, or it cannot serve this architecture.
    """
    smp, widths = import_smp(), list(decoder_widths)
    # No weights: they come from MODEL.WEIGHTS, where the library would download them.
    arguments: dict = {
        "encoder_name": options.name,
        "encoder_depth": options.depth,
        "encoder_weights": None,
    }
    if options.architecture == "Unet":
        arguments["decoder_channels"] = widths or UNET_WIDTHS[: options.depth]
    elif widths:
        arguments[WIDTHS[options.architecture]] = widths[0]
    build = getattr(smp, options.architecture)
    network = _built(options, lambda: build(classes=num_classes, **arguments))
    _prepare(network.encoder, options.depth)
    return network


def build_encoder(options: EncoderOptions) -> nn.Module:
    """The encoder alone, as :func:`build_network` has it; ``out_channels`` are those of the image and of each stride."""
    smp = import_smp()
    encoder = _built(
        options,
        lambda: smp.encoders.get_encoder(options.name, depth=options.depth, weights=None),
    )
    _prepare(encoder, options.depth)
    return encoder


def _built(options: EncoderOptions, build: Callable[[], nn.Module]) -> nn.Module:
    _check_name(import_smp(), options.name)
    try:
        return build()
    except TIMM_ERRORS as error:
        reason = " ".join(str(error).split())[:160]
        raise ConfigError(
            f"MODEL.SEM_SEG_HEAD.ENCODER {options.name} cannot serve {options.architecture} at ENCODER_DEPTH {options.depth}: {reason}"
        ) from None


def _prepare(encoder: nn.Module, depth: int) -> None:
    drop_unused(encoder)
    encoder.size_divisibility = 2**depth
    encoder.freeze_parts = freeze_parts(encoder)


def timm_name(encoder: str) -> str | None:
    """``tf_efficientnet_lite0`` for ``tu-tf_efficientnet_lite0``; None for the library's own encoders.

    Args:
        encoder: of MODEL.SEM_SEG_HEAD.ENCODER.

    Returns:
        timm's name, or None.
    """
    return encoder.removeprefix("tu-") if encoder.startswith("tu-") else None


def _check_name(smp: ModuleType, name: str) -> None:
    if timm_name(name):
        import timm

        if timm.is_model(timm_name(name)):
            return
        near = [f"tu-{n}" for n in timm.list_models(f"{timm_name(name).split('.')[0][:8]}*")[:5]]
    else:
        known = smp.encoders.get_encoder_names()
        if name in known:
            return
        near = [n for n in known if n[:4] == name[:4]][:5]
    raise ConfigError(
        f"MODEL.SEM_SEG_HEAD.ENCODER {name!r} is neither an encoder of segmentation-models-pytorch nor, with tu- before it, a model "
        f"of timm; those that begin alike: {', '.join(near) or 'none'}"
    )


def taps(encoder: nn.Module) -> dict[int, str]:
    """Stride -> module (dotted, below ``encoder.model``) whose output is the feature of that stride; empty if it is not timm's."""
    info = getattr(getattr(encoder, "model", None), "feature_info", None)
    if info is None:
        return {}
    used = {int(i) for i in info.out_indices}
    return {
        int(entry["reduction"]): entry["module"]
        for index, entry in enumerate(info.info)
        if index in used
    }


def drop_unused(encoder: nn.Module) -> None:
    """timm's EfficientNets and MobileNets keep the blocks beyond the last feature: parameters that would never learn."""
    last = max(taps(encoder).items(), default=(0, ""))[1]
    blocks = getattr(getattr(encoder, "model", None), "blocks", None)
    if isinstance(blocks, nn.Sequential) and last.startswith("blocks."):
        encoder.model.blocks = blocks[: int(last.split(".")[1]) + 1]


def freeze_parts(encoder: nn.Module) -> list[set[str]] | None:
    """Parameter names of the stem (all before the block of stride 4) and of the parts that end with strides 4, 8, 16 and 32."""
    names = [name for name, _ in encoder.named_parameters()]
    modules = {stride: f"model.{module}" for stride, module in taps(encoder).items() if stride >= 4}
    if not modules and all(hasattr(encoder, f"layer{i}") for i in range(1, 5)):
        modules = {2 ** (i + 1): f"layer{i}" for i in range(1, 5)}
    if 4 not in modules:
        return None
    parts, start = [], _places(names, modules[4])[0]
    parts.append(set(names[:start]))
    for _, module in sorted(modules.items()):
        # Parameters are listed in the order of computation: a part is what lies between two features.
        end = _places(names, module)[-1] + 1
        parts.append(set(names[start:end]))
        start = end
    return parts


def _places(names: list[str], module: str) -> list[int]:
    """Where the parameters of a module stand; timm writes ``stages.0`` as ``stages_0`` where it flattens."""
    flat = "model." + module.removeprefix("model.").replace(".", "_", 1)
    found = [i for i, n in enumerate(names) if n.startswith((f"{module}.", f"{flat}."))]
    return found or [0]
