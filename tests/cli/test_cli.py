"""What the tools share: exit codes, one line an error, numbers in their range."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import pytest

from bdd_inst.base.errors import ConfigError, DataError, ProblemLog
from bdd_inst.cli import common as cli
from bdd_inst.cli import main as command
from bdd_inst.cli import train as train_net
from bdd_inst.training import console


def fails_with(error):
    def work():
        raise error

    return work


def fails_with_options(error):
    return lambda options: fails_with(error)()


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("a.json: broken; fetch it again"), 1, "error: a.json: broken; fetch it again"),
        (ConfigError("unknown key"), 1, "error: unknown key"),
        (
            PermissionError(13, "Permission denied", "/locked/x"),
            1,
            "error: /locked/x: Permission denied",
        ),
        (OSError(28, "No space left on device"), 1, "error: No space left on device"),
        (
            IsADirectoryError(21, "Is a directory", "/x/.y.part", None, "/x/y"),
            1,
            "error: /x/y: Is a directory",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_become_a_line_and_a_code(error, code, line, capsys):
    assert cli.guarded(fails_with(error)) == code
    assert capsys.readouterr().err.splitlines() == [line]


def test_training_tells_of_files_in_the_same_line(monkeypatch, capsys):
    monkeypatch.setattr(
        train_net, "run", fails_with_options(PermissionError(13, "Permission denied", "/locked/x"))
    )
    monkeypatch.setattr(console, "show_log", lambda: None)
    assert train_net.main(["--config", "demo.yaml"]) == 1
    assert capsys.readouterr().err.splitlines() == ["error: /locked/x: Permission denied"]


@pytest.mark.parametrize(
    "words", [["--num-gpus", "0"], ["--num-machines", "0"], ["--machine-rank", "1"]]
)
def test_training_by_nobody_is_a_usage_error(words):
    with pytest.raises(SystemExit) as stopped:
        train_net.main(["--config", "demo.yaml", *words])
    assert stopped.value.code == 2


def test_faults_of_our_own_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        cli.guarded(lambda: 1 // 0)


def test_problems_are_counted_on_stderr(capsys):
    problems = ProblemLog()
    cli.show_problems(problems, "skipped:")
    assert capsys.readouterr() == ("", "")
    problems.add("missing-image", "a.jpg", "is not there", count=3)
    cli.show_problems(problems, "skipped:")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["skipped:", "  3 x missing-image (e.g. a.jpg: is not there)"]


@pytest.mark.parametrize("text", ["0", "11", "x", "nan", ""])
def test_numbers_out_of_range_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        cli.number(1, 10, float)(text)


def test_numbers_in_range_pass():
    assert cli.number(1, 10)("10") == 10
    assert cli.number(0, 1, float)("0.25") == 0.25


@pytest.mark.parametrize("tool", ["predict", "visualize"])
def test_tools_run_as_scripts_from_anywhere(tool, project_root, tmp_path):
    done = subprocess.run(
        [sys.executable, str(project_root / "tools" / f"{tool}.py"), "--help"],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert f"python tools/{tool}.py --" in done.stdout


def test_the_demo_has_one_folder_and_goes_on_in_it(monkeypatch):
    seen = []
    monkeypatch.setattr(train_net, "main", lambda w: seen.append(train_net.parse_args(w)) or 0)
    assert command.main(["demo"]) == 0
    assert command.main(["demo", "--output", "elsewhere", "SEED", "3"]) == 0
    first, second = seen
    assert (first.config, first.output, first.resume) == ("demo.yaml", "output/demo", True)
    assert (second.output, second.overrides) == ("elsewhere", ["SEED", "3"])
