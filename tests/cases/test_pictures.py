"""Image files of real users' reports, each through every tool that meets them: one verdict everywhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from bdd_inst import formats
from bdd_inst.checks.run import Split, check
from bdd_inst.cli import convert, make_masks, visualize
from bdd_inst.cli import evaluate as evaluate_tool
from bdd_inst.data.mapper import read as read_as_training
from bdd_inst.datasets.coco_person import load_coco
from bdd_inst.inference.sources import open_source

CASES = Path(__file__).parents[1] / "fixtures" / "cases"
NAMES = ("01_labelstudio/result.json", "23_names/gt.json", "32_lvis/gt.json")
FOLDERS = {"01_labelstudio": ("images", "."), "23_names": ("img",), "32_lvis": ("img", ".")}


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("BDD_INST_CACHE", "")


def dicts_of(tmp_path, labels, images):
    """What convert writes as dicts."""
    out = tmp_path / "dicts.json"
    arguments = ["--input", labels, "--images", images, "--to", "dicts", "--output", out]
    assert convert.main([str(a) for a in arguments]) == 0
    return json.loads(out.read_text())


@pytest.mark.parametrize(
    ("case", "images"), [(name, f) for name in NAMES for f in FOLDERS[name.split("/")[0]]]
)
def test_every_tool_finds_every_image(tmp_path, case, images):
    labels = CASES / case
    images = labels.parent / images
    entries = json.loads(labels.read_text(encoding="utf-8"))["images"]
    names = [c["name"] for c in json.loads(labels.read_text(encoding="utf-8"))["categories"]]
    trained = load_coco(labels, images, names[:1])
    assert len(trained.dicts) == len(entries), trained.problems.lines()
    for record in trained.dicts:
        assert read_as_training(record).size == (64, 48)
    found = dicts_of(tmp_path, labels, images)
    assert sorted(r["file_name"] for r in found) == sorted(r["file_name"] for r in trained.dicts)
    result = check([Split("x", formats.read(labels, images=images), images)])
    assert not {"missing-image", "ambiguous-image", "image-without-labels"} & set(
        result.findings.counts
    )
    arguments = ["--ground-truth", labels, "--images", images, "--output", tmp_path / "drawn"]
    assert visualize.main([str(a) for a in arguments]) == 0
    drawn = [p for p in (tmp_path / "drawn").rglob("*.*") if p.suffix.lower() in (".jpg", ".png")]
    assert len(drawn) == len(entries)
    arguments = ["--input", labels, "--images", images, "--to", "overlay", "--output"]
    assert convert.main([str(a) for a in (*arguments, tmp_path / "overlays")]) == 0
    assert len(list((tmp_path / "overlays").rglob("*.jpg"))) == len(entries)
    source = open_source(images)
    assert len(list(source)) == len(entries)
    assert not source.problems


def test_lvis_names_come_from_the_address():
    names = {p.name for p in formats.read(CASES / "32_lvis" / "gt.json").images}
    assert names == {"train2017/000000037777.jpg", "val2017/000000397133.jpg"}


@pytest.mark.parametrize("labels", ["via.json", "via_part.json", "coco_shown.json"])
def test_a_turned_photograph_is_as_shown_in_every_tool(tmp_path, labels):
    folder = CASES / "02_via_exif"
    images, path = folder / "img", folder / labels
    area = 900 if labels != "via_part.json" else 1200
    (record,) = dicts_of(tmp_path, path, images)
    assert (record["width"], record["height"]) == (40, 80)
    assert read_as_training(record).size == (40, 80)
    category = "person" if labels == "coco_shown.json" else "balloon"
    names = {p.category for q in formats.read(path).images for p in q.instances}
    arguments = ["--input", path, "--images", images, "--category", *names, "--output"]
    assert make_masks.main([str(a) for a in (*arguments, tmp_path / "masks")]) == 0
    mask = np.asarray(Image.open(tmp_path / "masks" / "photo.png"))
    assert mask.shape == (80, 40)
    assert int((mask > 0).sum()) == area
    result = check([Split("x", formats.read(path, images=images), images)])
    assert not result.failed, result.findings.counts
    if labels == "coco_shown.json":
        trained = load_coco(path, images, [category])
        assert [(r["width"], r["height"]) for r in trained.dicts] == [(40, 80)]
    coco = tmp_path / "coco.json"
    arguments = ["--input", path, "--images", images, "--to", "coco", "--output", coco]
    assert convert.main([str(a) for a in arguments]) == 0
    truth = json.loads(coco.read_text())
    found = [
        {k: a[k] for k in ("image_id", "category_id", "bbox", "segmentation")} | {"score": 0.9}
        for a in truth["annotations"]
    ]
    (tmp_path / "found.json").write_text(json.dumps(found))
    arguments = ["--ground-truth", coco, "--predictions", tmp_path / "found.json", "--output"]
    assert evaluate_tool.main([str(a) for a in (*arguments, tmp_path / "scores")]) == 0
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert metrics["segm"]["AP"] == pytest.approx(100)


def shown(name="bmp.bmp"):
    """The image that the color files of 60_pictures hold, as its plainest file has it; or another's."""
    return np.asarray(Image.open(CASES / "60_pictures" / "img" / name).convert("RGB"))


