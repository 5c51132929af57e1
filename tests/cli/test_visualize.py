"""The drawing command on labels and results of several formats, good and bad."""

from __future__ import annotations

import json
import re
import urllib.parse

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from bdd_inst.cli import visualize
from bdd_inst.drawing.colors import VERDICTS, class_color

HEIGHT, WIDTH = 300, 900  # large enough not to be enlarged


def near(image, color):
    return (np.abs(image.astype(int) - np.array(color)[::-1]) < 12).all(2)


@pytest.fixture
def data(tmp_path):
    """Three images: a car and a person; a car; nothing. The second has a crowd besides."""
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        cv2.imwrite(str(images / name), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[100:200, 500:600] = 1
    rle = coco_mask.encode(np.asfortranarray(mask))
    rle["counts"] = rle["counts"].decode()
    rows = [
        (1, 3, [100, 100, 200, 100], [[100, 100, 300, 100, 300, 200, 100, 200]], 0),
        (1, 1, [500, 100, 100, 100], rle, 0),
        (2, 3, [100, 100, 200, 100], [[100, 100, 300, 100, 300, 200, 100, 200]], 0),
        (2, 1, [500, 100, 100, 100], rle, 1),
    ]
    truth = {
        "images": [
            {"id": i, "file_name": f"{n}.png", "height": HEIGHT, "width": WIDTH}
            for i, n in ((1, "a"), (2, "b"), (3, "c"))
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
        "annotations": [
            {
                "id": k + 1,
                "image_id": i,
                "category_id": c,
                "bbox": b,
                "area": b[2] * b[3],
                "segmentation": s,
                "iscrowd": w,
            }
            for k, (i, c, b, s, w) in enumerate(rows)
        ],
    }
    results = [
        {"image_id": 1, "category_id": 3, "bbox": [102, 100, 200, 100], "score": 0.9},
        {"image_id": 1, "category_id": 3, "bbox": [700, 50, 50, 50], "score": 0.8},
        {"image_id": 1, "category_id": 1, "bbox": [700, 50, 50, 50], "score": 0.1},
    ]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "results.json").write_text(json.dumps(results))
    return tmp_path


def call(data, *words, truth="truth.json"):
    given = ["--ground-truth", str(data / truth)] if truth else []
    return visualize.main(
        [*given, "--images", str(data / "images"), "--output", str(data / "out"), *words]
    )


def drawn(data, name):
    return cv2.imread(str(data / "out" / name))


def test_labels_alone(data, capsys):
    assert call(data) == 0
    said = capsys.readouterr()
    assert said.out.startswith("3 images")
    assert said.err == ""
    page = drawn(data, "a.png")
    assert page.shape[1] == WIDTH
    blue = near(page, class_color(2))  # a car is blue in every data set
    assert blue[:, 90:310].any()
    assert not blue[:, 400:].any()
    assert near(page, class_color(0))[:, 490:610].any()
    assert not near(drawn(data, "c.png"), class_color(2)).any()


def test_both_sides_with_verdicts(data, capsys):
    assert call(data, "--predictions", str(data / "results.json"), "--verdicts") == 0
    page = drawn(data, "a.png")
    left, right = page[:-60, :WIDTH], page[:-60, WIDTH + 6 :]
    assert near(left, VERDICTS["matched"])[:, 90:310].any()
    assert near(left, VERDICTS["missed"])[:, 490:610].any()
    assert near(right, VERDICTS["matched"])[:, 90:310].any()
    assert near(right, VERDICTS["false"])[:, 690:760].any()
    assert drawn(data, "b.png").shape[1] == 2 * WIDTH + 6
    assert capsys.readouterr().err == ""


def test_one_side_of_two(data):
    assert call(data, "--predictions", str(data / "results.json"), "--show", "predictions") == 0
    page = drawn(data, "a.png")
    assert page.shape[1] == WIDTH
    assert near(page, class_color(2))[:, 690:760].any()


def test_predictions_without_labels(data, capsys):
    rows = json.loads((data / "results.json").read_text())
    for row in rows:
        row.update(file_name="b.png", category_name="car" if row["category_id"] == 3 else "person")
    (data / "results.json").write_text(json.dumps(rows))
    assert call(data, "--predictions", str(data / "results.json"), truth=None) == 0
    assert near(drawn(data, "b.png"), class_color(2))[:, 690:760].any()
    assert capsys.readouterr().out.startswith("1 images")


def test_predictions_of_other_images_are_counted(data, capsys):
    (data / "results.json").write_text(
        json.dumps([{"image_id": 77, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.9}])
    )
    assert call(data, "--predictions", str(data / "results.json")) == 0
    assert "1 x prediction-without-label" in capsys.readouterr().err


def test_missing_broken_and_unfitting_images_are_counted(data, capsys):
    (data / "images/a.png").unlink()
    (data / "images/b.png").write_bytes(b"no image")
    assert call(data) == 0
    said = capsys.readouterr()
    assert said.out.startswith("1 images")
    assert "1 x missing-image" in said.err
    assert "a.png" in said.err
    assert "1 x not-drawn" in said.err
    assert "b.png" in said.err


def test_masks_of_another_size_are_named(data, capsys):
    cv2.imwrite(str(data / "images/a.png"), np.zeros((50, 60, 3), np.uint8))
    assert call(data) == 0
    err = capsys.readouterr().err
    assert "1 x wrong-size-image" in err
    assert "the image is shown 60x50, its labels are for 900x300" in err


def test_scalabel_frames_with_curves(data, capsys):
    label = {
        "category": "car",
        "poly2d": [
            {
                "vertices": [[100, 100], [200, 20], [300, 20], [400, 100]],
                "types": "LCCL",
                "closed": True,
            }
        ],
    }
    lane = {
        "category": "lane",
        "poly2d": [{"vertices": [[500, 250], [800, 250]], "types": "LL", "closed": False}],
    }
    frames = [
        {"name": "a.png", "labels": [{"id": "1", **label}, {"id": "2", **lane}]},
        {"name": "b.png", "labels": None},
    ]
    (data / "frames.json").write_text(json.dumps(frames))
    assert call(data, truth="frames.json") == 0
    page = drawn(data, "a.png")
    assert near(page, class_color(2)).any()
    tinted = (np.abs(page.astype(int) - 90) > 25).any(2)
    top = page.shape[0] - HEIGHT  # the caption
    assert tinted[top + 60, 250]  # inside the curve, above its chord
    assert not tinted[top + 30, 250]  # between the curve and its control points
    assert "nothing to show" in capsys.readouterr().err


def test_an_image_that_comes_twice_is_drawn_once_and_counted(data, capsys):
    frame = {"name": "a.png", "labels": []}
    (data / "frames.json").write_text(json.dumps([frame, frame]))
    assert call(data, truth="frames.json") == 0
    said = capsys.readouterr()
    assert said.out.startswith("1 images")
    assert "twice" in said.err or "duplicate" in said.err


def test_limits_and_order(data):
    assert call(data, "--limit", "1", "--shuffle", "3") == 0
    assert len(list((data / "out").glob("*.png"))) == 1


def test_an_index_page_shows_them_all(data, capsys):
    (data / "images/a.png").rename(data / "images/50% <b> straße.png")
    truth = (data / "truth.json").read_text().replace('"a.png"', '"50% <b> straße.png"')
    (data / "truth.json").write_text(truth)
    assert call(data) == 0
    assert str(data / "out/index.html") in capsys.readouterr().out
    page = (data / "out/index.html").read_text(encoding="utf-8")
    sources = [
        urllib.parse.unquote(source) for source in re.findall(r'<img[^>]* src="([^"]+)"', page)
    ]
    # "<" and ">" are no file names on Windows: what is drawn is stored under a name that every system allows.
    assert sorted(sources) == sorted(["50% _b_ straße.png", "b.png", "c.png"])
    assert all((data / "out" / source).is_file() for source in sources)
    assert "<b>" not in page


def test_a_rendered_data_set_by_name(data, tmp_path, monkeypatch):
    from bdd_inst.datasets import catalog

    (data / "images").rename(data / "pictures")
    records = [
        {
            "file_name": str(data / "pictures/a.png"),
            "height": HEIGHT,
            "width": WIDTH,
            "image_id": 1,
            "annotations": [],
        }
    ]
    records[0]["annotations"] = [
        {"bbox": [100, 100, 300, 200], "bbox_mode": 0, "category_id": 1, "segmentation": []}
    ]
    catalog.DatasetCatalog.register("of_this_test", lambda: records)
    catalog.MetadataCatalog.get("of_this_test").set(
        thing_classes=["person", "car"], image_root=str(data)
    )
    try:
        assert visualize.main(["--dataset", "of_this_test", "--output", str(data / "out")]) == 0
    finally:
        catalog.DatasetCatalog.remove("of_this_test")
        catalog.MetadataCatalog.pop("of_this_test")
    assert near(drawn(data, "pictures/a.png"), class_color(2)).any()


@pytest.mark.parametrize(
    "words",
    [
        ["--ground-truth", "missing.json"],
        ["--ground-truth", "images"],
        ["--ground-truth", "broken.json"],
        ["--ground-truth", "truth.json", "--predictions", "missing.json"],
        ["--ground-truth", "truth.json", "--images", "missing"],
    ],
)
def test_bad_input_gets_one_line(data, monkeypatch, capsys, words):
    monkeypatch.chdir(data)
    (data / "broken.json").write_text('{"images": [')
    given = words if "--images" in words else [*words, "--images", "images"]
    assert visualize.main([*given, "--output", "out"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_unknown_data_set_is_named(capsys, tmp_path):
    assert visualize.main(["--dataset", "synthetic_bdd_vall", "--output", str(tmp_path)]) == 1
    assert "synthetic_bdd_val" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--output", "o"],
        ["--output", "o", "--ground-truth", "g"],
        ["--output", "o", "--dataset", "d", "--ground-truth", "g"],
        ["--output", "o", "--dataset", "d", "--limit", "0"],
        ["--output", "o", "--ground-truth", "g", "--images", ""],
        ["--output", "o", "--dataset", "d", "--verdicts"],
    ],
)
def test_usage_errors_exit_with_2(words):
    with pytest.raises(SystemExit) as stop:
        visualize.main(words)
    assert stop.value.code == 2
