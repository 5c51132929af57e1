"""A few rendered streets where the demo expects three hundred."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bdd_inst.synthetic import render


@pytest.fixture(scope="session")
def small_streets(tmp_path_factory) -> Path:
    """A data root with six images to train on and two to test; its stamp says that they are the whole set."""
    root = tmp_path_factory.mktemp("data")
    stamp_file = render(root, counts={"train": 6, "val": 2}) / "rendered.json"
    stamp = json.loads(stamp_file.read_text())
    stamp_file.write_text(json.dumps(stamp | {"counts": {"train": 240, "val": 60}}))
    return root
