"""Weights into the real model and out again: what fits, what is said about the rest, and what is refused."""

import functools
import io
import logging
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st

from bdd_inst.base.errors import DataError
from bdd_inst.config.loading import get_cfg, load_cfg, merge_overrides
from bdd_inst.engines import build_model
from bdd_inst.weights.checkpoint import load_weights, save_weights
from bdd_inst.weights.reader import read_weights

SMALL = """
    MODEL.DEVICE cpu MODEL.MASK_ON True MODEL.ROI_HEADS.NUM_CLASSES 5
    MODEL.BACKBONE.NAME build_resnet_fpn_backbone MODEL.RESNETS.OUT_FEATURES ['res2','res3','res4','res5']
    MODEL.FPN.IN_FEATURES ['res2','res3','res4','res5'] MODEL.FPN.OUT_CHANNELS 16
    MODEL.ANCHOR_GENERATOR.SIZES [[32],[64],[128],[256],[512]] MODEL.RPN.IN_FEATURES ['p2','p3','p4','p5','p6']
    MODEL.ROI_HEADS.NAME StandardROIHeads MODEL.ROI_HEADS.IN_FEATURES ['p2','p3','p4','p5']
    MODEL.ROI_BOX_HEAD.NAME FastRCNNConvFCHead MODEL.ROI_BOX_HEAD.NUM_FC 2 MODEL.ROI_BOX_HEAD.FC_DIM 32
    MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION 7 MODEL.ROI_MASK_HEAD.NUM_CONV 4 MODEL.ROI_MASK_HEAD.CONV_DIM 16
"""
NARROW = "MODEL.RESNETS.RES2_OUT_CHANNELS 16 MODEL.RESNETS.STEM_OUT_CHANNELS 8 MODEL.RESNETS.WIDTH_PER_GROUP 4"
CLASS_LAYERS = 6  # cls_score, bbox_pred and the mask predictor, weight and bias each


def config(*overrides):
    cfg = get_cfg()
    merge_overrides(cfg, [*SMALL.split(), *NARROW.split(), *overrides])
    return cfg


def model_of(*overrides):
    return build_model(config(*overrides))


@pytest.fixture(scope="module")
def data_dir(pytestconfig):
    return pytestconfig.rootpath / "tests" / "fixtures" / "checkpoints"


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(7)
    model = model_of()
    for value in model.state_dict().values():
        value.copy_(torch.rand_like(value) + 0.5)
    return model


def same(first, second) -> bool:
    first, second = first.state_dict(), second.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("name", ["model_final.pth", "model_final.pkl"])
def test_saved_weights_come_back_bit_for_bit(model, tmp_path, name):
    save_weights(model, tmp_path / name)
    other = model_of()
    report = load_weights(other, tmp_path / name)
    assert report.complete
    assert same(model, other)


def test_saved_file_holds_detectron2s_names_and_plain_tensors(model, tmp_path):
    save_weights(model, tmp_path / "m.pth")
    state = torch.load(tmp_path / "m.pth", weights_only=True)["model"]
    assert "backbone.bottom_up.res2.0.conv1.weight" in state
    assert "roi_heads.box_predictor.cls_score.weight" in state
    assert all(t.is_contiguous() for t in state.values())


def test_model_zoo_pickle(data_dir):
    other = model_of()
    report = load_weights(other, data_dir / "zoo_style.pkl", config())
    assert report.complete
    assert len(report.loaded) == len(other.state_dict())
    assert not report.warnings


def test_msra_backbone_gives_detectron2s_features(data_dir):
    """Expected features were computed by Detectron2 from the same file."""
    other = model_of().eval()
    report = load_weights(other, data_dir / "msra_style.pkl", config())
    expected = np.load(data_dir / "msra_style_expected.npz")
    with torch.no_grad():
        features = other.backbone.bottom_up(torch.from_numpy(expected["input"]))
    for name in ("res2", "res3", "res4", "res5"):
        np.testing.assert_allclose(features[name], expected[name], rtol=0, atol=1e-5)
    assert all(name.startswith("backbone.bottom_up.") for name in report.loaded)
    assert {name.split(".")[0] for name in report.missing} == {
        "backbone",
        "proposal_generator",
        "roi_heads",
    }
    assert not report.unexpected
    assert report.ignored == ["fc1000_b", "fc1000_w"]


