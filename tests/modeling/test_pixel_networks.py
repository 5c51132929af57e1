"""U-Net and its kin behind the pixel-wise contract: shapes, equality with the library, freezing, refusals."""

from __future__ import annotations

import pytest
import segmentation_models_pytorch as smp
import torch

from bdd_inst.base.errors import ConfigError
from bdd_inst.modeling.backbones import fast_scnn
from bdd_inst.modeling.backbones.fast_scnn import FastSCNNBackbone
from bdd_inst.modeling.freeze import set_trainable
from bdd_inst.training.optim import parameter_groups
from tests.modeling import small
from tests.modeling.test_semantic_segmentor import SEMANTIC, batch, model

HEAD = "MODEL.SEM_SEG_HEAD."
LITE = "tu-tf_efficientnet_lite0"
NETWORKS = {
    "Unet": "resnet18",
    "DeepLabV3": LITE,
    "DeepLabV3Plus": "resnet18",
    "FPN": LITE,
    "Segformer": "mit_b0",
    "LightUnet": LITE,
    "FastSCNN": "",
}


def keys(name: str, encoder: str | None = None, **more) -> dict:
    chosen = {"NAME": name, "ENCODER": NETWORKS[name] if encoder is None else encoder} | more
    return {"MODEL.BACKBONE.FREEZE_AT": 0} | {f"{HEAD}{k}": v for k, v in chosen.items()}


@pytest.mark.parametrize(("name", "classes"), [(n, 1 + i % 2 * 2) for i, n in enumerate(NETWORKS)])
def test_every_network_keeps_the_contract(name, classes):
    built, given = model(**keys(name, NUM_CLASSES=classes)), batch(max(classes, 2))
    losses = built.train()(given)
    assert set(losses) == {"loss_sem_seg"}
    losses["loss_sem_seg"].backward()
    assert not [n for n, p in built.named_parameters() if p.grad is None]
    outputs = built.eval()(given)
    assert [tuple(o["sem_seg"].shape) for o in outputs] == [(classes, 140, 83), (classes, 192, 57)]


@pytest.mark.parametrize("name", ["Unet", "FPN", "DeepLabV3Plus"])
def test_outputs_equal_the_librarys(name):
    built = model(**keys(name, "resnet18")).eval()
    theirs = getattr(smp, name)("resnet18", encoder_weights=None, classes=3).eval()
    renamed = {
        n.replace("backbone.", "encoder.", 1).removeprefix("sem_seg_head."): t
        for n, t in built.state_dict().items()
    }
    theirs.load_state_dict(renamed)
    image = torch.randint(0, 255, (3, 64, 96), dtype=torch.uint8)
    got = built([{"image": image}])[0]["sem_seg"]
    with torch.no_grad():
        want = theirs(((image.float() - built.pixel_mean) / built.pixel_std)[None])[0]
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3)


def test_fast_scnn_has_the_papers_strides_widths_and_size():
    backbone = FastSCNNBackbone().eval()
    with torch.no_grad():
        maps = backbone(torch.zeros(1, 3, 64, 128))
    assert tuple(maps["detail"].shape) == (1, 64, 8, 16)
    assert tuple(maps["context"].shape) == (1, 128, 2, 4)
    whole = model(**keys("FastSCNN", NUM_CLASSES=19))
    assert 1.1e6 < sum(p.numel() for p in whole.parameters()) < 1.2e6  # the paper: 1.11 million


def test_freeze_at_counts_the_parts_of_an_encoder_and_holds_its_statistics():
    built = model(**keys("Unet", LITE) | {"MODEL.BACKBONE.FREEZE_AT": 2}).train()
    frozen = {n for n, p in built.named_parameters() if not p.requires_grad}
    assert {n.split(".")[2] for n in frozen} == {"conv_stem", "bn1", "blocks"}
    assert {n.split(".")[3] for n in frozen if ".blocks." in n} == {"0", "1"}
    before = {n: b.clone() for n, b in built.named_buffers() if n.endswith("running_mean")}
    built(batch())
    moved = {n for n, b in built.named_buffers() if n in before and not b.equal(before[n])}
    held = before.keys() - moved
    assert {n.rsplit(".", 1)[0] for n in held} == {
        n.rsplit(".", 1)[0] for n in frozen if ".bn" in n
    }


