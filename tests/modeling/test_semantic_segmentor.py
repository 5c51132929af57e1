"""Pixel-wise models: what goes in and comes out, what pixels count, what bad labels say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.config.checking import check_config
from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.modeling.freeze import set_trainable
from bdd_inst.modeling.meta.sem_seg_tiles import Tiles
from bdd_inst.modeling.meta.semantic_segmentor import sem_seg_targets
from tests.modeling import small

SEMANTIC = {
    "MODEL.META_ARCHITECTURE": "SemanticSegmentor",
    "MODEL.SEM_SEG_HEAD.NUM_CLASSES": 3,
    "MODEL.SEM_SEG_HEAD.CONVS_DIM": 32,
}
ZOO = Path(__file__).resolve().parents[1] / "fixtures" / "zoo_configs"
SIZES = [(70, 90), (96, 64)]


def model(seed: int = 0, **keys) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build_model(small.config(keys=SEMANTIC | keys))


def batch(classes: int = 3, ignored: bool = True) -> list[dict]:
    """Two images of two sizes with random labels; the first rows are unknown."""
    generator = torch.Generator().manual_seed(3)
    out = []
    for height, width in SIZES:
        labels = torch.randint(0, classes, (height, width), generator=generator)
        if ignored:
            labels[:5] = 255
        image = torch.randint(0, 255, (3, height, width), generator=generator, dtype=torch.uint8)
        out.append({"image": image, "sem_seg": labels, "height": height * 2, "width": width - 7})
    return out


def test_outputs_lie_on_the_size_that_is_asked_for():
    outputs = model().eval()(batch())
    assert [tuple(o["sem_seg"].shape) for o in outputs] == [(3, 140, 83), (3, 192, 57)]
    assert all(o["sem_seg"].dtype == torch.float32 for o in outputs)


def test_an_image_alone_is_what_it_is_in_a_batch_of_its_own_size():
    built, (first, _) = model().eval(), batch()
    pair = built([first, first])
    torch.testing.assert_close(
        pair[1]["sem_seg"], built([first])[0]["sem_seg"], rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("classes", [1, 3])
def test_ignored_pixels_and_padding_do_not_count(classes):
    built = model(**{"MODEL.SEM_SEG_HEAD.NUM_CLASSES": classes}).train()
    given = batch(max(classes, 2))
    loss = built(given)["loss_sem_seg"]
    images = built.preprocess(given)
    logits, targets = built.logits(images), sem_seg_targets(given, images, built.sem_seg_head)
    assert targets.shape == (2, 96, 96)
    known = targets != 255
    assert int(known.sum()) == 65 * 90 + 91 * 64
    rows = logits.permute(0, 2, 3, 1)[known]
    want = (
        torch.nn.functional.binary_cross_entropy_with_logits(rows[:, 0], targets[known].float())
        if classes == 1
        else torch.nn.functional.cross_entropy(rows, targets[known])
    )
    torch.testing.assert_close(loss, want)


def test_nothing_known_is_a_loss_of_zero():
    built, given = model().train(), batch()
    for entry in given:
        entry["sem_seg"] = torch.full_like(entry["sem_seg"], 255)
    loss = built(given)["loss_sem_seg"]
    loss.backward()
    assert loss.item() == 0


def test_bad_labels_are_named():
    built, given = model().train(), batch()
    with pytest.raises(DataError, match='street.png has no "sem_seg"'):
        built([{"image": given[0]["image"], "file_name": "street.png"}])
    with pytest.raises(DataError, match="sem_seg is 96x64, its image 70x90"):
        built([given[0] | {"sem_seg": given[1]["sem_seg"]}])
    given[0]["sem_seg"][9, 9] = 3
    with pytest.raises(DataError, match="sem_seg holds 3, which is none of the 3 labels 0 to 2"):
        built(given)


def test_presets_and_patterns_choose_the_head():
    built = model()
    assert all(n.startswith("sem_seg_head.") for n in set_trainable(built, "heads"))
    assert set_trainable(built, ["sem_seg_head.predictor"]) == [
        "sem_seg_head.predictor.weight",
        "sem_seg_head.predictor.bias",
    ]
    assert any(n.startswith("backbone.fpn_") for n in set_trainable(built, "fpn+heads"))


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("IN_FEATURES", ["p2", "p9"], "p9 is not among the backbone's features"),
        ("COMMON_STRIDE", 8, "at most 4"),
        ("COMMON_STRIDE", 3, "a power of two"),
        ("NUM_CLASSES", 0, "expected a number above 0"),
        ("NAME", "PointRendSemSegHead", "is not supported"),
        ("NORM", "LN", "is not supported"),
    ],
)
def test_keys_that_cannot_work_are_refused_by_name(key, value, says):
    with pytest.raises(ConfigError, match=rf"MODEL\.SEM_SEG_HEAD\.{key}.*{says}"):
        model(**{f"MODEL.SEM_SEG_HEAD.{key}": value})


def test_a_detector_refuses_keys_of_a_head_that_it_lacks():
    with pytest.raises(ConfigError, match=r"MODEL\.SEM_SEG_HEAD\.NUM_CLASSES 3 .*GeneralizedRCNN"):
        build_model(small.config(keys={"MODEL.SEM_SEG_HEAD.NUM_CLASSES": 3}))


def test_half_precision_is_close():
    given = batch()
    exact = model().eval()(given)[0]["sem_seg"]
    half = model(**{"MODEL.PRECISION": "bf16"}).eval()(given)[0]["sem_seg"]
    assert half.dtype == torch.float32
    assert (half - exact).abs().max() < 0.1 * exact.abs().max()


def test_detectron2s_semantic_config_is_supported():
    cfg = load_cfg(ZOO / "misc" / "semantic_R_50_FPN_1x.yaml")
    check_config(cfg)
    assert cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES == 54


AUG = {"TEST.AUG.ENABLED": True, "TEST.AUG.MIN_SIZES": [], "TEST.AUG.FLIP": True}


@pytest.mark.parametrize("classes", [1, 3])
def test_views_are_the_mean_probability_of_the_image_and_its_mirror_image(classes):
    keys = {"MODEL.SEM_SEG_HEAD.NUM_CLASSES": classes}
    keys |= {"INPUT.MIN_SIZE_TEST": 0}
    plain, seen_twice = model(**keys).eval(), model(**keys, **AUG).eval()
    given = batch(2)
    mirrored = [entry | {"image": entry["image"].flip(-1)} for entry in given]
    share = torch.sigmoid if classes == 1 else lambda x: x.softmax(0)
    pairs = zip(plain(given), plain(mirrored), seen_twice(given), strict=True)
    for one, other, got in pairs:
        want = (share(one["sem_seg"]) + share(other["sem_seg"].flip(-1))) / 2
        assert got["sem_seg"].shape == one["sem_seg"].shape
        torch.testing.assert_close(share(got["sem_seg"]), want, rtol=1e-3, atol=1e-4)


def test_views_of_other_sizes_come_back_on_the_images_own():
    sizes = {"TEST.AUG.MIN_SIZES": [48, 96], "TEST.AUG.MAX_SIZE": 128}
    outputs = model(**(AUG | sizes)).eval()(batch())
    assert [tuple(o["sem_seg"].shape) for o in outputs] == [(3, 140, 83), (3, 192, 57)]
    assert model(**(AUG | sizes)).train()(batch())["loss_sem_seg"] > 0


TILES = {"TEST.TILES.ENABLED": True, "TEST.TILES.SIZE": 64, "TEST.TILES.OVERLAP": 32}


def test_tiles_cover_an_image_and_agree_with_a_model_that_looks_at_pixels_alone():
    tiles = Tiles(96, 32)
    for length in (50, 96, 97, 160, 161, 400):
        starts = tiles.starts(length)
        ends = [min(start + 96, length) for start in starts]
        assert (starts[0], ends[-1]) == (0, length)
        overlaps = [end - start for end, start in zip(ends, starts[1:], strict=False)]
        assert all(overlap >= 32 for overlap in overlaps)
    image = torch.rand(3, 161, 250)
    got = tiles.infer(lambda tile: tile[:2] * 3 + 1, image)
    torch.testing.assert_close(got, image[:2] * 3 + 1)


def test_large_images_go_through_in_tiles_and_small_ones_whole():
    whole, tiled = model().eval(), model(**TILES).eval()
    tiled.load_state_dict(whole.state_dict())
    given = batch()
    small_one = {"image": given[0]["image"][:, :60, :50]}
    large = given[1]
    want, got = whole([small_one])[0]["sem_seg"], tiled([large, small_one])[1]["sem_seg"]
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3)
    outputs = tiled([large, small_one])
    assert [tuple(o["sem_seg"].shape) for o in outputs] == [(3, 192, 57), (3, 60, 50)]
    with pytest.raises(ConfigError, match="OVERLAP must be from 0 to below SIZE 64"):
        model(**(TILES | {"TEST.TILES.OVERLAP": 64}))


def test_a_detector_refuses_tiles():
    with pytest.raises(ConfigError, match=r"TEST\.TILES\.ENABLED True .* SemanticSegmentor only"):
        build_model(small.config(keys={"TEST.TILES.ENABLED": True}))


def test_training_takes_the_order_of_memory_that_evaluation_takes_and_says_the_same():
    built, given = model(**{"MODEL.SEM_SEG_HEAD.NORM": "BN"}).train(), batch()
    losses = {}
    for wanted in (True, False):
        built._wants_channels_last = wanted
        built.zero_grad()
        last = built.preprocess(given).tensor.is_contiguous(memory_format=torch.channels_last)
        assert last == wanted
        loss = built(given)["loss_sem_seg"]
        loss.backward()
        gradient = built.sem_seg_head.predictor.weight.grad.clone()
        losses[wanted] = loss.detach(), gradient
    torch.testing.assert_close(losses[True], losses[False], rtol=1e-3, atol=1e-5)
    assert (
        not model()
        .train()
        .preprocess(given)
        .tensor.is_contiguous(memory_format=torch.channels_last)
    )  # group norms sum less exactly in it
