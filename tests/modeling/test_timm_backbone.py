"""Backbones of timm against timm itself: the same features from the same file, cut into the parts that freezing and layer decay know."""

from __future__ import annotations

import builtins
import re

import pytest
import torch
from torch import nn

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.modeling.freeze import set_trainable
from bdd_inst.modeling.layers.norms import LayerNorm2d
from bdd_inst.training.modes import train_mode
from bdd_inst.training.optim import layers_above, parameter_groups
from bdd_inst.weights.checkpoint import load_weights, save_weights
from tests.modeling.small import batch, config

TIMM = {"MODEL.BACKBONE.NAME": "build_timm_fpn_backbone", "MODEL.BACKBONE.FREEZE_AT": 0}
# Small models of each family: plain sequence, batch norms with activations, windows (NHWC), blocks in one Sequential.
MODELS = ["convnext_atto", "resnet18", "efficientnet_b0", "regnety_002", "mobilenetv3_small_050"]


def small(name: str, **changes):
    return config(
        keys=TIMM | {"MODEL.BACKBONE.TIMM_NAME": name} | changes.pop("keys", {}), **changes
    )


@pytest.fixture(scope="module")
def timm():
    return pytest.importorskip("timm", reason="timm is not installed (pip install timm)")


def classifier(timm, name: str, **options) -> nn.Module:
    """A whole timm model with statistics and layer scales that a wrong order or a missing tensor would show."""
    torch.manual_seed(1)
    model = timm.create_model(name, pretrained=False, **options).eval()
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if key.endswith("running_var"):
                tensor.uniform_(0.5, 2.0)
            elif key.endswith(("running_mean", "bias", "gamma")):
                tensor.normal_(0, 0.3)
    return model


def features_of(
    timm, model: nn.Module, name: str, x: torch.Tensor, **options
) -> list[torch.Tensor]:
    """timm's own features_only model with the classifier's weights: N,C,H,W of the last four stages."""
    reference = timm.create_model(name, pretrained=False, features_only=True, **options).eval()
    own = reference.state_dict()
    state = {
        key if key in own else key.replace(".", "_", 1): value
        for key, value in model.state_dict().items()
    }
    reference.load_state_dict({key: state[key] for key in own}, strict=True)
    with torch.no_grad():
        found = reference(x)[-4:]
    return [f.permute(0, 3, 1, 2) for f in found] if name.startswith("swin") else found


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("name", MODELS)
def test_a_timm_file_gives_timms_features(timm, tmp_path, name, suffix):
    theirs = classifier(timm, name)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(theirs.state_dict(), path)
    else:
        pytest.importorskip("safetensors.torch").save_file(theirs.state_dict(), path)
    model = build_model(small(name)).eval()
    report = load_weights(model, path)
    assert report.kind == "timm"
    assert not report.unexpected
    assert not report.mismatched
    assert not [key for key in report.missing if key.startswith("backbone.bottom_up.")]
    x = torch.randn(1, 3, 96, 160)
    with torch.no_grad():
        ours = model.backbone.bottom_up(x)
    assert list(ours) == ["res2", "res3", "res4", "res5"]
    for (part, mine), reference in zip(
        ours.items(), features_of(timm, theirs, name, x), strict=True
    ):
        assert mine.shape[1] == model.backbone.bottom_up.channels[part]
        assert mine.shape[2] == 96 // model.backbone.bottom_up.strides[part]
        torch.testing.assert_close(
            mine, reference, rtol=1e-4, atol=1e-4 * float(reference.abs().max())
        )


def test_swin_takes_any_size_as_if_built_for_it(timm, tmp_path):
    """Windows of 7 divide neither side of any stage: padded, shifted and masked as by a model made for that size."""
    name = "swin_tiny_patch4_window7_224"
    theirs = classifier(timm, name)
    torch.save(theirs.state_dict(), tmp_path / "swin.pth")
    model = build_model(small(name)).eval()
    load_weights(model, tmp_path / "swin.pth")
    x = torch.randn(1, 3, 256, 288)
    with torch.no_grad():
        ours = model.backbone.bottom_up(x)
    for mine, reference in zip(
        ours.values(), features_of(timm, theirs, name, x, img_size=(256, 288)), strict=True
    ):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["convnext_atto", "resnet18", "swin_tiny_patch4_window7_224"])
