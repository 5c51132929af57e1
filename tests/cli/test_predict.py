"""The prediction command on images, folders and videos, good and bad, with a small model of random weights."""

from __future__ import annotations

import json
import os
import signal

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from bdd_inst.base.vocabulary import BDD100K_INS_SEG
from bdd_inst.cli import predict
from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.images.video import VideoReader
from bdd_inst.inference.predictor import Predictor
from bdd_inst.inference.results import OutputClasses
from bdd_inst.inference.sources import open_source
from bdd_inst.weights.checkpoint import save_weights

TINY = [
    *("INPUT.MIN_SIZE_TEST", "64", "INPUT.MAX_SIZE_TEST", "96", "TEST.DETECTIONS_PER_IMAGE", "5"),
    *(
        "MODEL.FPN.OUT_CHANNELS",
        "16",
        "MODEL.RESNETS.RES2_OUT_CHANNELS",
        "16",
        "MODEL.RESNETS.STEM_OUT_CHANNELS",
        "16",
    ),
    *(
        "MODEL.ROI_BOX_HEAD.FC_DIM",
        "32",
        "MODEL.ROI_MASK_HEAD.CONV_DIM",
        "16",
        "MODEL.ROI_HEADS.SCORE_THRESH_TEST",
        "0.01",
    ),
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    save_weights(build_model(load_cfg("demo.yaml", TINY)), path)
    return path


@pytest.fixture
def call(weights, tmp_path, capsys):
    def run(source, *options, output=tmp_path / "out", overrides=()):
        words = [
            "--config",
            "demo.yaml",
            "--input",
            str(source),
            "--output",
            str(output),
            *options,
            "MODEL.WEIGHTS",
            str(weights),
            *TINY,
        ]
        code = predict.main([*words, *overrides])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def scene(height=72, width=128, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def test_an_image_gives_an_overlay_and_coco_results(call, weights, tmp_path):
    image = save(tmp_path / "in" / "a street.png", scene())
    code, out, err = call(image, "--score-threshold", "0")
    assert (code, err) == (0, "")
    assert "1 images" in out
    assert cv2.imread(str(tmp_path / "out/overlays/a street.png")).shape == (72, 128, 3)
    results = json.loads((tmp_path / "out/predictions.json").read_text())
    predictor = Predictor(load_cfg("demo.yaml", [*TINY, "MODEL.WEIGHTS", str(weights)]))
    expected = predictor(cv2.imread(str(image)))["instances"]
    assert len(results) == len(expected) > 0
    boxes, scores, classes = (
        values.tolist()
        for values in (expected.pred_boxes.tensor, expected.scores, expected.pred_classes)
    )
    for entry, box, score, index, rle in zip(
        results, boxes, scores, classes, expected.pred_masks, strict=True
    ):
        assert (entry["image_id"], entry["file_name"]) == (1, "a street.png")
        assert entry["bbox"] == pytest.approx(
            [box[0], box[1], box[2] - box[0], box[3] - box[1]], abs=1e-4
        )
        assert entry["score"] == score
        assert entry["category_id"] == index + 1
        assert entry["category_name"] == BDD100K_INS_SEG[index]
        assert entry["segmentation"] == rle
        assert coco_mask.decode(entry["segmentation"]).shape == (72, 128)


def test_unknown_data_sets_count_classes_from_one():
    cfg = load_cfg(
        "demo.yaml", ["DATASETS.TEST", "()", "DATASETS.TRAIN", "('not_in_the_catalog',)"]
    )
    categories = OutputClasses.from_cfg(cfg)
    assert categories.ids == list(range(1, 9))
    assert categories.names[0] == "class 1"


def test_cocos_own_classes_keep_their_ids():
    zoo = ["DATASETS.TEST", "('coco_2017_val',)"]
    categories = OutputClasses.from_cfg(load_cfg("Base-MaskRCNN-FPN.yaml", zoo))
    assert (categories.ids[0], categories.names[0]) == (1, "person")
    assert (categories.ids[-1], categories.names[-1]) == (90, "toothbrush")
    five = OutputClasses.from_cfg(
        load_cfg("Base-MaskRCNN-FPN.yaml", [*zoo, "MODEL.ROI_HEADS.NUM_CLASSES", "5"])
    )
    assert five.ids == [1, 2, 3, 4, 5]


def test_images_of_a_data_set_keep_its_ids(call, tmp_path, monkeypatch):
    from bdd_inst.datasets import catalog

    for name in ("a.png", "b.png", "c.png"):
        save(tmp_path / "root/images" / name, scene())
    records = [
        {"file_name": str(tmp_path / "root/images" / n), "image_id": i}
        for n, i in (("b.png", 1), ("a.png", 7))
    ]
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path / "root"))
    catalog.DatasetCatalog.register("of_this_test", lambda: records)
    try:
        assert (
            call(tmp_path / "root/images", overrides=["DATASETS.TEST", "('of_this_test',)"])[0] == 0
        )
    finally:
        catalog.DatasetCatalog.remove("of_this_test")
    results = json.loads((tmp_path / "out/predictions.json").read_text())
    assert {r["file_name"]: r["image_id"] for r in results} == {"a.png": 7, "b.png": 1, "c.png": 10}