FILES = sorted(p.name for p in (CASES / "60_pictures" / "img").iterdir())
if int(PIL.__version__.split(".")[0]) < 13:
    FILES.remove("ycbcr.tif")  # which older versions take for cut off; it is counted as unreadable


@pytest.mark.parametrize("name", FILES)
def test_every_mode_is_read_as_the_image_that_it_is(name):
    path = CASES / "60_pictures" / "img" / name
    (frame,) = open_source(path)
    image = frame.image[..., ::-1]
    assert image.shape == (48, 64, 3)
    gray = name.startswith(("gray", "la.", "onebit"))
    expected = shown("la.png" if gray else "bmp.bmp")
    # One bit is black or white; a GIF has few colors, the others differ by compression and rounding.
    tolerance = 128 if name == "onebit.png" else 12
    ours, wanted = (
        np.asarray(Image.fromarray(np.ascontiguousarray(a)).resize((8, 6), Image.Resampling.BOX))
        for a in (image, expected)
    )
    assert np.abs(ours.astype(int) - wanted).max() <= tolerance


def test_every_mode_passes_every_tool(tmp_path):
    folder = CASES / "60_pictures"
    labels = json.loads((folder / "gt.json").read_text())
    labels["images"] = [row for row in labels["images"] if row["file_name"] in FILES]
    ids = {row["id"] for row in labels["images"]}
    labels["annotations"] = [a for a in labels["annotations"] if a["image_id"] in ids]
    (tmp_path / "gt.json").write_text(json.dumps(labels))
    images = folder / "img"
    trained = load_coco(tmp_path / "gt.json", images, [labels["categories"][0]["name"]])
    assert len(trained.dicts) == len(FILES), trained.problems.lines()
    for record in trained.dicts:
        read_as_training(record)
    assert len(dicts_of(tmp_path, tmp_path / "gt.json", images)) == len(FILES)
    split = Split("x", formats.read(tmp_path / "gt.json", images=images), images)
    counts = check([split]).findings.counts
    assert not {"unreadable-image", "wrong-size-image", "missing-image"} & set(counts)
    assert counts["high-bit-depth"] == 3


HOSTILE = ("street.jpg", "loop.jpg")


