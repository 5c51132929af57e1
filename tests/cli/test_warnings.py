"""PYTHONWARNINGS=error: no command depends on what a library warns of."""

from __future__ import annotations

import sys

import pytest

from tests.cli.test_full_disk import commands, data
from tests.signaled import Run, runs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no fork")


@pytest.mark.slow
def test_warnings_made_errors_end_nothing(tmp_path):
    data(tmp_path)
    asked = commands(tmp_path)
    wanted = [
        Run(
            [
                w.replace("OUT", str(tmp_path / name), 1) if w.startswith("OUT") else w
                for w in words
            ],
            seconds=600,
        )
        for name, words in asked.items()
    ]
    env = {"BDD_INST_CACHE": str(tmp_path / "cache"), "PYTHONWARNINGS": "error"}
    for name, end in zip(asked, runs(wanted, env), strict=True):
        assert end.code == 0, (name, end)
        assert "Warning" not in end.err, (name, end)
