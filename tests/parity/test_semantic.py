"""The semantic FPN against what Detectron2 computed: logits on the original image, loss and gradient norms in both precisions."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from bdd_inst.config.loading import load_cfg, merge_tree, read_tree
from bdd_inst.data.mapper import DatasetMapper
from bdd_inst.engines import build_model

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "parity" / "semantic_r50_fpn"
LOGIT, LOSS = 1e-3, 1e-5


def config():
    cfg = load_cfg("Base-MaskRCNN-FPN.yaml")
    tree = read_tree(FOLDER / "config.yaml")
    tree.pop("_ZOO_", None)
    merge_tree(cfg, tree, "config.yaml")
    cfg.merge_from_list(
        [
            "MODEL.DEVICE",
            "cpu",
            "MODEL.META_ARCHITECTURE",
            "SemanticSegmentor",
            "MODEL.MASK_ON",
            False,
        ]
    )
    return cfg


@cache
def weights() -> dict[str, torch.Tensor]:
    with np.load(FOLDER / "weights.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def build() -> torch.nn.Module:
    model = build_model(config())
    report = model.load_state_dict(weights(), strict=True)
    assert not report.missing_keys
    return model


@pytest.mark.parametrize("index", [0, 1])
def test_logits_on_the_original_image(index):
    mapper = DatasetMapper(config(), is_train=False)
    path = FOLDER / f"image{index}.png"
    given = mapper({"file_name": str(path), "image_id": index}, np.random.default_rng(0))
    with np.load(FOLDER / f"outputs{index}.npz") as file:
        resized, want = file["resized"], file["sem_seg"]
    np.testing.assert_array_equal(given["image"].permute(1, 2, 0).numpy(), resized)
    got = build().eval()([given])[0]["sem_seg"].numpy()
    assert got.shape == want.shape
    assert got.dtype == np.float32
    assert np.abs(got - want).max() < LOGIT
    ties = np.partition(want, -2, axis=0)
    assert np.array_equal(
        got.argmax(0)[ties[-1] - ties[-2] > 2 * LOGIT],
        want.argmax(0)[ties[-1] - ties[-2] > 2 * LOGIT],
    )


def training_batch(dtype: torch.dtype) -> list[dict]:
    batch = []
    for index in (0, 1):
        with np.load(FOLDER / f"train{index}.npz") as file:
            image, labels = file["image_bgr"], file["sem_seg"]
        assert (labels == 255).any()
        batch.append(
            {
                "image": torch.from_numpy(image).permute(2, 0, 1).to(dtype),
                "sem_seg": torch.from_numpy(labels.astype(np.int64)),
            }
        )
    return batch


@pytest.mark.parametrize(
    ("file", "dtype"), [("losses.json", torch.float32), ("losses64.json", torch.float64)]
)
def test_loss_and_gradients(file, dtype):
    reference = json.loads((FOLDER / file).read_text())
    want = reference["polygon"]
    model = build().train().to(dtype)
    losses = model(training_batch(dtype))
    assert set(losses) == set(want["losses"]) == {"loss_sem_seg"}
    assert losses["loss_sem_seg"].item() == pytest.approx(want["losses"]["loss_sem_seg"], rel=LOSS)
    losses["loss_sem_seg"].backward()
    norms = {n: p.grad.norm().item() for n, p in model.named_parameters() if p.grad is not None}
    assert set(norms) == set(want["gradient_norms"])
    allowed = max(1e-4, 10 * reference["stability"])
    for name, value in want["gradient_norms"].items():
        assert norms[name] == pytest.approx(value, rel=allowed, abs=1e-12), name
