"""Weights of live: a trained file is enough, other files need their config named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bdd_inst.base.errors import DataError
from bdd_inst.cli import live
from bdd_inst.config.loading import get_cfg, merge_overrides
from bdd_inst.engines import build_model
from bdd_inst.images.video import VideoReader
from bdd_inst.live.weights import load_segmenter
from bdd_inst.weights.trained import identity_of

KEYS = (
    *("MODEL.META_ARCHITECTURE", "SemanticSegmentor", "MODEL.DEVICE", "cpu"),
    *("MODEL.SEM_SEG_HEAD.NAME", "Unet", "MODEL.SEM_SEG_HEAD.NUM_CLASSES", "1"),
    *("MODEL.SEM_SEG_HEAD.ENCODER", "resnet18", "INPUT.FORMAT", "RGB"),
    *("MODEL.SEM_SEG_HEAD.DECODER_CHANNELS", "[8, 8, 8, 8, 8]"),
)


@pytest.fixture
def trained(tmp_path):
    """A file as training leaves it."""
    cfg = get_cfg()
    merge_overrides(cfg, KEYS)
    path = tmp_path / "model_final.pth"
    content = {"model": build_model(cfg).state_dict(), **identity_of(cfg, {}).entry()}
    torch.save(content, path)
    return path


def test_a_trained_file_is_enough(trained, clip, tmp_path, capsys):
    assert load_segmenter(trained).channels == "RGB"
    out = tmp_path / "out.mp4"
    words = ["--input", str(clip), "--weights", str(trained), "--output", str(out)]
    assert live.main([*words, "--runtime", "torch"]) == 0
    assert len(list(VideoReader(out))) == 10
    assert "model: torch" in capsys.readouterr().err


def test_a_file_without_a_config_asks_for_it(tmp_path):
    torch.save({"model": {"a": torch.ones(1)}}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="--config"):
        load_segmenter(tmp_path / "w.pth")


def test_the_card_tells_the_cost_of_the_packages_model():
    """Its multiplications at 192x336 and its parameters, as docs/person-model.md has them."""
    card = Path(__file__).resolve().parents[2] / "docs" / "person-model.md"
    text = card.read_text(encoding="utf-8")
    millions = int(re.search(r"(\d+) million multiplications at 192x336", text)[1])
    parameters = float(re.search(r"([\d.]+) M parameters", text)[1])
    model = load_segmenter(None).model
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 192, 336))
    assert counter.get_total_flops() / 2e6 == pytest.approx(millions, abs=0.5)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(parameters, abs=0.005)
