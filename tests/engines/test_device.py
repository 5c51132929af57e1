"""MODEL.DEVICE on machines that have it and that have it not."""

from __future__ import annotations

import pytest
import torch

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.loading import get_cfg
from bdd_inst.engines.device import pick_device
from bdd_inst.training import launch


@pytest.fixture
def gpus(monkeypatch):
    """``gpus(n)``: a machine with that many GPUs of NVIDIA and none of Apple."""

    def have(number):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    return have


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:", "", "0"])
def test_what_is_no_device_is_one_line(gpus, name):
    gpus(1)
    with pytest.raises(ConfigError, match="none of cuda, cuda:N, mps, cpu"):
        pick_device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps"])
def test_what_is_not_here_becomes_the_cpu_and_is_said(gpus, caplog, name):
    gpus(0)
    assert pick_device(name) == torch.device("cpu")
    assert f"MODEL.DEVICE is {name} but there is none here" in caplog.text
    cfg = get_cfg()
    cfg.MODEL.DEVICE = name
    assert launch.pick_accelerator(cfg) == cfg.MODEL.DEVICE == "cpu"


def test_a_gpus_number_must_be_there(gpus):
    gpus(1)
    assert pick_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(ConfigError, match="this machine has 1 GPUs"):
        pick_device("cuda:1")


@pytest.mark.parametrize("has", [True, False])
def test_a_cpu_without_bf16_is_told_before_the_first_step(monkeypatch, caplog, has):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has)
    cfg = get_cfg()
    cfg.SOLVER.AMP.ENABLED = True
    assert launch.pick_precision(cfg, "cpu") == "bf16-mixed"
    assert ("no bf16 arithmetic" in caplog.text) is not has
