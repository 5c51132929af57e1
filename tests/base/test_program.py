"""The words that start this program again are right for each way of starting it."""

from __future__ import annotations

import sys

import pytest

from bdd_inst.base import program


@pytest.mark.parametrize(
    ("called", "said", "typed"),
    [
        (
            ["tools/train_net.py", "--config", "a"],
            "python tools/train_net.py",
            "tools/train_net.py",
        ),
        (["/x/bin/bdd-inst", "train", "--config", "a"], "bdd-inst train", "bdd-inst train"),
        (
            ["/x/bdd_inst/__main__.py", "train", "--config", "a"],
            "python -m bdd_inst train",
            "-m bdd_inst train",
        ),
    ],
)
def test_help_and_the_words_to_go_on_name_the_program_as_it_was_called(
    called, said, typed, monkeypatch
):
    monkeypatch.setattr(sys, "argv", called)
    assert program.called_as("train") == said
    assert " ".join(program.start_words()).endswith(typed)
    assert program.option_words() == ["--config", "a"]


def test_a_new_process_is_started_as_this_one_was(monkeypatch, tmp_path):
    script = tmp_path / "bdd-inst"
    script.write_text("")
    for called, words in [
        (["tools/train_net.py", "x"], ["tools/train_net.py"]),
        ([str(script), "train", "x"], [str(script), "train"]),
        (["C:/Scripts/bdd-inst.exe", "train", "x"], ["-m", "bdd_inst", "train"]),
        (["/x/bdd_inst/__main__.py", "train", "x"], ["-m", "bdd_inst", "train"]),
    ]:
        monkeypatch.setattr(sys, "argv", called)
        assert program.restart_words() == [sys.executable, *words]


def test_another_tools_help_does_not_take_this_scripts_name(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["tools/predict.py"])
    assert program.called_as("predict") == "python tools/predict.py"
    assert program.called_as("train") == "bdd-inst train"
