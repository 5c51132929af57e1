"""Sweeps: how values are written, which runs they become, and the table at the end."""

from __future__ import annotations

import json
import sys

import pytest

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.training.tune.sweep import parse_sweep, plan, render, split_values, sweep

# Plays a training run: reads its BASE_LR from the command line, fails at 9, leaves run.json.
RUN = """
import json, sys, pathlib
folder, rate = pathlib.Path(sys.argv[1]), float(sys.argv[3])
if rate == 9: sys.exit("error: it blew up")
folder.mkdir(parents=True)
(folder / "run.json").write_text(json.dumps({"finished": "now", "results": {"segm/AP": 10 * rate, "bbox/AP": None}}))
"""


def command(trial):
    return [sys.executable, "-c", RUN, str(trial.folder), *trial.overrides]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1e-4,1e-3", ["1e-4", "1e-3"]),
        ("[1,2],[3]", ["[1,2]", "[3]"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ("(1, 2)", ["(1, 2)"]),
        (",", []),
    ],
)
def test_values_are_split_outside_brackets(text, values):
    assert split_values(text) == values


@pytest.mark.parametrize("specs", [["SOLVER.BASE_LR"], ["=1,2"], ["A=1", "A=2"]])
def test_a_sweep_that_cannot_be_read_is_refused(specs):
    with pytest.raises(ConfigError, match="--sweep"):
        parse_sweep(specs)


def test_every_combination_gets_a_folder_of_its_own(tmp_path):
    trials = plan(parse_sweep(["SOLVER.BASE_LR=1,2", "DATASETS.TRAIN=['a/b'],['c']"]), tmp_path)
    assert [tuple(trial.values.values()) for trial in trials] == [
        ("1", "['a/b']"),
        ("1", "['c']"),
        ("2", "['a/b']"),
        ("2", "['c']"),
    ]
    assert len({trial.folder for trial in trials}) == 4
    assert all(trial.folder.parent == tmp_path for trial in trials)


def test_the_table_has_every_run_and_marks_the_best(tmp_path):
    trials = plan(parse_sweep(["SOLVER.BASE_LR=1,3,9,2"]), tmp_path)
    text = sweep(trials, tmp_path, command)
    lines = (tmp_path / "sweep.md").read_text().splitlines()
    assert lines[0].split("|")[1].strip() == "SOLVER.BASE_LR"
    assert "**30.00**" in lines[3]
    assert "failed: error: it blew up" in lines[4]
    assert text.startswith(lines[0])
    assert (tmp_path / "sweep.csv").read_text().splitlines()[:2] == [
        "SOLVER.BASE_LR,bbox/AP,segm/AP,run",
        "1,,10.0,00_BASE_LR=1",
    ]


def test_finished_runs_are_not_run_again(tmp_path):
    trials = plan(parse_sweep(["SOLVER.BASE_LR=1,2"]), tmp_path)
    sweep(trials, tmp_path, command)
    facts = json.loads((trials[0].folder / "run.json").read_text())
    facts["results"]["segm/AP"] = 77.0
    (trials[0].folder / "run.json").write_text(json.dumps(facts))
    assert "**77.00**" in sweep(trials, tmp_path, command)


def test_a_sweep_in_which_everything_fails_fails(tmp_path):
    with pytest.raises(DataError, match="every run failed; the last said: error: it blew up"):
        sweep(plan(parse_sweep(["SOLVER.BASE_LR=9"]), tmp_path), tmp_path, command)


def test_a_table_without_figures_still_names_the_runs(tmp_path):
    trials = plan({"A": ["1", "2"]}, tmp_path)
    assert "00_A=1" in render(trials, {})


def test_pixelwise_runs_get_their_figures_on_every_data_set_and_what_they_cost(tmp_path):
    trials = plan(parse_sweep(["CONFIG=a.yaml,b.yaml", "SOLVER.BASE_LR=1"]), tmp_path)
    assert [trial.config("c.yaml") for trial in trials] == ["a.yaml", "b.yaml"]
    assert trials[0].overrides == ["SOLVER.BASE_LR", "1"]
    for score, trial in enumerate(trials):
        trial.folder.mkdir()
        results = {
            "sem_seg/mIoU": 60.0 + score,
            "x_test/sem_seg/mIoU": 50.0,
            "ema/sem_seg/mIoU": 1.0,
        }
        facts = {
            "started": "2026-01-01T00:00:00+00:00",
            "finished": "2026-01-01T00:03:00+00:00",
            "parameters": 1_200_000,
            "milliseconds": 7.25,
            "results": results,
        }
        (trial.folder / "run.json").write_text(json.dumps(facts))
    header, _, first, second = (
        [word.strip() for word in line.split("|")[1:-1]] for line in render(trials, {}).splitlines()
    )
    assert header[2:4] == ["sem_seg/mIoU", "x_test/sem_seg/mIoU"]
    assert header[4:7] == ["minutes", "M parameters", "ms an image"]
    assert first[2:7] == ["60.00", "50.00", "3.0", "1.2", "7.2"]
    assert second[2] == "**61.00**"


@pytest.mark.slow
def test_from_the_command_line(tiny, tmp_path):
    """Two real runs of three iterations, one of them with a value that the config refuses before anything runs."""
    stages = "[{'NAME': 'one', 'MAX_ITER': 1}]"
    text = tiny(
        "--output",
        tmp_path / "s",
        "--sweep",
        "SOLVER.BASE_LR=0.01,0.02",
        "--",
        "STAGES",
        stages,
        "TEST.PICTURES",
        0,
    )
    assert text.count("01_BASE_LR=0.02") >= 1
    assert (tmp_path / "s" / "00_BASE_LR=0.01" / "model_final.pth").exists()
    facts = json.loads((tmp_path / "s" / "00_BASE_LR=0.01" / "run.json").read_text())
    assert facts["parameters"] > 0
    assert facts["milliseconds"] > 0
    refused = tiny("--output", tmp_path / "t", "--sweep", "SOLVER.BASE_LR=0.01,high", expect=1)
    assert "SOLVER.BASE_LR" in refused
    assert not (tmp_path / "t").exists()


def test_a_stop_signal_goes_to_the_run_and_ends_the_sweep(tmp_path):
    """The run is told and waited for; it used to be left alone, its pipes broken."""
    program = """
import signal, sys, pathlib, time, os
def stop(*_):
    pathlib.Path(sys.argv[1] + ".saved").write_text("yes")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
os.kill(os.getppid(), signal.SIGTERM)
while True:
    time.sleep(0.05)
"""
    trials = plan(parse_sweep(["SOLVER.BASE_LR=1,2"]), tmp_path)
    text = sweep(trials, tmp_path, lambda trial: [sys.executable, "-c", program, str(trial.folder)])
    assert "stopped by SIGTERM" in text
    assert [(tmp_path / f"{trial.folder.name}.saved").exists() for trial in trials] == [True, False]