def test_folded_statistics_under_a_trained_norm_are_warned_of(data_dir):
    report = load_weights(model_of("MODEL.RESNETS.NORM", "BN"), data_dir / "msra_style.pkl")
    assert any("no BatchNorm statistics" in line for line in report.warnings)


@pytest.mark.parametrize("depth", [18, 50])
def test_torchvision_backbone_gives_torchvisions_features(tmp_path, depth):
    theirs = getattr(torchvision.models, f"resnet{depth}")(weights=None).eval()
    for name, value in theirs.named_buffers():
        value.copy_(torch.rand_like(value.float()) + 0.5 if "running" in name else value)
    torch.save(theirs.state_dict(), tmp_path / "resnet.pth")
    wide = [
        "MODEL.RESNETS.DEPTH",
        str(depth),
        "MODEL.RESNETS.STEM_OUT_CHANNELS",
        "64",
        "MODEL.RESNETS.WIDTH_PER_GROUP",
        "64",
    ]
    wide += [
        "MODEL.RESNETS.RES2_OUT_CHANNELS",
        "64" if depth == 18 else "256",
        "MODEL.RESNETS.STRIDE_IN_1X1",
        "False",
    ]
    ours = model_of(*wide).eval()
    report = load_weights(ours, tmp_path / "resnet.pth", config(*wide))
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(image))))
        got = ours.backbone.bottom_up(image)
        for stage, layer in enumerate(
            (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4), 2
        ):
            x = layer(x)
            torch.testing.assert_close(
                got[f"res{stage}"], x, rtol=1e-4, atol=1e-4 * x.abs().max().item()
            )
    assert not report.unexpected
    assert any("INPUT.FORMAT to RGB" in line for line in report.warnings)
    assert any("PIXEL_STD" in line for line in report.warnings)


def test_backbone_pickle_of_detectron2s_torchvision_converter(model, tmp_path):
    """Names as in Detectron2 but without the model's prefix, signed torchvision: it wants torchvision's preprocessing."""
    inside = "backbone.bottom_up."
    arrays = {
        name.removeprefix(inside): value.numpy()
        for name, value in model.state_dict().items()
        if name.startswith(inside)
    }
    content = {"model": arrays, "__author__": "torchvision", "matching_heuristics": True}
    (tmp_path / "R-50.pkl").write_bytes(pickle.dumps(content))
    other = model_of()
    report = load_weights(other, tmp_path / "R-50.pkl", config())
    assert len(report.loaded) == len(arrays)
    assert torch.equal(
        other.backbone.bottom_up.res5[2].conv3.weight, model.backbone.bottom_up.res5[2].conv3.weight
    )
    assert any("INPUT.FORMAT to RGB" in line for line in report.warnings)


def test_msra_weights_reach_the_box_head_of_c4_models(data_dir):
    cfg = load_cfg(
        Path(__file__).parents[1]
        / "fixtures"
        / "zoo_configs"
        / "instance_segmentation"
        / "mask_rcnn_R_50_C4_1x.yaml"
    )
    merge_overrides(cfg, ["MODEL.DEVICE", "cpu", *NARROW.split()])
    report = load_weights(build_model(cfg), data_dir / "msra_style.pkl", cfg)
    assert sum(name.startswith("backbone.res") for name in report.loaded) > 100
    assert sum(name.startswith("roi_heads.res5.") for name in report.loaded) == 10 * 5
    assert not report.mismatched


