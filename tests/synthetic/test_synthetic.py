"""The rendered street set: real format, true labels, the same every time."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from bdd_inst import formats
from bdd_inst.base import vocabulary as classes
from bdd_inst.base.errors import DataError
from bdd_inst.base.vocabulary import BDD100K_PAN_SEG
from bdd_inst.datasets.bdd100k import load_bdd100k
from bdd_inst.formats import detect
from bdd_inst.formats.bitmask import read_bitmask
from bdd_inst.masks import rasterize, run_lengths
from bdd_inst.synthetic import FOLDER, render
from bdd_inst.synthetic.labels import trace
from bdd_inst.synthetic.paint import paint
from bdd_inst.synthetic.scene import compose

SMALL = {"train": 6, "val": 3}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    render(root, counts=SMALL, size=(320, 180))
    return root


def test_the_tree_and_the_json_are_bdd100ks(rendered):
    base = rendered / FOLDER
    assert detect(base / "labels/ins_seg/polygons/ins_seg_train.json") == "scalabel"
    frames = json.loads((base / "labels/ins_seg/polygons/ins_seg_train.json").read_text())
    assert len(frames) == 6
    assert {f["name"] for f in frames} == {p.name for p in (base / "images/10k/train").iterdir()}
    labels = [one for frame in frames for one in frame["labels"]]
    assert {one["category"] for one in labels} <= set(classes.BDD100K_INS_SEG)
    letters = {letter for one in labels for part in one["poly2d"] for letter in part["types"]}
    assert letters == {"L", "C"}
    assert any(one["attributes"]["occluded"] for one in labels)
    assert all(set(f["attributes"]) == {"weather", "scene", "timeofday"} for f in frames)


def test_our_own_loader_has_nothing_to_complain_of(rendered):
    for split, count in SMALL.items():
        records = load_bdd100k(rendered, split=split, folder=FOLDER)
        assert len(records.dicts) == count
        assert not records.problems, records.problems.lines()


def test_labels_say_the_size_of_their_images(rendered, tmp_path):
    source = rendered / FOLDER / "labels/ins_seg/polygons/ins_seg_val.json"
    formats.write(formats.read(source), tmp_path / "coco.json", to="coco")
    tree = json.loads((tmp_path / "coco.json").read_text())
    assert {(i["width"], i["height"]) for i in tree["images"]} == {(320, 180)}
    assert {tuple(a["segmentation"]["size"]) for a in tree["annotations"]} <= {(180, 320)}
    # BDD100K's own files do not say it, and are of one size.
    frames = json.loads(source.read_text())
    for frame in frames:
        del frame["size"]
    (tmp_path / "own.json").write_text(json.dumps(frames))
    formats.write(formats.read(tmp_path / "own.json"), tmp_path / "own_coco.json", to="coco")
    tree = json.loads((tmp_path / "own_coco.json").read_text())
    assert {(i["width"], i["height"]) for i in tree["images"]} == {(1280, 720)}


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(rendered, tmp_path):
    again = render(tmp_path / "again", counts=SMALL, size=(320, 180))
    other = render(tmp_path / "other", counts=SMALL, size=(320, 180), seed=7)
    name = "labels/ins_seg/polygons/ins_seg_train.json"
    first = (rendered / FOLDER / name).read_bytes()
    assert (again / name).read_bytes() == first
    assert (other / name).read_bytes() != first
    image = next((again / "images/10k/train").iterdir())
    assert image.read_bytes() == (rendered / FOLDER / "images/10k/train" / image.name).read_bytes()


def test_a_second_call_renders_nothing_and_a_new_seed_renders_anew(tmp_path):
    counts = {"train": 1, "val": 1}
    folder = render(tmp_path, counts=counts, size=(160, 90))
    stamp = (folder / "rendered.json").stat().st_mtime_ns
    render(tmp_path, counts=counts, size=(160, 90))
    assert (folder / "rendered.json").stat().st_mtime_ns == stamp
    render(tmp_path, counts=counts, size=(160, 90), seed=3)
    assert json.loads((folder / "rendered.json").read_text())["seed"] == 3
    assert [p.name for p in tmp_path.iterdir()] == [FOLDER]


def test_a_folder_of_someone_elses_is_left_alone(tmp_path):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="move it away"):
        render(tmp_path, counts={"val": 1}, size=(160, 90))
    assert (tmp_path / FOLDER / "mine.txt").read_text() == "precious"


def test_an_interrupted_rendering_leaves_nothing(tmp_path):
    def stop(jobs):
        yield next(iter(jobs))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(tmp_path, counts={"train": 3}, size=(160, 90), progress=stop)
    assert not list(tmp_path.iterdir())


def test_labels_cover_the_pixels_that_are_seen(rendered):
    """The drawn masks of a scene's labels are the visible pixels of its things, but for the rim that the official rule adds."""
    frames = json.loads(
        (rendered / FOLDER / "labels/ins_seg/polygons/ins_seg_train.json").read_text()
    )
    overlaps = []
    for i, frame in enumerate(frames):
        rng = np.random.default_rng([2018, sum(b"train"), i])
        scene = compose(rng, 320, 180)
        _, painted, _ = paint(scene, rng)
        visible = {}
        for item in painted:
            ys, xs = np.nonzero(item.visible)
            if len(ys):
                visible[item.thing.category, xs.min(), ys.min(), xs.max(), ys.max()] = item.visible
        for one in frame["labels"]:
            box = one["box2d"]
            seen = visible[one["category"], box["x1"], box["y1"], box["x2"], box["y2"]]
            parts = load_paths(one)
            drawn = run_lengths.decode(rasterize.polygons_to_rle(parts, 180, 320, "official"))
            grown = cv2.dilate(seen.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
            assert (drawn & ~grown).sum() <= 0.05 * seen.sum() + 4
            overlaps.append((drawn & seen).sum() / seen.sum())
    assert np.mean(overlaps) > 0.97
    assert min(overlaps) > 0.75


def test_panoptic_bitmasks_hold_the_visible_things_and_what_is_around_them(rendered):
    names = sorted((rendered / FOLDER / "labels/pan_seg/bitmasks/train").glob("*.png"))
    images = sorted((rendered / FOLDER / "images/10k/train").glob("*.jpg"))
    assert [n.stem for n in names] == [p.stem for p in images]
    frames = json.loads(
        (rendered / FOLDER / "labels/ins_seg/polygons/ins_seg_train.json").read_text()
    )
    for frame in frames:
        size, found = read_bitmask(
            rendered / FOLDER / "labels/pan_seg/bitmasks/train" / f"{frame['name'][:-4]}.png"
        )
        assert size == (180, 320)
        things = [item for item in found if item.category > 30]
        words = [BDD100K_PAN_SEG[item.category - 1] for item in things]
        assert words == [one["category"].replace("pedestrian", "person") for one in frame["labels"]]
        for item, one in zip(things, frame["labels"], strict=True):
            x1, y1, x2, y2 = run_lengths.to_bbox(item.rle)
            assert [x1, y1, x2 - 1, y2 - 1] == [one["box2d"][k] for k in ("x1", "y1", "x2", "y2")]
        stuff = {BDD100K_PAN_SEG[item.category - 1] for item in found if item.category <= 30}
        assert {"road", "sky"} <= stuff
        assert sum(run_lengths.area(item.rle) for item in found) > 0.98 * 180 * 320


def load_paths(one):
    from bdd_inst.masks.outlines import Outline

    return [
        Outline.checked(part["vertices"], part["types"], part["closed"]) for part in one["poly2d"]
    ]


def test_a_traced_mask_is_drawn_back_with_its_holes(rng):
    """Ring and specks: the polygons of a mask fill it again, by the rule that paints every touched pixel."""
    mask = np.zeros((60, 80), bool)
    mask[10:50, 10:60] = True
    mask[20:40, 25:45] = False
    mask[5:8, 70:76] = True
    drawn = run_lengths.decode(
        rasterize.polygons_to_rle([p.astype(float) for p in trace(mask)], 60, 80, "official")
    )
    assert (drawn ^ mask).sum() <= 0.03 * mask.sum()
    assert not drawn[24:36, 29:41].any()
