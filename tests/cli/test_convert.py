"""tools/convert.py as users call it: what it writes, what it says, how it exits."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from PIL import Image

from tests.formats import examples
from tests.waiting import LAST_RESORT


@pytest.fixture
def convert(project_root):
    def run(*arguments):
        command = [sys.executable, str(project_root / "tools" / "convert.py"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=LAST_RESORT)

    return run


def test_scalabel_to_coco_says_what_it_did(convert, tmp_path):
    path = examples.write(tmp_path, "scalabel")
    done = convert(
        "--input", path, "--to", "coco", "--output", tmp_path / "out.json", "--raster", "coco"
    )
    assert done.returncode == 0, done.stderr
    assert "scalabel -> coco: 3 images, 3 instances; masks by COCO's rule" in done.stdout
    assert "2 x lost-curves" in done.stderr
    assert "size-assumed" in done.stderr
    assert len(json.loads((tmp_path / "out.json").read_text())["images"]) == 3


def test_overlays_are_drawn_and_missing_images_counted(convert, tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (examples.WIDTH, examples.HEIGHT), "gray").save(
        tmp_path / "images" / "a-1.jpg"
    )
    done = convert(
        "--input",
        examples.write(tmp_path, "scalabel"),
        "--images",
        tmp_path / "images",
        "--to",
        "overlay",
        "--output",
        tmp_path / "o",
    )
    assert done.returncode == 0, done.stderr
    assert [p.name for p in (tmp_path / "o").rglob("*.jpg")] == ["a-1.jpg"]
    assert "2 x missing-image" in done.stderr
    drawn = Image.open(tmp_path / "o" / "a-1.jpg").convert("RGB")
    assert drawn.getcolors(maxcolors=100_000)[0][0] < examples.WIDTH * examples.HEIGHT


def test_exit_codes(convert, tmp_path):
    path = examples.write(
        tmp_path,
        "scalabel",
        [None, {"name": "a.jpg", "size": {"width": 9, "height": 9}, "labels": []}],
    )
    ok = ("--to", "coco", "--output", tmp_path / "o.json")
    assert convert("--input", path, *ok).returncode == 0
    assert convert("--input", path, *ok, "--strict").returncode == 1
    assert convert("--input", path, "--to", "voc", "--output", tmp_path / "o").returncode == 2
    assert convert("--input", path, "--to", "overlay", "--output", tmp_path / "o").returncode == 2
    for wrong in (tmp_path / "none.json", tmp_path):
        done = convert("--input", wrong if wrong != tmp_path else tmp_path / "empty", *ok)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert len(done.stderr.splitlines()) == 1