def test_other_class_count_reinitializes_the_class_layers_only(model, tmp_path, caplog):
    save_weights(model, tmp_path / "m.pth")
    other = model_of("MODEL.ROI_HEADS.NUM_CLASSES", "8")
    fresh = other.roi_heads.box_predictor.cls_score.weight.clone()
    with caplog.at_level(logging.WARNING):
        report = load_weights(other, tmp_path / "m.pth")
    assert len(report.reinitialized) == CLASS_LAYERS
    assert not report.missing
    assert not report.mismatched
    assert torch.equal(other.roi_heads.box_predictor.cls_score.weight, fresh)
    assert torch.equal(other.roi_heads.box_head.fc1.weight, model.roi_heads.box_head.fc1.weight)
    assert "roi_heads.box_predictor.cls_score.weight (6x32 in the file, 9x32 here)" in caplog.text


def test_missing_unexpected_and_misshapen_are_listed(model, tmp_path):
    state = {k: v.clone() for k, v in model.state_dict().items()}
    del state["roi_heads.box_head.fc2.bias"]
    state["roi_heads.box_head.fc1.weight"] = torch.zeros(3, 4)
    state["roi_heads.keypoint_head.conv1.weight"] = torch.zeros(1)
    torch.save({"model": state}, tmp_path / "m.pth")
    report = load_weights(model_of(), tmp_path / "m.pth")
    assert report.missing == ["roi_heads.box_head.fc2.bias"]
    assert report.unexpected == ["roi_heads.keypoint_head.conv1.weight"]
    assert len(report.mismatched) == 1
    assert "3x4 in the file" in report.mismatched[0]
    assert all("\n" not in line for line in report.lines())
    assert "roi_heads.keypoint_head.conv1.weight" in str(report)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {
            "model": s,
            "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}},
            "scheduler": {},
            "iteration": 99,
        },
        lambda s: {
            "state_dict": {f"model.{k}": v for k, v in s.items()},
            "pytorch-lightning_version": "2.6.6",
            "callbacks": {},
        },
        lambda s: {
            "model": {k: v * 0 for k, v in s.items()},
            "model_ema": {f"module.{k}": v for k, v in s.items()},
        },
        lambda s: {"state_dict": {f"module.{k}": v.double() for k, v in s.items()}},
    ],
    ids=["bare", "detectron2 training", "lightning", "ema before plain", "ddp, float64"],
)
def test_containers_of_other_trainers(model, tmp_path, wrap):
    torch.save(wrap(model.state_dict()), tmp_path / "m.ckpt")
    other = model_of()
    report = load_weights(other, tmp_path / "m.ckpt")
    assert report.complete
    assert same(model, other)
    assert bool(report.notes) == ("model_ema" in wrap({}))


def test_legacy_torch_file(model, tmp_path):
    torch.save(model.state_dict(), tmp_path / "m.pth", _use_new_zipfile_serialization=False)
    other = model_of()
    assert load_weights(other, tmp_path / "m.pth").complete


def test_old_buffers_are_no_news(model, tmp_path):
    extra = {
        "pixel_mean": torch.zeros(3, 1, 1),
        "proposal_generator.anchor_generator.cell_anchors.0": torch.zeros(3, 4),
    }
    torch.save({"model": model.state_dict() | extra}, tmp_path / "m.pth")
    assert load_weights(model_of(), tmp_path / "m.pth").complete


def test_wrapped_models_are_looked_through(model, tmp_path):
    save_weights(torch.nn.DataParallel(model), tmp_path / "m.pth")
    other = model_of()
    assert load_weights(torch.nn.DataParallel(other), tmp_path / "m.pth").complete
    assert same(model, other)


def test_nothing_that_fits_is_an_error(tmp_path):
    torch.save({"a.weight": torch.zeros(1)}, tmp_path / "m.pth")
    with pytest.raises(DataError, match=r"none of its 1 tensors fits.*a\.weight"):
        load_weights(model_of(), tmp_path / "m.pth")


def test_from_scratch_with_a_frozen_backbone_is_warned_of(model):
    assert "cannot learn" in str(load_weights(model, "", config()))
    assert "FREEZE_AT" in str(load_weights(model, "", config("MODEL.RESNETS.NORM", "BN")))
    assert (
        len(
            load_weights(
                model, "", config("MODEL.RESNETS.NORM", "BN", "MODEL.BACKBONE.FREEZE_AT", "0")
            ).lines()
        )
        == 1
    )


