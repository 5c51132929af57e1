"""MODEL.ENGINE detectron2. Without Detectron2: one readable line. With it: the builtin engine's names, losses and detections."""

import importlib.util
import sys

import numpy as np
import pytest
import torch

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.loading import load_cfg, set_key
from bdd_inst.engines import build_model
from bdd_inst.structures import BitMasks, Boxes, CroppedMasks, Instances, PolygonMasks, RLEMasks
from bdd_inst.weights.checkpoint import load_weights, save_weights

needs_detectron2 = pytest.mark.skipif(
    importlib.util.find_spec("detectron2") is None, reason="Detectron2 is not installed"
)
SMALL = {
    "MODEL.DEVICE": "cpu",
    "MODEL.WEIGHTS": "",
    "MODEL.RESNETS.RES2_OUT_CHANNELS": 16,
    "MODEL.RESNETS.STEM_OUT_CHANNELS": 8,
    "MODEL.RESNETS.WIDTH_PER_GROUP": 4,
    "MODEL.FPN.OUT_CHANNELS": 16,
    "MODEL.ROI_BOX_HEAD.FC_DIM": 32,
    "MODEL.ROI_MASK_HEAD.CONV_DIM": 16,
    "MODEL.ROI_HEADS.NUM_CLASSES": 5,
    # Every anchor and every proposal counts, so that the engines' different random draws do not matter.
    "MODEL.RPN.BATCH_SIZE_PER_IMAGE": 100000,
    "MODEL.RPN.POSITIVE_FRACTION": 1.0,
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": 100000,
    "MODEL.ROI_HEADS.POSITIVE_FRACTION": 1.0,
}


def config(engine="builtin", **more):
    cfg = load_cfg("Base-MaskRCNN-FPN.yaml")
    for key, value in {**SMALL, **more, "MODEL.ENGINE": engine}.items():
        set_key(cfg, key.replace("__", "."), value, "test")
    return cfg


@pytest.fixture(scope="module")
def weights(pytestconfig):
    """Random weights that detect (a model zoo pickle of the SMALL model)."""
    return pytestconfig.rootpath / "tests" / "fixtures" / "checkpoints" / "zoo_style.pkl"


def shuffle(model, seed):
    """Other values under every name."""
    generator = torch.Generator().manual_seed(seed)
    for value in model.state_dict().values():
        value.copy_(torch.rand(value.shape, generator=generator))


def outlines(rng, count, size):
    """Octagons of random place: N flat x, y arrays, and their boxes N,4."""
    turn = np.linspace(0, 2 * np.pi, 9)[:-1]
    centers, radii = rng.uniform(20, size - 20, (count, 1, 2)), rng.uniform(5, 18, (count, 1, 1))
    points = centers + radii * np.stack([np.cos(turn), np.sin(turn)], axis=1)[None]
    return points.reshape(count, -1), np.concatenate(
        [points.min(axis=1), points.max(axis=1)], axis=1
    )


def batch(rng, kind="polygon", size=96):
    out = []
    for seed in (11, 12):
        points, boxes = outlines(rng, 4, size)
        masks = PolygonMasks([[p] for p in points])
        if kind != "polygon":
            masks = BitMasks.from_polygon_masks(masks, size, size)
        if kind == "cropped":
            masks = CroppedMasks.from_crops([(m.numpy(), 0, 0) for m in masks.tensor], (size, size))
        classes = torch.from_numpy(rng.integers(0, 5, 4))
        instances = Instances(
            (size, size), gt_boxes=Boxes(boxes), gt_classes=classes, gt_masks=masks
        )
        image = torch.from_numpy(rng.integers(0, 255, (3, size, size), dtype=np.uint8))
        extra = {"height": 2 * size, "width": 2 * size, "sample_seed": seed, "file_name": "x.jpg"}
        out.append({"image": image, "instances": instances, **extra})
    return out


def engines(weights, **more):
    models = [build_model(config(engine, **more)) for engine in ("builtin", "detectron2")]
    for model in models:
        assert load_weights(model, weights).complete
    return models


def test_absent_detectron2_gets_one_line_with_its_guide(monkeypatch):
    monkeypatch.setitem(sys.modules, "detectron2", None)
    for name in [name for name in sys.modules if name.startswith("detectron2.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(
        ConfigError, match=r"not installed here; see https://detectron2\.readthedocs\.io"
    ) as caught:
        build_model(config("detectron2"))
    assert "\n" not in str(caught.value)


def test_broken_detectron2_gets_one_line_too(monkeypatch, tmp_path):
    (tmp_path / "detectron2").mkdir()
    (tmp_path / "detectron2" / "__init__.py").write_text(
        "raise ImportError('undefined symbol: _ZN3c10')\n"
    )
    for name in [name for name in sys.modules if name.split(".")[0] == "detectron2"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="does not load .undefined symbol"):
        build_model(config("detectron2"))


def test_unknown_engine():
    with pytest.raises(
        ConfigError,
        match="MODEL.ENGINE 'detectron' is not supported; use 'builtin' or 'detectron2'",
    ):
        build_model(config("detectron"))


@needs_detectron2
def test_same_parameter_names_and_shapes(weights):
    ours, theirs = engines(weights)
    shapes = [
        {name: value.shape for name, value in model.state_dict().items()}
        for model in (ours, theirs)
    ]
    assert shapes[0] == shapes[1]
    trained = [
        {name for name, p in model.named_parameters() if p.requires_grad}
        for model in (ours, theirs)
    ]
    assert trained[0] == trained[1]


@needs_detectron2
@pytest.mark.parametrize("kind", ["polygon", "bitmask", "cropped"])
def test_same_losses_and_gradients(weights, rng, kind):
    data = batch(rng, kind)
    results = []
    for model in engines(weights):
        losses = model.train()(data)
        sum(losses.values()).backward()
        results.append(
            (
                losses,
                {name: p.grad.norm() for name, p in model.named_parameters() if p.grad is not None},
            )
        )
    (ours, our_norms), (theirs, their_norms) = results
    assert ours.keys() == theirs.keys()
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-5, atol=1e-7)
    assert our_norms.keys() == their_norms.keys()
    for name in their_norms:
        torch.testing.assert_close(our_norms[name], their_norms[name], rtol=1e-4, atol=1e-6)


