"""make_masks.py from COCO files to PNGs: against pycocotools, with overlaps, crowds, interruption and bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from bdd_inst.cli import make_masks
from bdd_inst.masks import run_lengths

HEIGHT, WIDTH = 40, 50


def square(x: int, y: int, side: int) -> list[list[float]]:
    return [[x, y, x + side, y, x + side, y + side, x, y + side]]


def coco_file(path, annotations: list[tuple], images: int = 3, names=("person", "dog")) -> None:
    """``annotations``: (image, category, segmentation, iscrowd)."""
    content = {
        "images": [
            {"id": i, "file_name": f"train/{i:04d}.jpg", "height": HEIGHT, "width": WIDTH}
            for i in range(1, images + 1)
        ],
        "categories": [{"id": 10 * (i + 1), "name": name} for i, name in enumerate(names)],
        "annotations": [
            {
                "id": n,
                "image_id": p,
                "category_id": 10 * c,
                "segmentation": s,
                "iscrowd": crowd,
                "bbox": [0, 0, 9, 9],
                "area": 81,
            }
            for n, (p, c, s, crowd) in enumerate(annotations, start=1)
        ],
    }
    path.write_text(json.dumps(content))


def masks_of(folder) -> dict[str, np.ndarray]:
    return {path.stem: np.asarray(Image.open(path)) for path in folder.rglob("*.png")}


def crowd(x: int, y: int, side: int) -> dict:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + side, x : x + side] = True
    return run_lengths.encode(mask)


def run(*arguments) -> int:
    return make_masks.main([str(a) for a in arguments])


def test_each_image_gets_a_mask_of_its_name(tmp_path, capsys):
    coco_file(
        tmp_path / "a.json",
        [(1, 1, square(2, 3, 10), 0), (1, 2, square(20, 3, 10), 0), (2, 2, square(0, 0, 5), 0)],
    )
    assert (
        run("--input", tmp_path / "a.json", "--category", "person", "--output", tmp_path / "out")
        == 0
    )
    found = masks_of(tmp_path / "out")
    assert sorted(found) == ["0001", "0002", "0003"]
    assert np.array_equal(np.argwhere(found["0001"])[[0, -1]], [[3, 2], [12, 11]])
    assert found["0001"].max() == 1
    assert found["0001"].shape == (HEIGHT, WIDTH)
    assert not found["0002"].any()
    assert not found["0003"].any()
    assert "3 masks" in capsys.readouterr().out
    assert Image.open(next((tmp_path / "out").rglob("0001.png"))).mode == "L"


def test_the_category_named_first_keeps_shared_pixels(tmp_path, capsys):
    coco_file(
        tmp_path / "a.json", [(1, 1, square(0, 0, 20), 0), (1, 2, square(10, 0, 20), 0)], images=1
    )
    assert (
        run(
            "--input", tmp_path / "a.json", "--category", "person,dog", "--output", tmp_path / "one"
        )
        == 0
    )
    assert "200 pixels" in capsys.readouterr().err
    assert (
        run(
            "--input",
            tmp_path / "a.json",
            "--category",
            "dog",
            "--category",
            "person",
            "--output",
            tmp_path / "two",
        )
        == 0
    )
    assert masks_of(tmp_path / "one")["0001"][0, [5, 15, 25, 35]].tolist() == [1, 1, 2, 0]
    assert masks_of(tmp_path / "two")["0001"][0, [5, 15, 25, 35]].tolist() == [2, 1, 1, 0]


@pytest.mark.parametrize(("choice", "value"), [("class", 1), ("background", 0), ("void", 255)])
def test_crowds(choice, value, tmp_path):
    coco_file(
        tmp_path / "a.json", [(1, 1, crowd(5, 5, 20), 1), (1, 1, square(0, 0, 10), 0)], images=1
    )
    assert (
        run(
            "--input",
            tmp_path / "a.json",
            "--category",
            "person",
            "--output",
            tmp_path / "out",
            "--crowds",
            choice,
        )
        == 0
    )
    mask = masks_of(tmp_path / "out")["0001"]
    assert mask[20, 20] == value
    assert mask[7, 7] == 1


def test_masks_are_pycocotools(tmp_path, rng, monkeypatch, capsys):
    annotations = []
    for image in range(1, 7):
        for _ in range(4):
            points = rng.random((6, 2)) * [WIDTH, HEIGHT]
            annotations.append((image, 1, [points.ravel().round(2).tolist()], 0))
        annotations.append((image, 1, crowd(*rng.integers(0, 20, 2).tolist(), 15), 1))
    coco_file(tmp_path / "a.json", annotations, images=6)
    assert (
        run("--input", tmp_path / "a.json", "--category", "person", "--output", tmp_path / "out")
        == 0
    )
    reference = COCO(str(tmp_path / "a.json"))
    found = masks_of(tmp_path / "out")
    for image in reference.loadImgs(reference.getImgIds()):
        expected = (
            sum(reference.annToMask(a).astype(int) for a in reference.imgToAnns[image["id"]]) > 0
        )
        assert np.array_equal(found[f"{image['id']:04d}"] == 1, expected)


def test_real_masks_are_pycocotools(tmp_path, shared_dir):
    file = next((shared_dir / "data" / "coco_mini" / "annotations").glob("*.json"))
    assert run("--input", file, "--category", "person", "--output", tmp_path / "out") == 0
    reference = COCO(str(file))
    found = masks_of(tmp_path / "out")
    person = reference.getCatIds(["person"])
    for image in reference.loadImgs(reference.getImgIds()):
        ids = reference.getAnnIds(image["id"], person)
        expected = np.zeros((image["height"], image["width"]), bool)
        for annotation in reference.loadAnns(ids):
            expected |= reference.annToMask(annotation) > 0
        assert np.array_equal(found[image["file_name"].removesuffix(".jpg")] == 1, expected)


@pytest.mark.parametrize("damage", ["none", "gone", "empty"])
def test_an_interrupted_run_goes_on(tmp_path, monkeypatch, capsys, damage):
    coco_file(
        tmp_path / "a.json", [(i, 1, square(i % 9, 3, 10), 0) for i in range(1, 101)], images=100
    )
    arguments = ["--input", tmp_path / "a.json", "--category", "person", "--workers", 1]
    arguments += ["--output", tmp_path / "out"]
    from bdd_inst.formats.class_masks import ClassMaskTarget

    whole, written = ClassMaskTarget.save, []

    def counted(self, file, values):
        written.append(file)
        return whole(self, file, values)

    def failing(self, file, values):
        if len(written) == 50:
            raise KeyboardInterrupt
        return counted(self, file, values)

    monkeypatch.setattr(ClassMaskTarget, "save", failing)
    assert run(*arguments) == 130
    # What a power cut can leave of a file that nobody has waited for.
    if damage == "gone":
        written[3].unlink()
    elif damage == "empty":
        written[3].write_bytes(b"")
    monkeypatch.setattr(ClassMaskTarget, "save", counted)
    assert run(*arguments) == 0
    said = "1 chunks from the interrupted run" in capsys.readouterr().out
    assert said == (damage == "none")
    found = masks_of(tmp_path / "out")
    assert len(found) == 100
    assert all(mask.any() for mask in found.values())
    assert len(written) == (118 if said else 150)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--category", "persn"], "persn"),
        (["--category", "person,person"], "different"),
        (["--category", "person", "--input", "missing.json"], "missing.json"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_1(arguments, said, tmp_path, capsys):
    coco_file(tmp_path / "a.json", [(1, 1, square(2, 3, 10), 0)])
    assert run("--input", tmp_path / "a.json", "--output", tmp_path / "out", *arguments) == 1
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1
    assert "Traceback" not in message


def test_images_of_one_stem_are_kept_apart_by_their_whole_names(tmp_path):
    coco_file(tmp_path / "a.json", [(1, 1, square(2, 3, 10), 0)], images=2)
    content = json.loads((tmp_path / "a.json").read_text())
    content["images"][1]["file_name"] = "train/0001.png"
    (tmp_path / "a.json").write_text(json.dumps(content))
    out = tmp_path / "out"
    assert run("--input", tmp_path / "a.json", "--category", "person", "--output", out) == 0
    drawn = {name: mask.any() for name, mask in masks_of(out).items()}
    assert drawn == {"0001.jpg": True, "0001.png": False}


def test_usage_errors_exit_with_2(tmp_path):
    needed = ["--input", "a", "--output", "b", "--category"]
    for arguments in (
        [],
        [*needed, ","],
        [*needed, "c", "--workers", "0"],
        [*needed, "c", "--crowds", "some"],
    ):
        with pytest.raises(SystemExit) as stopped:
            make_masks.main(arguments)
        assert stopped.value.code == 2