def test_a_folder_of_every_kind_of_image(call, tmp_path):
    folder = tmp_path / "in"
    save(folder / "gray.png", scene()[..., 0])
    save(folder / "deep.png", scene().astype(np.uint16) * 257)
    save(folder / "alpha.png", np.dstack([scene(), scene()[..., :1]]))
    save(folder / "night/dot.png", scene(1, 1))
    save(folder / "sub folder/straße 東京.jpg", scene())
    Image.fromarray(scene()).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(scene()).quantize(8).save(folder / "palette.gif")
    turned = Image.fromarray(scene())
    exif = turned.getexif()
    exif[274] = 6
    turned.save(folder / "turned.jpg", exif=exif)
    (folder / "notes.txt").write_text("no image")
    code, out, err = call(folder, "--batch-size", "3")
    assert (code, err) == (0, "")
    assert "8 images" in out
    drawn = {
        p.relative_to(tmp_path / "out/overlays").as_posix()
        for p in (tmp_path / "out/overlays").rglob("*")
        if p.is_file()
    }
    assert drawn == {
        *(
            "gray.png",
            "deep.png",
            "alpha.png",
            "night/dot.png",
            "sub folder/straße 東京.jpg",
            "cmyk.jpg",
            "palette.gif.png",
            "turned.jpg",
        )
    }
    assert Image.open(tmp_path / "out/overlays/turned.jpg").size == (72, 128)
    results = json.loads((tmp_path / "out/predictions.json").read_text(encoding="utf-8"))
    assert "sub folder/straße 東京.jpg" in {r["file_name"] for r in results}


def test_deep_images_keep_their_light(tmp_path):
    save(tmp_path / "deep.png", scene().astype(np.uint16) * 257)
    save(tmp_path / "gray16.png", scene()[..., 0].astype(np.uint16) * 257)
    deep, gray = (frame.image for frame in open_source(tmp_path))
    np.testing.assert_array_equal(deep, scene())
    np.testing.assert_array_equal(gray[..., 1], scene()[..., 0])


def test_broken_images_are_named_and_counted(call, tmp_path):
    folder = tmp_path / "in"
    good = save(folder / "good.jpg", scene())
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no image")
    (folder / "half.jpg").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    code, out, err = call(folder)
    assert code == 0
    assert "1 images" in out
    assert "3 x unreadable-image" in err
    for name in ("empty.jpg", "text.jpg", "half.jpg"):
        assert name in err
    assert {r["image_id"] for r in json.loads((tmp_path / "out/predictions.json").read_text())} == {
        2
    }


def test_nothing_readable_is_an_error_and_leaves_no_results(call, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/bad.png").write_bytes(b"\x89PNG no")
    code, _, err = call(tmp_path / "in")
    assert code == 1
    assert err.splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "out/predictions.json").exists()