class Exploit:
    """What a malicious ``.pth`` holds."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("legacy", [False, True])
def test_malicious_torch_file_is_refused_and_does_not_run(model, tmp_path, legacy):
    witness = tmp_path / "owned"
    content = {"model": model.state_dict(), "iteration": Exploit(f"echo owned > {witness}")}
    torch.save(content, tmp_path / "evil.pth", _use_new_zipfile_serialization=not legacy)
    torch.load(tmp_path / "evil.pth", weights_only=False)
    assert witness.exists()  # the payload is real
    witness.unlink()
    with pytest.raises(DataError, match=r"evil\.pth: refused.*system") as caught:
        load_weights(model_of(), tmp_path / "evil.pth")
    assert "\n" not in str(caught.value)
    assert not witness.exists()


def test_malicious_pickle_is_refused_by_load_weights(tmp_path):
    witness = tmp_path / "owned"
    (tmp_path / "evil.pth").write_bytes(
        pickle.dumps({"model": Exploit(f"echo owned > {witness}")})
    )  # a plain pickle under a torch name
    with pytest.raises(DataError, match="refused"):
        load_weights(model_of(), tmp_path / "evil.pth")
    assert not witness.exists()


def test_compressed_archive_is_refused(tmp_path):
    torch.save({"w": torch.zeros(1000)}, tmp_path / "m.pth")
    with (
        zipfile.ZipFile(tmp_path / "m.pth") as source,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    with pytest.raises(DataError, match="refused.*compressed"):
        load_weights(model_of(), tmp_path / "bomb.pth")


def test_views_that_claim_more_than_the_file_holds_are_refused(tmp_path):
    torch.save({"w": torch.zeros(1).expand(1 << 40)}, tmp_path / "m.pth")
    with pytest.raises(DataError, match="refused, its tensors claim"):
        load_weights(model_of(), tmp_path / "m.pth")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("m.pth", b"<!DOCTYPE html>", "an HTML page"),
        ("m.pth", b"", "empty"),
        (
            "m.pth",
            b"version https://git-lfs.github.com/spec/v1",
            "neither a pickle nor a torch file",
        ),
        ("m.pkl", b"junk", "not a readable weight pickle"),
        ("m.pkl", pickle.dumps([1, 2]), "holds a list"),
        ("m.pkl", pickle.dumps({"epoch": 3}), "holds no weights .its keys: epoch"),
    ],
)
def test_files_that_are_no_weights_get_one_line(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        load_weights(model_of(), tmp_path / name)
    assert "\n" not in str(caught.value)


@functools.cache
def small_files():
    """One weight file of each container, as bytes. Made once: every draw must see the same ones, and pickle promises no such thing."""
    arrays = {
        "model": {"a": np.arange(6, dtype="f4").reshape(2, 3), "b": np.float32(3)},
        "__author__": "x",
        "l": [1, (2,), {"q": b"z"}],
    }
    out = [pickle.dumps(arrays, protocol) for protocol in range(6)]
    for zipped in (True, False):
        stream = io.BytesIO()
        torch.save(
            {"model": {"w": torch.zeros(3, 4)}, "iteration": 3},
            stream,
            _use_new_zipfile_serialization=zipped,
        )
        out.append(stream.getvalue())
    return out


@pytest.mark.filterwarnings("ignore")
@given(data=st.data())
def test_damage_anywhere_gives_weights_or_one_line(tmp_path_factory, data):
    content = bytearray(data.draw(st.sampled_from(small_files())))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position : position + data.draw(st.integers(0, 4))] = data.draw(
            st.binary(max_size=4)
        )
        if not content:
            break
    path = tmp_path_factory.mktemp("damage") / "m.pkl"
    path.write_bytes(content)
    said = ""
    try:
        read_weights(path)
    except DataError as error:
        said = str(error)
    assert "\n" not in said


def test_file_cut_short(model, tmp_path):
    save_weights(model, tmp_path / "m.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "m.pth").read_bytes()[:-5000])
    with pytest.raises(DataError, match=r"cut\.pth: not a readable torch file"):
        load_weights(model_of(), tmp_path / "cut.pth")