def test_heads_first_then_everything():
    built = model(**keys("Unet")).train()
    assert all(n.startswith("sem_seg_head.") for n in set_trainable(built, "heads"))
    assert not built.backbone.bn1.training
    assert len(set_trainable(built, "all")) == len(list(built.parameters()))
    assert built.backbone.bn1.training


def test_an_encoder_of_unknown_parts_is_not_frozen_by_number():
    with pytest.raises(ConfigError, match=r"FREEZE_AT 1: the parts of this backbone are not known"):
        model(**keys("Segformer") | {"MODEL.BACKBONE.FREEZE_AT": 1})


def test_features_that_are_not_used_are_not_built():
    whole, cut = (
        sum(p.numel() for p in model(**keys("Unet", LITE, ENCODER_DEPTH=d)).parameters())
        for d in (5, 4)
    )
    assert cut < whole / 2


def test_the_encoder_can_learn_slower():
    cfg = small.config(keys=SEMANTIC | keys("Unet") | {"SOLVER.BACKBONE_MULTIPLIER": 0.3})
    cfg.SOLVER.BASE_LR = 0.1
    for group in parameter_groups(model(**keys("Unet")), cfg):
        sides = {n.startswith("backbone.") for n in group["names"]}
        assert len(sides) == 1
        assert group["lr"] == pytest.approx(0.03 if sides == {True} else 0.1)


def test_one_image_cannot_train_a_head_that_norms_global_means():
    with pytest.raises(ConfigError, match="at least 2"):
        model(**keys("FastSCNN")).train()(batch()[:1])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (keys("Unet", ""), "ENCODER must name an encoder, e.g. resnet34"),
        (keys("SemSegFPNHead", "resnet18"), "ENCODER must be ''"),
        (keys("Unet", "resnet19"), "ENCODER 'resnet19' is neither .* resnet18"),
        (keys("Unet", "tu-tf_efficientnet_lite9"), "begin alike: tu-"),
        (keys("Unet", DECODER_CHANNELS=[64, 32]), "DECODER_CHANNELS needs 0 or 5"),
        (keys("Unet", ENCODER_DEPTH=2), r"ENCODER_DEPTH 2 is not supported"),
        (keys("FastSCNN") | {"MODEL.BACKBONE.FREEZE_AT": 2}, "FREEZE_AT must be 0"),
        (keys("Unet", NUM_CLASSES=1) | {f"{HEAD}LOSSES.CROSS_ENTROPY": 1.0}, "at least 2 classes"),
        (keys("Unet", CLASS_WEIGHTS=[1.0]), "CLASS_WEIGHTS needs 3 numbers"),
        (keys("Unet", LABEL_SMOOTHING=1.0), "below 1"),
        (keys("Unet") | {f"{HEAD}LOSSES.DICE": -1.0}, "0 or more"),
        (keys("Unet") | {"MODEL.ENGINE": "detectron2"}, "with MODEL.ENGINE detectron2"),
    ],
)
def test_what_cannot_work_is_one_line(changed, says):
    with pytest.raises(ConfigError, match=says) as error:
        model(**changed)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [(6, 6), (6, 11), (7, 5), (1, 3)])
def test_pooling_for_exporters_is_adaptive_pooling(size):
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    for side in (1, 2, 3, 6):
        traced = torch.jit.trace(lambda values, side=side: fast_scnn.grid_means(values, side), x)
        assert "adaptive_avg_pool2d" not in str(traced.graph)
        torch.testing.assert_close(traced(x), fast_scnn.grid_means(x, side))