def test_it_trains_detects_and_comes_back_from_its_own_file(timm, tmp_path, name):
    torch.manual_seed(0)
    cfg = small(name)
    model = build_model(cfg)
    train_mode(model)
    sum(model(batch()).values()).backward()
    silent = [key for key, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not [key for key in silent if key.startswith("backbone.")]
    save_weights(model, tmp_path / "model.pth")
    torch.manual_seed(1)
    again = build_model(cfg)
    assert load_weights(again, tmp_path / "model.pth").complete
    first, second = (m.eval()(batch(1))[0]["instances"] for m in (model, again))
    assert torch.equal(first.scores, second.scores)


@pytest.mark.parametrize("name", ["convnext_atto", "resnet18"])
def test_low_precision_inference_is_near(timm, name):
    torch.manual_seed(0)
    model = build_model(small(name)).eval()
    x = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        full, low = model.backbone(x), model.backbone(x.bfloat16())
    for key, value in full.items():
        assert low[key].dtype == torch.bfloat16
        assert (low[key].float() - value).abs().mean() < 0.05 * value.abs().mean() + 1e-3


@pytest.mark.parametrize("freeze_at", [0, 1, 2, 5])
@pytest.mark.parametrize("name", ["convnext_atto", "efficientnet_b0"])
def test_freeze_at_counts_parts_as_for_a_resnet(timm, name, freeze_at):
    expected = ["stem", "res2", "res3", "res4", "res5"][:freeze_at]
    model = build_model(small(name, keys={"MODEL.RESNETS.NORM": "BN"}))
    set_trainable(model, "all", freeze_at)
    bottom_up = model.backbone.bottom_up
    frozen = [
        part
        for part, module in bottom_up.named_children()
        if not any(p.requires_grad for p in module.parameters())
    ]
    assert frozen == expected
    train_mode(model)
    norms = {
        key: m
        for key, m in bottom_up.named_modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm)
    }
    assert any(norm.training for norm in norms.values()) == (
        name == "efficientnet_b0" and freeze_at < 5
    )
    assert not any(norm.training for key, norm in norms.items() if key.startswith(tuple(expected)))


@pytest.mark.parametrize("name", ["convnext_atto", "efficientnet_b0", "resnet18"])
def test_the_rate_falls_with_every_part_below_the_fpn(timm, name):
    cfg = small(
        name, keys={"MODEL.RESNETS.NORM": "BN", "SOLVER.LAYER_DECAY": 0.5, "SOLVER.BASE_LR": 1.0}
    )
    model = build_model(cfg)
    rates: dict[str, set[float]] = {}
    for group in parameter_groups(model, cfg):
        for parameter in group["names"]:
            parts = parameter.split(".")
            rates.setdefault(
                parts[2] if parameter.startswith("backbone.bottom_up.") else "above", set()
            ).add(group["lr"])
    assert rates == {
        "above": {1.0},
        "res5": {1 / 2},
        "res4": {1 / 4},
        "res3": {1 / 8},
        "res2": {1 / 16},
        "stem": {1 / 32},
    }
    assert layers_above("backbone.fpn_norm2.weight") == 0


def test_layer_scales_do_not_decay(timm):
    cfg = small(
        "convnext_atto", keys={"SOLVER.WEIGHT_DECAY": 0.05, "SOLVER.WEIGHT_DECAY_BIAS": 0.0}
    )
    decays = {
        name: group["weight_decay"]
        for group in parameter_groups(build_model(cfg), cfg)
        for name in group["names"]
    }
    for name, decay in decays.items():
        plain = name.endswith(".weight") and not re.search(
            r"norm|\.grn\.|stem_1|downsample\.0", name
        )
        assert decay == (0.05 if plain else 0.0), name
    assert [name for name in decays if name.endswith(".gamma")]


def test_batch_norms_are_frozen_trained_or_shared_as_asked(timm):
    kinds = {}
    for norm in ("FrozenBN", "BN", "SyncBN"):
        model = build_model(small("resnet18", keys={"MODEL.RESNETS.NORM": norm}))
        kinds[norm] = {
            type(m).__name__
            for m in model.backbone.bottom_up.modules()
            if "Norm" in type(m).__name__
        }
    assert kinds["BN"] == {"BatchNorm2d"}
    assert all("Frozen" in kind for kind in kinds["FrozenBN"])
    assert all("Sync" in kind for kind in kinds["SyncBN"])


def test_only_features_normed_before_their_sum_are_normed_for_the_fpn(timm):
    assert isinstance(build_model(small("convnext_atto")).backbone.fpn_norm4, LayerNorm2d)
    assert not hasattr(build_model(small("resnet18")).backbone, "fpn_norm4")


