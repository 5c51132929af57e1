"""Names of Caffe2 blobs and of torchvision, against models built by torchvision and against every blob name by hand."""

import pytest
import torch
import torchvision

from bdd_inst.weights.names import NamedWeights, align_names, naming_style, to_detectron2_names


@pytest.mark.parametrize(
    ("blob", "name"),
    [
        ("conv1_w", "stem.conv1.weight"),
        ("res_conv1_bn_s", "stem.conv1.norm.weight"),
        ("res_conv1_bn_b", "stem.conv1.norm.bias"),
        ("conv1_gn_s", "stem.conv1.norm.weight"),
        ("res2_0_branch1_w", "res2.0.shortcut.weight"),
        ("res2_0_branch1_bn_beta", "res2.0.shortcut.norm.bias"),
        ("res4_22_branch2a_bn_gamma", "res4.22.conv1.norm.weight"),
        ("res4_22_branch2b_bn_running_mean", "res4.22.conv2.norm.running_mean"),
        ("res5_2_branch2c_bn_riv", "res5.2.conv3.norm.running_var"),
        ("res3_1_branch2b_gn_b", "res3.1.conv2.norm.bias"),
        ("fpn_inner_res5_2_sum_w", "backbone.fpn_lateral5.weight"),
        ("fpn_inner_res4_22_sum_lateral_b", "backbone.fpn_lateral4.bias"),
        ("fpn_inner_res2_2_sum_lateral_gn_s", "backbone.fpn_lateral2.norm.weight"),
        ("fpn_res3_3_sum_w", "backbone.fpn_output3.weight"),
        ("conv_rpn_fpn2_w", "proposal_generator.rpn_head.conv.weight"),
        ("rpn_cls_logits_fpn2_b", "proposal_generator.rpn_head.objectness_logits.bias"),
        ("rpn_bbox_pred_w", "proposal_generator.rpn_head.anchor_deltas.weight"),
        ("fc6_w", "roi_heads.box_head.fc1.weight"),
        ("head_conv3_gn_b", "roi_heads.box_head.conv3.norm.bias"),
        ("_[mask]_fcn4_w", "roi_heads.mask_head.mask_fcn4.weight"),
        ("conv5_mask_b", "roi_heads.mask_head.deconv.bias"),
        ("a_blob_of_no_one", "a_blob_of_no_one"),
    ],
)
def test_blob_names(blob, name):
    state = {"res2_0_branch2a_w": torch.zeros(1), blob: torch.ones(1)}
    assert to_detectron2_names(state).tensors[name].item() == 1


def test_momentum_blobs_are_left_out():
    state = {"res2_0_branch2a_w": torch.zeros(1), "conv1_w_momentum": torch.zeros(1)}
    assert set(to_detectron2_names(state).tensors) == {"res2.0.conv1.weight"}


def test_background_moves_from_first_to_last():
    names = ("cls_score_w", "cls_score_b", "bbox_pred_w", "mask_fcn_logits_w")
    rows = dict(zip(names, (3, 3, 12, 3)))
    state = {name: torch.arange(float(n))[:, None] for name, n in rows.items()} | {
        "res2_0_branch2a_w": torch.zeros(1)
    }
    got = to_detectron2_names(state).tensors
    assert got["roi_heads.box_predictor.cls_score.weight"].flatten().tolist() == [1, 2, 0]
    assert got["roi_heads.box_predictor.bbox_pred.weight"].flatten().tolist() == [
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        11,
    ]
    assert got["roi_heads.mask_head.predictor.weight"].flatten().tolist() == [1, 2]


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d"])
def test_every_name_of_torchvisions_resnets_is_converted(name):
    state = getattr(torchvision.models, name)(weights=None).state_dict()
    got = to_detectron2_names(state)
    assert got.kind == "torchvision resnet"
    left = {
        n
        for n in got.tensors
        if not n.startswith(("stem.conv1.", "res2.", "res3.", "res4.", "res5."))
    }
    assert left == {"fc.weight", "fc.bias"}
    assert not [n for n in got.tensors if "bn" in n or "downsample" in n]
    assert (
        got.tensors["res3.0.shortcut.norm.running_var"]
        is state["layer2.0.downsample.1.running_var"]
    )


@pytest.mark.parametrize(
    "prefix", ["", "module.", "model.", "module._orig_mod.", "_orig_mod.model."]
)
def test_wrapper_prefixes_are_taken_off(prefix):
    state = {prefix + "roi_heads.box_head.fc1.weight": torch.zeros(1)}
    assert list(to_detectron2_names(state).tensors) == ["roi_heads.box_head.fc1.weight"]


def test_styles():
    assert naming_style(["backbone.bottom_up.res2.0.conv1.weight"]) == "detectron2"
    assert naming_style(["rpn.head.conv.weight"]) == "torchvision maskrcnn"


def test_backbone_names_find_their_place_by_ending():
    model = [
        "backbone.bottom_up.stem.conv1.weight",
        "backbone.bottom_up.res2.0.conv1.weight",
        "roi_heads.mask_head.conv1.weight",
    ]
    weights = NamedWeights(
        {n: torch.zeros(1) for n in ("stem.conv1.weight", "res2.0.conv1.weight")}, "caffe2"
    )
    assert align_names(weights, model) == {
        model[0]: "stem.conv1.weight",
        model[1]: "res2.0.conv1.weight",
    }


def test_an_ending_that_fits_two_places_fits_none():
    weights = NamedWeights({"conv1.weight": torch.zeros(1)}, "detectron2")
    assert align_names(weights, ["a.conv1.weight", "b.conv1.weight"]) == {}


def test_names_and_eps_of_torchvisions_first_coco_detector():
    """Its file predates torchvision's nested names, and it was trained with eps 0 in its norms; ours have 1e-5."""
    names = [
        "backbone.body.bn1.running_var",
        "backbone.fpn.inner_blocks.0.weight",
        "backbone.fpn.layer_blocks.3.bias",
    ]
    names += [
        "rpn.head.conv.weight",
        "roi_heads.mask_head.mask_fcn1.weight",
        "roi_heads.box_head.fc7.bias",
    ]
    got = to_detectron2_names({name: torch.ones(1) for name in names})
    assert list(got.tensors) == [
        "stem.conv1.norm.running_var",
        "backbone.fpn_lateral2.weight",
        "backbone.fpn_output5.bias",
        "proposal_generator.rpn_head.conv.weight",
        "roi_heads.mask_head.mask_fcn1.weight",
        "roi_heads.box_head.fc2.bias",
    ]
    assert got.tensors["stem.conv1.norm.running_var"].item() == pytest.approx(1 - 1e-5)
    assert any("eps 0" in note for note in got.notes)
