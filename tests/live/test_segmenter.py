"""Segmenters: any pixel-wise model becomes image -> alpha; the fastest way of running it is one that gives the same."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.loading import get_cfg, merge_overrides
from bdd_inst.engines import build_model
from bdd_inst.live import runtimes
from bdd_inst.live.segmenter import ModelSegmenter, from_cfg, network_size

SMALL = (
    *("MODEL.META_ARCHITECTURE", "SemanticSegmentor", "MODEL.DEVICE", "cpu"),
    *("MODEL.SEM_SEG_HEAD.NAME", "Unet", "MODEL.SEM_SEG_HEAD.NUM_CLASSES", "1"),
    *("MODEL.SEM_SEG_HEAD.ENCODER", "resnet18"),
    *("MODEL.SEM_SEG_HEAD.DECODER_CHANNELS", "[8, 8, 8, 8, 8]"),
)

# A head of the project's own layers, whose norms exporters do not follow.
OWN_LAYERS = (
    *("MODEL.SEM_SEG_HEAD.NAME", "FastSCNN", "MODEL.SEM_SEG_HEAD.ENCODER", ""),
    *("MODEL.SEM_SEG_HEAD.DECODER_CHANNELS", "[]", "MODEL.BACKBONE.FREEZE_AT", "0"),
)


class Redness(nn.Module):
    """Logits from the last channel (red of BGR); ``classes`` planes, the last of which is the person."""

    def __init__(self, classes: int = 1):
        super().__init__()
        self.classes = classes

    def forward(self, batch: list[dict]) -> list[dict]:
        out = []
        for entry in batch:
            assert not self.training
            red = (entry["image"][-1:] - 128) / 16
            assert red.shape[1:] == (entry["height"], entry["width"])
            rest = torch.zeros(self.classes - 1, *red.shape[1:])
            out.append({"sem_seg": torch.cat([rest, red])})
        return out


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((720, 1280), (192, 352)),
        ((1280, 720), (352, 192)),
        ((10, 10), (256, 256)),
        ((1, 9000), (64, 1024)),
    ],
)
def test_what_the_model_sees_keeps_the_proportions(size, expected):
    assert network_size(*size) == expected


def test_a_model_becomes_alpha(image_labels):
    found = ModelSegmenter(Redness().train())(image_labels(0, 288, 512))
    assert found.dtype == np.float32
    assert found.shape == (192, 352)
    assert found[96, 118] > 0.98
    assert found[5, 5] < 0.02


def test_channel_order_and_several_classes(image_labels):
    image = image_labels(0, 288, 512)
    plain = ModelSegmenter(Redness())(image)
    swapped = ModelSegmenter(Redness(), channels="RGB")(np.ascontiguousarray(image[..., ::-1]))
    assert np.abs(plain - swapped).max() < 1e-6
    assert np.abs(plain - ModelSegmenter(Redness(2))(image)).max() < 1e-5
    assert ModelSegmenter(Redness(5), person=4)(image)[96, 118] > 0.9
    with pytest.raises(ConfigError, match="5 classes"):
        ModelSegmenter(Redness(5))(image)


def test_the_fastest_exact_way_is_taken(image_labels, monkeypatch):
    def wrong(model, size):
        return lambda image: 1 - runtimes.torch_runtime(model, size)(image)

    def absent(model, size):
        raise ImportError("nothing here")

    def failing(model, size):
        raise RuntimeError("no such operation")

    ways = {"torch": runtimes.torch_runtime, "wrong": wrong, "absent": absent, "failing": failing}
    monkeypatch.setattr(runtimes, "RUNTIMES", ways)
    segmenter = ModelSegmenter(Redness())
    found = segmenter.choose((288, 512), tuple(ways))
    assert segmenter.name == "torch"
    assert found["torch"].endswith(" ms")
    assert found["wrong"].startswith("differs by")
    assert found["absent"] == "not installed"
    assert "RuntimeError" in found["failing"]
    assert segmenter(image_labels(0, 288, 512)).shape == (192, 352)


def test_a_model_without_its_padding_gives_the_same():
    cfg = get_cfg()
    merge_overrides(cfg, SMALL)
    model = build_model(cfg).eval()
    segmenter = from_cfg(cfg, model)
    image = np.random.default_rng(0).uniform(0, 255, (1, 3, 64, 96)).astype(np.float32)
    with torch.inference_mode():
        tensor = torch.from_numpy(image)
        own = model([{"image": tensor[0], "height": 64, "width": 96}])[0]["sem_seg"]
        assert torch.allclose(segmenter.model(tensor), own[0].sigmoid(), atol=1e-4)


def needs(*names: str) -> None:
    """Skip where a package is missing; importing OpenVINO by itself would start threads that report to its makers."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("more", [(), OWN_LAYERS], ids=["library", "own"])
def test_exported_models_give_the_same(name, more):
    needs(name, "onnx")
    cfg = get_cfg()
    merge_overrides(cfg, [*SMALL, *more])
    segmenter = from_cfg(cfg, build_model(cfg))
    found = segmenter.choose((144, 256), (name,))  # a size that pyramid pooling does not divide
    assert found[name].endswith(" ms")
    assert segmenter.name == name


def test_a_conversion_is_reported_to_nobody():
    """In a process of its own: what is imported first counts."""
    needs("openvino")
    script = """
import sys, threading
import torch
from bdd_inst.live import runtimes
run = runtimes.openvino_runtime(torch.nn.Flatten(0, 1), (8, 8))
print("openvino_telemetry" in sys.modules, threading.active_count())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "1"]


def test_what_rounds_coarsely_is_taken_by_name_alone_and_says_so(monkeypatch):
    def coarse(model, size):
        return lambda image: runtimes.torch_runtime(model, size)(image).round(1)

    def wrong(model, size):
        return lambda image: 1 - runtimes.torch_runtime(model, size)(image)

    monkeypatch.setattr(runtimes, "RUNTIMES", {"coarse": coarse, "wrong": wrong, "too": coarse})
    assert (
        ModelSegmenter(Redness()).choose((64, 64), ("coarse", "too"))["coarse"] == "differs by 0.05"
    )
    segmenter = ModelSegmenter(Redness())
    assert (
        "ms, probabilities differ by up to 0.05"
        in segmenter.choose((64, 64), ("coarse",))["coarse"]
    )
    assert segmenter.name == "coarse"
    assert ModelSegmenter(Redness()).choose((64, 64), ("wrong",))["wrong"].startswith("differs by")


def test_a_model_that_cannot_be_exported_leaves_no_noise(capfd):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")

    class Bessel(Redness):
        def forward(self, batch):
            return [
                {"sem_seg": torch.special.bessel_j0(o["sem_seg"])} for o in super().forward(batch)
            ]

    found = ModelSegmenter(Bessel()).choose((256, 256), ("onnxruntime",))
    assert "cannot run this model" in found["onnxruntime"]
    assert capfd.readouterr() == ("", "")


def test_a_model_of_instances_is_refused():
    with pytest.raises(ConfigError, match="SemanticSegmentor"):
        from_cfg(get_cfg(), nn.Identity())