def test_a_layer_norm_over_channels_is_the_formula():
    norm, x = LayerNorm2d(5), torch.randn(2, 5, 3, 4)
    with torch.no_grad():
        norm.weight.copy_(torch.rand(5))
        norm.bias.copy_(torch.rand(5))
    mean, var = x.mean(1, keepdim=True), x.var(1, unbiased=False, keepdim=True)
    expected = (x - mean) / (var + 1e-6).sqrt() * norm.weight[:, None, None] + norm.bias[
        :, None, None
    ]
    torch.testing.assert_close(norm(x), expected)


def test_preprocessing_that_does_not_suit_is_named(timm, tmp_path):
    torch.save(classifier(timm, "convnext_atto").state_dict(), tmp_path / "w.pth")
    report = load_weights(
        build_model(small("convnext_atto")), tmp_path / "w.pth", small("convnext_atto")
    )
    assert (
        sum(
            "INPUT.FORMAT to RGB" in line or "PIXEL_STD to [58.395" in line
            for line in report.warnings
        )
        == 2
    )


def test_from_scratch_warns_of_frozen_batch_norms_only_where_there_are_some(timm):
    assert not load_weights(
        build_model(small("convnext_atto")), "", small("convnext_atto")
    ).warnings
    assert (
        "FrozenBN cannot learn"
        in load_weights(build_model(small("resnet18")), "", small("resnet18")).warnings[0]
    )


def test_weights_of_another_model_are_told(timm, tmp_path):
    torch.save(classifier(timm, "convnext_atto").state_dict(), tmp_path / "w.pth")
    with pytest.raises(DataError, match="none of its"):
        load_weights(build_model(small("resnet18")), tmp_path / "w.pth")
    with pytest.raises(
        DataError, match=r"it has stem\.0\.weight, .* have another shape, e\.g\. backbone"
    ):
        load_weights(build_model(small("convnext_femto")), tmp_path / "w.pth")
    report = load_weights(
        build_model(small("convnextv2_atto")), tmp_path / "w.pth"
    )  # the same widths, other blocks
    assert report.missing
    assert [name for name in report.unexpected if name.endswith("gamma")]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("convnext_tny", "is no model of timm .*convnext_"),
        ("vit_tiny_patch16_224", "strides 16, an FPN needs 4, 8, 16 and 32"),
        ("hrnet_w18_small", "do not follow one another"),
        ("swinv2_cr_tiny_224", "does not take images of every size"),
        ("coatnet_nano_rw_224", "does not take images of every size"),
        ("", "must name a model"),
    ],
)
def test_models_that_do_not_suit_are_refused_by_name(timm, name, words):
    with pytest.raises(ConfigError, match=words):
        build_model(small(name))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"MODEL.BACKBONE.NAME": "build_resnet_fpn_backbone"},
            "needs MODEL.BACKBONE.NAME build_timm_fpn_backbone",
        ),
        ({"MODEL.RESNETS.NORM": "GN"}, "must be FrozenBN, BN or SyncBN"),
        ({"MODEL.FPN.IN_FEATURES": ["res1", "res2"]}, "res1 is not among the stages"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(keys, words):
    with pytest.raises(ConfigError, match=words):
        build_model(small("convnext_atto", keys=keys))


def test_without_timm_one_line_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.split(".")[0] == "timm":
            raise ModuleNotFoundError(f"No module named {name!r}", name="timm")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ConfigError, match=r"timm is not installed; pip install timm$"):
        build_model(small("convnext_atto"))


@pytest.mark.parametrize("damage", ["cut", "header"])
def test_a_damaged_safetensors_file_is_one_line(tmp_path, damage):
    safetensors = pytest.importorskip("safetensors.torch")
    content = safetensors.save({"a.weight": torch.ones(64, 64)})
    path = tmp_path / "w.safetensors"
    path.write_bytes(content[:-100] if damage == "cut" else content.replace(b'"F32"', b'"F99"'))
    with pytest.raises(DataError, match=r"w\.safetensors: not a readable safetensors file"):
        load_weights(nn.Linear(2, 2), path)


def test_the_shipped_config_describes_the_model_it_names(timm):
    cfg = load_cfg("bdd_maskrcnn_convnext_tiny.yaml", ["MODEL.DEVICE", "cpu"])
    facts = timm.get_pretrained_cfg(cfg.MODEL.BACKBONE.TIMM_NAME)
    assert list(cfg.MODEL.PIXEL_MEAN) == pytest.approx([255 * v for v in facts.mean])
    assert list(cfg.MODEL.PIXEL_STD) == pytest.approx([255 * v for v in facts.std])
    assert cfg.INPUT.FORMAT == "RGB"
    model = build_model(cfg)
    assert model.backbone.bottom_up.channels == {"res2": 96, "res3": 192, "res4": 384, "res5": 768}
    assert len({group["lr"] for group in parameter_groups(model, cfg)}) == 6
