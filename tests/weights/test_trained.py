"""A weight file of ours says what it is, stays Detectron2's form, and a part of a model is never taken for the whole."""

from __future__ import annotations

import pickle

import pytest
import torch

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.inference.predictor import Predictor, load_model
from bdd_inst.inference.results import OutputClasses
from bdd_inst.weights.checkpoint import load_weights, save_weights
from bdd_inst.weights.trained import as_cfg, identity_of, read_identity, trained_cfg

TINY = [
    "INPUT.MIN_SIZE_TEST",
    "64",
    "INPUT.MAX_SIZE_TEST",
    "96",
    "MODEL.FPN.OUT_CHANNELS",
    "16",
    "MODEL.RESNETS.RES2_OUT_CHANNELS",
    "16",
    "MODEL.RESNETS.STEM_OUT_CHANNELS",
    "16",
    "MODEL.ROI_BOX_HEAD.FC_DIM",
    "32",
    "MODEL.ROI_MASK_HEAD.CONV_DIM",
    "16",
    "MODEL.ROI_HEADS.NUM_CLASSES",
    "2",
]
METADATA = {
    "name": "mine",
    "thing_classes": ("cat", "dog"),
    "thing_colors": [(1, 2, 3), (4, 5, 6)],
    "thing_dataset_id_to_contiguous_id": {17: 0, 18: 1},
}


@pytest.fixture(scope="module")
def cfg():
    return load_cfg("demo.yaml", TINY)


@pytest.fixture(scope="module")
def model(cfg):
    return build_model(cfg)


@pytest.fixture(scope="module", params=["model_final.pth", "model_final.pkl"])
def file(cfg, model, tmp_path_factory, request):
    path = tmp_path_factory.mktemp("weights") / request.param
    save_weights(model, path, identity_of(cfg, METADATA).entry())
    return path


def test_a_predictor_needs_the_file_alone(file):
    predictor = Predictor(file)
    assert predictor.cfg.MODEL.FPN.OUT_CHANNELS == 16
    assert str(file) == predictor.cfg.MODEL.WEIGHTS
    categories = OutputClasses.of(predictor.cfg, predictor.metadata)
    assert (categories.names, categories.ids) == (["cat", "dog"], [17, 18])
    assert categories.colors == [[1, 2, 3], [4, 5, 6]]
    assert (
        Predictor(str(file), overrides=["INPUT.MIN_SIZE_TEST", "80"]).cfg.INPUT.MIN_SIZE_TEST == 80
    )


def test_detectron2_finds_what_it_looks_for(file, model):
    if file.suffix == ".pkl":
        content = pickle.loads(file.read_bytes())
    else:
        content = torch.load(file, weights_only=True)
    assert content["model"].keys() == model.state_dict().keys()
    assert set(content) == {"model", "__author__", "bdd_inst"}


def test_the_identity_comes_back_as_it_was_given(file, cfg):
    found = read_identity(file)
    assert found.metadata["thing_dataset_id_to_contiguous_id"] == {17: 0, 18: 1}
    assert "name" not in found.metadata
    assert found.config == cfg.dump()


def test_files_of_others_ask_for_a_config(model, tmp_path):
    torch.save(model.state_dict(), tmp_path / "bare.pth")
    assert read_identity(tmp_path / "bare.pth") is None
    with pytest.raises(DataError, match=r"bare\.pth: .* --config"):
        Predictor(tmp_path / "bare.pth")


@pytest.mark.parametrize(
    "content",
    [3, {}, {"config": 3}, {"config": "MODEL: {X: 1}"}, {"config": "- a"}, {"config": "{"}],
)
def test_a_broken_identity_is_one_line(content, model, tmp_path):
    path = tmp_path / "m.pth"
    save_weights(model, path, {"bdd_inst": content})
    with pytest.raises((DataError, ConfigError), match=r"m\.pth"):
        trained_cfg(path)


def test_metadata_of_odd_types_are_left_out(model, cfg, tmp_path):
    odd = {"thing_classes": [1, 2], "thing_colors": "red", "thing_dataset_id_to_contiguous_id": []}
    entry = {"bdd_inst": {"config": cfg.dump(), "metadata": odd, "version": 3}}
    save_weights(model, tmp_path / "m.pth", entry)
    assert read_identity(tmp_path / "m.pth").metadata == {}


def test_another_number_of_classes_is_an_error_that_names_it(file, cfg):
    other = as_cfg(cfg, ["MODEL.WEIGHTS", str(file), "MODEL.ROI_HEADS.NUM_CLASSES", "5"])
    with pytest.raises(ConfigError, match=r"set MODEL\.ROI_HEADS\.NUM_CLASSES 2"):
        load_model(other)
    assert load_weights(build_model(other), file, other).reinitialized  # to train on it is fine


def test_a_backbone_alone_does_not_predict(model, cfg, tmp_path):
    state = {k: v for k, v in model.state_dict().items() if k.startswith("backbone.")}
    torch.save({"model": state}, tmp_path / "backbone.pth")
    with pytest.raises(DataError, match=r"not in the file .*train first"):
        load_model(as_cfg(cfg, ["MODEL.WEIGHTS", str(tmp_path / "backbone.pth")]))


@pytest.mark.parametrize("place", ["/etc/x", "../../x", "a/../../x"])
def test_a_weight_file_neither_imports_nor_chooses_where_to_write(place, model, cfg, tmp_path):
    other = cfg.clone()
    other.defrost()
    other.OUTPUT_DIR, other.DATASETS.IMPORTS = place, ["this_module_is_not_there"]
    save_weights(model, tmp_path / "m.pth", identity_of(other, METADATA).entry())
    found = trained_cfg(tmp_path / "m.pth")
    assert (found.OUTPUT_DIR, found.DATASETS.IMPORTS) == ("./output", [])
    assert place == trained_cfg(tmp_path / "m.pth", ["OUTPUT_DIR", place]).OUTPUT_DIR
