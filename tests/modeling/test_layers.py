"""Convolutions with norms: equal to the plain computation in every mode, and never stale."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from bdd_inst.base.errors import ConfigError
from bdd_inst.config import rules
from bdd_inst.modeling.freeze import set_trainable
from bdd_inst.modeling.layers.convolution import Conv2d
from bdd_inst.modeling.layers.norms import NORMS, get_norm
from tests.modeling.small import batch, model


def layer(norm: str = "FrozenBN", relu: bool = True) -> Conv2d:
    conv = Conv2d(8, 32, 3, padding=1, bias=not norm, norm=get_norm(norm, 32), relu=relu)
    for name, tensor in conv.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(
                torch.rand_like(tensor) + 0.5 if "running_var" in name else torch.randn_like(tensor)
            )
    return conv


def plain(conv: Conv2d, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
    norm, out = conv.norm, F.conv2d(x, conv.weight, conv.bias, padding=1)
    if norm is not None and hasattr(norm, "running_mean"):
        out = F.batch_norm(
            out, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, eps=norm.eps
        )
    elif norm is not None:
        out = norm(out)
    out = out if residual is None else out + residual
    return F.relu(out) if conv.relu else out


@pytest.mark.parametrize("norm", ["", "FrozenBN", "BN", "SyncBN", "GN"])
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_equals_plain_computation(norm, grad, last):
    conv, x, residual = layer(norm).eval(), torch.randn(2, 8, 9, 7), torch.randn(2, 32, 9, 7)
    x = x.to(memory_format=torch.channels_last) if last else x
    want = plain(conv, x, residual)
    with torch.set_grad_enabled(grad):
        torch.testing.assert_close(conv(x, residual), want, rtol=1e-5, atol=1e-5)


def test_rounds_as_batch_norm_does():
    conv, x = layer(), torch.randn(2, 8, 9, 7)
    with torch.no_grad():
        assert torch.equal(conv(x), plain(conv, x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_is_near(dtype):
    conv, x = layer(relu=False), torch.randn(2, 8, 9, 7)
    want = plain(conv, x)
    with torch.no_grad():
        got = conv(x.to(dtype)).float()
    assert (got - want).abs().max() < 0.05 * want.std() + 0.02 * want.abs().max()


CHANGES = {
    "in place": lambda conv: conv.weight.mul_(2),
    "assigned": lambda conv: setattr(conv.weight, "data", conv.weight.data * 2),
    "loaded": lambda conv: conv.load_state_dict(
        {k: v * 2 if k == "weight" else v for k, v in conv.state_dict().items()}
    ),
    "norm": lambda conv: conv.norm.weight.mul_(2),
    "through .data with the mode switched": lambda conv: (
        conv.train(),
        conv.weight.data.mul_(2),
        conv.eval(),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_derived_weights_follow(change, dtype):
    conv = layer().eval()
    x = torch.randn(1, 8, 5, 5, dtype=dtype).to(memory_format=torch.channels_last)
    before = conv(x)
    CHANGES[change](conv)
    after = conv(x)
    assert not torch.equal(before, after)
    fresh = layer().eval()
    fresh.load_state_dict(conv.state_dict())
    assert torch.equal(after, fresh(x))


def test_state_dict_is_detectron2s_and_inference_leaves_it_alone():
    built = model(MODEL__PRECISION="bf16").eval()
    before = {k: v.clone() for k, v in built.state_dict().items()}
    built(batch(1))
    after = built.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert "backbone.bottom_up.res2.0.conv1.norm.running_mean" in after
    assert "roi_heads.mask_head.mask_fcn1.weight" in after
    assert not any(word in name for name in after for word in ("pixel", "cell", "derived"))


def test_bf16_detections_are_near_float32():
    scores = []
    for precision in ("float32", "bf16"):
        scores.append(model(MODEL__PRECISION=precision).eval()(batch(1))[0]["instances"].scores[:5])
    torch.testing.assert_close(*scores, rtol=0.1, atol=0.05)


def test_autocast_trains():
    built = model().train()
    with torch.autocast("cpu", torch.bfloat16):
        losses = built(batch())
    exact = built(batch())
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(exact[name].item(), rel=0.1, abs=0.02), name
    sum(losses.values()).backward()


def test_the_norms_are_those_that_the_rules_name():
    assert {"", *NORMS} == set(rules.NORMS)


class TestFreeze:
    @pytest.mark.parametrize(
        ("preset", "parts"),
        [
            ("heads", {"proposal_generator", "roi_heads"}),
            ("fpn+heads", {"proposal_generator", "roi_heads", "backbone.fpn"}),
            (["roi_heads.mask_head"], {"roi_heads.mask_head"}),
            (
                ["backbone.bottom_up.res5.*", "roi_heads.box_*"],
                {"backbone.bottom_up.res5", "roi_heads.box_"},
            ),
        ],
    )
    def test_only_the_chosen_train(self, preset, parts):
        built = model().train()
        names = set_trainable(built, preset)
        assert names
        assert all(any(name.startswith(part) for part in parts) for name in names)
        sum(built(batch()).values()).backward()
        assert {n for n, p in built.named_parameters() if p.grad is not None} == set(names)

    def test_freeze_at(self):
        built = model(MODEL__BACKBONE__FREEZE_AT=3)
        frozen = {n.split(".")[2] for n, p in built.named_parameters() if not p.requires_grad}
        assert frozen == {"stem", "res2", "res3"}
        assert len(set_trainable(built, "all", 0)) == len(list(built.parameters()))

    def test_frozen_batch_norm_stands_still(self):
        built = model(MODEL__RESNETS__NORM="BN", MODEL__BACKBONE__FREEZE_AT=2).train()
        before = {k: v.clone() for k, v in built.state_dict().items() if "running" in k}
        built(batch())
        moved = {
            k.split(".")[2]
            for k, v in built.state_dict().items()
            if "running" in k and not torch.equal(v, before[k])
        }
        assert moved == {"res3", "res4", "res5"}

    def test_wrong_pattern_is_named(self):
        with pytest.raises(ConfigError, match="roi_head.mask"):
            set_trainable(model(), ["roi_head.mask"])

    def test_frozen_backbone_keeps_no_graph(self):
        built = model().train()
        set_trainable(built, "heads")
        features = built.backbone(built.preprocess(batch()).tensor)
        assert not any(f.requires_grad for f in features.values())