@pytest.mark.parametrize("what", ["missing.jpg", "missing_folder/", "empty_folder", "not.mp4"])
def test_wrong_paths_get_one_line(call, tmp_path, what):
    (tmp_path / "empty_folder").mkdir()
    (tmp_path / "not.mp4").write_text("not a video")
    code, _, err = call(tmp_path / what)
    assert code == 1
    assert len(err.splitlines()) == 1
    assert what.rstrip("/") in err


def test_a_video_streams_into_a_video(call, tmp_path):
    path = tmp_path / "drive.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 12.5, (128, 72))
    for i in range(7):
        writer.write(scene(seed=i))
    writer.release()
    code, out, err = call(path, "--batch-size", "2")
    assert (code, err) == (0, "")
    assert "7 images" in out
    drawn = VideoReader(tmp_path / "out/overlays/drive.mp4")
    assert (drawn.number, drawn.rate) == (7, 12.5)
    assert [f.shape for f in drawn] == [(72, 128, 3)] * 7
    results = json.loads((tmp_path / "out/predictions.json").read_text())
    assert {r["file_name"] for r in results} <= {f"drive-{i:07d}.jpg" for i in range(1, 8)}
    assert sorted(p.name for p in (tmp_path / "out/overlays").iterdir()) == ["drive.mp4"]


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_what_an_interruption_leaves_can_be_read(call, tmp_path, monkeypatch, caplog, number, code):
    path = tmp_path / "drive.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 12.5, (128, 72))
    for i in range(12):
        writer.write(scene(seed=i))
    writer.release()
    predicted = Predictor.predict
    left = iter(range(9))

    def interrupted(self, images):
        if next(left, None) is None:
            os.kill(os.getpid(), getattr(signal, number))
        return predicted(self, images)

    monkeypatch.setattr(Predictor, "predict", interrupted)
    before = signal.getsignal(signal.SIGTERM)
    assert call(path, "--workers", "1", "--score-threshold", "0")[0] == code
    assert signal.getsignal(signal.SIGTERM) is before
    results = json.loads((tmp_path / "out/predictions.json").read_text())
    assert {int(r["file_name"][6:13]) for r in results} == set(range(1, 10))
    overlays = tmp_path / "out/overlays"
    assert [p.name for p in overlays.iterdir()] == ["drive.partial.mp4"]
    assert 0 < len(list(VideoReader(overlays / "drive.partial.mp4"))) <= 9
    assert caplog.text.count("of before the interruption") == 2


def test_an_interruption_before_the_first_result_leaves_none(call, tmp_path, monkeypatch):
    def interrupted(self, images):
        raise KeyboardInterrupt

    save(tmp_path / "in/a.png", scene())
    monkeypatch.setattr(Predictor, "predict", interrupted)
    assert call(tmp_path / "in")[0] == 130
    assert not list((tmp_path / "out").rglob("*.*"))


def test_only_results_on_request(call, tmp_path):
    save(tmp_path / "in/a.png", scene())
    assert call(tmp_path / "in", "--no-overlays")[0] == 0
    assert os.listdir(tmp_path / "out") == ["predictions.json"]


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission_gets_one_line(call, tmp_path):
    save(tmp_path / "a.png", scene())
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    code, _, err = call(tmp_path / "a.png", output=locked / "out")
    assert code == 1
    assert "ermission" in err


def test_an_output_that_is_a_file_gets_one_line(call, tmp_path):
    image = save(tmp_path / "a.png", scene())
    code, _, err = call(image, output=image)
    assert (code, len(err.splitlines())) == (1, 1)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--config", "demo.yaml"],
        ["--config", "demo.yaml", "--input", "", "--output", "b"],
        ["--config", "demo.yaml", "--input", "a", "--output", "b", "--score-threshold", "7"],
    ],
)
def test_usage_errors_exit_with_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        predict.main(words)
    assert stop.value.code == 2


def test_config_errors_name_the_key(call, tmp_path):
    image = save(tmp_path / "a.png", scene())
    code, _, err = call(image, overrides=["MODEL.WIEGHTS", "x"])
    assert code == 1
    assert "MODEL.WEIGHTS" in err