@needs_detectron2
def test_same_detections(weights, rng):
    data = batch(rng)
    ours, theirs = (
        [output["instances"] for output in model.eval()(data)] for model in engines(weights)
    )
    for a, b in zip(ours, theirs, strict=True):
        assert isinstance(b, Instances)
        assert len(a) == len(b) > 5
        torch.testing.assert_close(a.scores, b.scores, rtol=0, atol=2e-4)
        assert b.pred_masks.dtype == torch.bool
        assert b.pred_masks.shape == (len(b), 192, 192)
        close = (a.pred_boxes.tensor - b.pred_boxes.tensor).abs().amax(dim=1) < 0.01
        assert close.float().mean() > 0.95  # nearly equal scores may swap places
        assert (a.pred_masks[close] ^ b.pred_masks[close]).flatten(1).sum(dim=1).max() <= 14


@pytest.mark.parametrize("engine", ["builtin", pytest.param("detectron2", marks=needs_detectron2)])
def test_images_where_nothing_is_found(weights, rng, engine):
    """No proposal is finite: no detections and no crash, in either engine."""
    model = build_model(config(engine))
    load_weights(model, weights)
    with torch.no_grad():
        model.proposal_generator.rpn_head.anchor_deltas.bias.fill_(float("nan"))
    found = model.eval()(batch(rng))[0]["instances"]
    assert len(found) == 0
    assert found.pred_masks.shape == (0, 192, 192)


@needs_detectron2
def test_masks_as_run_lengths(weights, rng):
    data, model = batch(rng), engines(weights)[1].eval()
    bitmaps = model(data)[0]["instances"].pred_masks
    codes = model(data, mask_format="rle")[0]["instances"].pred_masks
    assert isinstance(codes, RLEMasks)
    assert torch.equal(codes.decode(), bitmaps)


@needs_detectron2
def test_half_precision_gives_float32_results(weights, rng):
    model = build_model(config("detectron2", MODEL__PRECISION="bf16")).eval()
    load_weights(model, weights)
    found = model(batch(rng))[0]["instances"]
    assert len(found) > 5
    assert found.scores.dtype == found.pred_boxes.tensor.dtype == torch.float32


@needs_detectron2
def test_sampling_follows_the_images_seeds(weights, rng):
    few = {"MODEL__RPN__BATCH_SIZE_PER_IMAGE": 16, "MODEL__ROI_HEADS__BATCH_SIZE_PER_IMAGE": 16}
    model, data = build_model(config("detectron2", **few)).train(), batch(rng)
    before = torch.get_rng_state()
    first, second = model(data)["loss_rpn_cls"], model(data)["loss_rpn_cls"]
    assert torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())
    other = [{**entry, "sample_seed": entry["sample_seed"] + 7} for entry in data]
    assert not torch.equal(first, model(other)["loss_rpn_cls"])


@needs_detectron2
def test_a_checkpoint_of_detectron2s_trainer_loads_and_ours_loads_there(weights, tmp_path):
    from detectron2.checkpoint import DetectionCheckpointer

    ours, theirs = engines(weights)
    shuffle(theirs, seed=2)
    optimizer = torch.optim.SGD(theirs.parameters(), 0.1, momentum=0.9)
    DetectionCheckpointer(theirs._engine, str(tmp_path), optimizer=optimizer).save(
        "model_0000099", iteration=99
    )
    assert load_weights(ours, tmp_path / "model_0000099.pth").complete
    assert all(
        torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items()
    )
    save_weights(ours, tmp_path / "ours.pth")
    shuffle(theirs, seed=3)
    left = DetectionCheckpointer(theirs._engine).load(str(tmp_path / "ours.pth"))
    assert all(
        torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items()
    )
    assert "model" not in left


@needs_detectron2
def test_config_is_translated_key_by_key():
    from bdd_inst.engines.detectron2_engine import to_detectron2_cfg

    cfg = config("detectron2", MODEL__RPN__NMS_THRESH=0.6, MODEL__RESNETS__DEPTH=101)
    theirs = to_detectron2_cfg(cfg)
    assert theirs.MODEL.RPN.NMS_THRESH == 0.6
    assert theirs.MODEL.RESNETS.DEPTH == 101
    assert isinstance(theirs.DATASETS.TRAIN, tuple)
    assert "ENGINE" not in theirs.MODEL
    assert "STAGES" not in theirs


@needs_detectron2
def test_wrapper_copies_and_moves_as_one(weights):
    import copy

    model = engines(weights)[1]
    twin = copy.deepcopy(model)
    twin.double()
    assert twin._engine.pixel_mean.dtype == torch.float64
    assert model._engine.pixel_mean.dtype == torch.float32
    assert twin._engine.backbone is twin.backbone