def hostile_set(tmp_path):
    """Two PostScript files, a strip and a good image, with labels for all."""
    images = tmp_path / "img"
    images.mkdir()
    for name in (*HOSTILE, "1x3000.png"):
        (images / name).write_bytes((CASES / "hostile" / name).read_bytes())
    Image.fromarray(shown()).save(images / "good.png")
    rows = [
        {"id": n, "file_name": p.name, "width": 64, "height": 48}
        for n, p in enumerate(sorted(images.iterdir()), 1)
    ]
    box = {"category_id": 1, "bbox": [5, 5, 20, 20], "area": 400, "iscrowd": 0}
    outline = [[5, 5, 25, 5, 25, 25, 5, 25]]
    content = {
        "images": rows,
        "annotations": [
            {"id": r["id"], "image_id": r["id"], "segmentation": outline} | box for r in rows
        ],
        "categories": [{"id": 1, "name": "car"}],
    }
    (tmp_path / "gt.json").write_text(json.dumps(content))
    return images, tmp_path / "gt.json"


def test_images_run_no_program_and_end_no_batch(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: pytest.fail("a program was started"))
    images, labels = hostile_set(tmp_path)
    source = open_source(images)
    assert [f.name for f in source] == ["1x3000.png", "good.png"]
    assert source.problems.counts == {"unreadable-image": 2}
    counts = check([Split("x", formats.read(labels), images)]).findings.counts
    assert counts["unreadable-image"] == 2
    trained = load_coco(labels, images, ["car"])
    assert [Path(r["file_name"]).name for r in trained.dicts] == ["good.png"]
    for arguments in (
        ["--ground-truth", labels, "--images", images, "--output", tmp_path / "drawn"],
    ):
        assert visualize.main([str(a) for a in arguments]) == 0
    arguments = ["--input", labels, "--images", images, "--to", "overlay", "--output"]
    assert convert.main([str(a) for a in (*arguments, tmp_path / "overlays")]) == 0
    assert [p.name for p in (tmp_path / "overlays").iterdir()] == ["good.jpg"]
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["dotdot.json", "nulvideo.json"])
@pytest.mark.parametrize("target", ["bitmask", "label-map", "binary-masks"])
def test_no_name_leads_out_of_the_output_folder(tmp_path, name, target):
    out = tmp_path / "a" / "out"
    arguments = ["--input", CASES / "hostile" / name, "--to", target, "--output", out]
    assert convert.main([str(a) for a in arguments]) == 0
    (written,) = out.rglob("*.png")
    assert written.resolve().is_relative_to(out.resolve())
    assert not [p for p in tmp_path.rglob("*.png") if not p.is_relative_to(out)]


def test_own_images_are_never_overwritten(tmp_path, capsys):
    images, labels = hostile_set(tmp_path)
    before = {p: p.read_bytes() for p in images.iterdir()}
    commands = [
        (visualize.main, ["--ground-truth", labels, "--images", images, "--output"]),
        (convert.main, ["--input", labels, "--images", images, "--to", "overlay", "--output"]),
        (convert.main, ["--input", labels, "--to", "binary-masks", "--output"]),
        (make_masks.main, ["--input", labels, "--category", "car", "--output"]),
        (make_masks.main, ["--input", labels, "--images", images, "--category", "car", "--output"]),
    ]
    for number, (tool, arguments) in enumerate(commands):
        for output in (images, images / "new") if number in (0, 1, 4) else (images,):
            assert tool([str(a) for a in (*arguments, output)]) == 1
            assert "folder" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in images.iterdir()} == before
    assert convert.main(["--input", str(labels), "--to", "coco", "--output", str(labels)]) == 1


@pytest.mark.parametrize("size", [(1, 3000), (3000, 1), (1, 1)])
def test_a_strip_is_never_resized_to_nothing(size):
    from bdd_inst.data.augment import shortest_edge

    assert min(shortest_edge(size, 800, 1333)) >= 1


def test_names_that_a_terminal_cannot_say_are_printed_as_escapes(tmp_path):
    import subprocess
    import sys

    code = "import sys; from bdd_inst.cli.common import guarded; sys.exit(guarded(lambda: print('\\udcff é') or 0))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stdout.strip()) == (0, rb"\udcff \xe9")
