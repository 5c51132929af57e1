"""Two processes do what one does with the same total batch; what differs is written down here."""

from __future__ import annotations

import csv
import json
import sys
import time

import pytest
import torch

from bdd_inst.base.errors import ConfigError
from bdd_inst.training import launch
from tests.waiting import LAST_RESORT

# Images of one size a batch: otherwise each process pads to its own largest image, and features near the padding differ.
# Frozen norms: a batch norm sees its own process's images only (SyncBN is there for that).
SETTINGS = (
    "INPUT.MIN_SIZE_TRAIN", "[64]", "MODEL.RESNETS.NORM", "FrozenBN", "SOLVER.IMS_PER_BATCH", 4, "SOLVER.LOG_PERIOD", 1,
    "TEST.VAL_LOSS_PICTURES", -1, "TEST.EVAL_PERIOD", 5,
)  # fmt: skip


def rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def both(tiny, tmp_path_factory):
    """The folders of the same run by one process and by two."""
    folder = tmp_path_factory.mktemp("distributed")
    tiny("--output", folder / "one", *SETTINGS)
    tiny("--output", folder / "two", "--num-gpus", 2, *SETTINGS)
    return folder / "one", folder / "two"


def test_the_losses_are_the_same(both):
    one, two = (rows(folder / "training.csv") for folder in both)
    assert len(one) == len(two) == 14
    for name in ("loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg"):
        assert float(two[0][name]) == pytest.approx(float(one[0][name]), rel=1e-5), name
    # Masks are averaged over the positives of a process, and processes have different numbers of them (Detectron2 does the same).
    assert float(two[0]["loss_mask"]) == pytest.approx(float(one[0]["loss_mask"]), rel=1e-3)
    # In the heads stage nothing but its own losses moves the RPN.
    for first, second in zip(one[:5], two[:5], strict=True):
        for name in ("loss_rpn_cls", "loss_rpn_loc"):
            assert float(second[name]) == pytest.approx(float(first[name]), rel=1e-4)
    # Later, masks' weights and near-equal proposals that swap places set the runs apart, slowly.
    for first, second in zip(one, two, strict=True):
        assert float(second["total_loss"]) == pytest.approx(float(first["total_loss"]), rel=0.05)
        assert second["lr"] == first["lr"]


def test_evaluation_is_shared_out_and_comes_back_whole(both):
    one, two = (rows(folder / "evaluations.csv") for folder in both)
    assert [row["iteration"] for row in one] == [row["iteration"] for row in two]
    for first, second in zip(one[:1], two[:1], strict=True):
        assert float(second["val/loss_rpn_cls"]) == pytest.approx(
            float(first["val/loss_rpn_cls"]), rel=1e-4
        )
    results = json.loads((both[1] / "coco_instances_results.json").read_text())
    counts = [sum(r["image_id"] == image_id for r in results) for image_id in range(101, 105)]
    assert all(0 < count <= 5 for count in counts), (
        counts
    )  # DETECTIONS_PER_IMAGE is 5: no image came twice


def test_one_process_writes(both):
    assert len(list((both[1] / "pictures").glob("*.png"))) == 2
    assert json.loads((both[1] / "run.json").read_text())["processes"] == 2
    assert not (both[1] / "run.lock").exists()


@pytest.mark.slow
def test_accumulated_parts_make_the_same_step(tiny_cfg, both, tmp_path):
    """Four images in two parts: the same average of gradients as two processes take, in one process."""
    from bdd_inst.training.train import train

    folder = train(
        tiny_cfg(*SETTINGS, "SOLVER.ACCUMULATE", 2, "TEST.PICTURES", 0), str(tmp_path / "run")
    ).folder
    for mine, theirs in zip(
        rows(folder / "training.csv"), rows(both[1] / "training.csv"), strict=True
    ):
        assert float(mine["total_loss"]) == pytest.approx(float(theirs["total_loss"]), rel=2e-3)


def program(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_one_failing_process_ends_the_others():
    started = time.monotonic()
    code = launch.wait_for_all(
        program(
            f"import os, sys, time; sys.exit(3) if os.environ['LOCAL_RANK'] == '1' else time.sleep({LAST_RESORT})"
        ),
        2,
    )
    assert code == 3
    assert time.monotonic() - started < LAST_RESORT


def test_processes_are_told_their_place():
    text = "import os, sys; sys.exit(os.environ['RANK'] != str(4 + int(os.environ['LOCAL_RANK'])) or os.environ['WORLD_SIZE'] != '6')"
    assert (
        launch.wait_for_all(
            program(text), 2, machines=3, machine_rank=2, url="tcp://127.0.0.1:2950"
        )
        == 0
    )


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, launch.LaunchConfig(2, 3, "none")),
        ({"LOCAL_RANK": "1"}, launch.LaunchConfig(2, 3, "self")),
        (
            {
                "TORCHELASTIC_RUN_ID": "x",
                "LOCAL_WORLD_SIZE": "4",
                "WORLD_SIZE": "8",
                "RANK": "5",
                "LOCAL_RANK": "1",
                "GROUP_RANK": "1",
            },
            launch.LaunchConfig(2, 4, "torchrun"),
        ),
        (
            {
                "SLURM_NTASKS": "8",
                "SLURM_NNODES": "2",
                "SLURM_JOB_NAME": "job",
                "SLURM_PROCID": "3",
            },
            launch.LaunchConfig(2, 4, "slurm"),
        ),
        ({"SLURM_NTASKS": "8", "SLURM_JOB_NAME": "bash"}, launch.LaunchConfig(2, 3, "none")),
    ],
)
def test_whoever_started_the_processes_is_told_from_the_environment(monkeypatch, env, expected):
    for name in ("LOCAL_RANK", "TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "SLURM_JOB_NAME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert launch.find_launch_config(3, 2) == expected


@pytest.mark.parametrize("url", ["auto", "localhost:2950", "tcp://localhost", "tcp://:2950"])
def test_addresses_that_lead_nowhere_are_refused(url):
    with pytest.raises(ConfigError, match="dist-url"):
        launch.parse_url(url, 2)


def test_more_gpus_than_there_are_is_refused(tiny_cfg, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="this machine has 1"):
        launch.make_fabric(tiny_cfg("MODEL.DEVICE", "cuda"), launch.LaunchConfig(1, 2, "self"))


@pytest.mark.parametrize(
    ("enabled", "kind", "accelerator", "expected"),
    [
        (False, "auto", "cpu", "32-true"),
        (True, "auto", "cpu", "bf16-mixed"),
        (True, "bf16", "cpu", "bf16-mixed"),
        (True, "fp16", "cpu", "bf16-mixed"),
        (True, "fp16", "cuda", "16-mixed"),
    ],
)
def test_precision_by_what_the_device_can(
    tiny_cfg, monkeypatch, enabled, kind, accelerator, expected
):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    cfg = tiny_cfg("SOLVER.AMP.ENABLED", enabled, "SOLVER.AMP.PRECISION", kind)
    assert launch.pick_precision(cfg, accelerator) == expected
