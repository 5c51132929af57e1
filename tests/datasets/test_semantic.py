"""Label map data sets: pairs of every coding, person sources in three notations, one split rule, BDD100K's 19 classes."""

from __future__ import annotations

import functools
import json
import operator

import numpy as np
import pytest
from PIL import Image

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.data.sem_seg import label_map_of
from bdd_inst.datasets.layout import MissingDataError
from bdd_inst.datasets.people import load_people
from bdd_inst.datasets.semantic import load_bdd100k_sem_seg, load_pairs
from bdd_inst.datasets.splits import split_names
from bdd_inst.formats.supervisely import pack

COLORS = np.array([[0, 0, 0], [220, 20, 60], [0, 0, 142]], np.uint8)
TRUTH = np.zeros((30, 40), np.uint8)
TRUTH[5:20, 8:25] = 1


def save(path, values, palette=None) -> None:
    """Values as a PNG or JPEG, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values, None if palette is None else "P")
    if palette is not None:
        image.putpalette(palette.ravel().tolist())
    image.save(path)


def photograph(path, size=(30, 40)) -> None:
    """A gray image."""
    save(path, np.full((*size, 3), 90, np.uint8))


@pytest.mark.parametrize("coding", ["0/1", "0/255", "palette", "colors", "table"])
def test_pairs_of_every_coding(tmp_path, coding):
    truth, classes, colors = TRUTH.copy(), ("background", "person"), None
    if coding in ("palette", "colors", "table"):
        truth[22:28, 30:38], classes = 2, ("background", "person", "car")
    photograph(tmp_path / "images" / "a.jpg")
    if coding in ("colors", "table"):
        colors = {name: COLORS[n].tolist() for n, name in enumerate(classes)}
        if coding == "table":
            rows = [",".join(map(str, [name, *rgb])) for name, rgb in colors.items()]
            colors = tmp_path / "classes.csv"
            colors.write_text("\n".join(["name,r,g,b", *rows]))
        save(tmp_path / "masks" / "a_mask.png", COLORS[truth])
    elif coding == "palette":
        save(tmp_path / "masks" / "a.png", truth, np.resize(COLORS, (256, 3)))
    else:
        save(tmp_path / "masks" / "a.png", truth * (255 if coding == "0/255" else 1))
    loaded = load_pairs(tmp_path / "images", tmp_path / "masks", classes, colors=colors)
    assert not loaded.problems
    assert loaded.metadata["stuff_classes"] == list(classes)
    assert np.array_equal(label_map_of(loaded.dicts[0]), truth)


def test_what_does_not_go_together_is_counted(tmp_path):
    for name in ("good", "alone", "scaled", "other", "cut"):
        photograph(tmp_path / "images" / f"{name}.jpg")
        if name != "alone":
            save(tmp_path / "masks" / f"{name}.png", TRUTH * 255)
    save(tmp_path / "masks" / "scaled.png", np.kron(TRUTH, np.full((2, 2), 255, np.uint8)))
    save(tmp_path / "masks" / "other.png", TRUTH[:, :30] * 255)
    save(tmp_path / "masks" / "orphan.png", TRUTH * 255)
    (tmp_path / "images" / "cut.jpg").write_bytes(
        (tmp_path / "images" / "cut.jpg").read_bytes()[:99]
    )
    loaded = load_pairs(tmp_path / "images", tmp_path / "masks")
    assert dict(loaded.problems.counts) == {
        "missing-image": 1, "image-without-labels": 1, "scaled-mask": 1, "wrong-size-image": 1, "unreadable-file": 1,
    }  # fmt: skip
    assert [d["image_id"] for d in loaded.dicts] == ["good", "scaled"]
    assert np.array_equal(label_map_of(loaded.dicts[1]), TRUTH)


def test_colors_without_a_table_and_nothing_in_common(tmp_path):
    photograph(tmp_path / "images" / "a.jpg")
    save(tmp_path / "masks" / "a.png", COLORS[TRUTH])
    with pytest.raises(DataError, match="give a table of colors"):
        load_pairs(tmp_path / "images", tmp_path / "masks")
    (tmp_path / "bad.csv").write_text("person;1;2;3")
    with pytest.raises(DataError, match=r"bad\.csv: no table of colors"):
        load_pairs(tmp_path / "images", tmp_path / "masks", colors=tmp_path / "bad.csv")
    save(tmp_path / "others" / "b.png", TRUTH)
    with pytest.raises(DataError, match="no mask has the name"):
        load_pairs(tmp_path / "images", tmp_path / "others")


def test_splits_are_disjoint_whole_and_stay(tmp_path):
    names = [f"{n:03d}" for n in range(100)]
    parts = [split_names(names, split) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [80, 10, 10]
    assert sorted(functools.reduce(operator.iadd, parts, [])) == names
    assert split_names(names[::-1], "val")[::-1] == parts[1]
    assert split_names(names, "val", seed=1) != parts[1]
    assert split_names(["train/a", "val/b", "test/c"], "val") == ["val/b"]
    listing = tmp_path / "val.txt"
    listing.write_text("# mine\n005\n007.jpg\n")
    with pytest.raises(DataError, match=r"007\.jpg is no image"):
        split_names(names, "val", listing=listing)
    listing.write_text("005\n")
    assert split_names(names, "val", listing=listing) == ["005"]
    with pytest.raises(ConfigError, match="add up to 1"):
        split_names(names, "val", shares=(0.5, 0.1, 0.1))


def supervisely(spelling: str) -> dict:
    """An object of TRUTH as a Supervisely export spells it."""
    bitmap = {"data": pack(TRUTH[5:20, 8:25] > 0), "origin": [8, 5]}
    corners = {"exterior": [[0, 0], [1, 0], [1, 1]], "interior": []}
    if spelling == "2018":  # every object carries both keys
        return {"classTitle": "person", "bitmap": bitmap, "points": corners}
    return {"classTitle": "person_bmp", "geometryType": "bitmap", "bitmap": bitmap}


def write_sources(root) -> None:
    """One source of each notation below root/people, with an image each, and a background."""
    base = root / "people"
    for name in ("pairs", "new", "old", "coco"):
        photograph(base / name / "images" / "a.jpg")
    save(base / "pairs" / "masks" / "a.png", TRUTH * 255)
    band = np.zeros_like(TRUTH)
    band[:, 24:26] = 255
    save(base / "pairs" / "ignore" / "a.png", band)
    for name in ("new", "old"):
        top = {
            "size": {"height": 30, "width": 40},
            "objects": [supervisely("2018" if name == "old" else name)],
        }
        (base / name / "ann").mkdir()
        (base / name / "ann" / "a.jpg.json").write_text(json.dumps(top))
    polygon = [8, 5, 25, 5, 25, 20, 8, 20]
    (base / "coco" / "instances.json").write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.jpg", "height": 30, "width": 40}],
                "categories": [{"id": 1, "name": "person"}],
                "annotations": [
                    {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [polygon], "bbox": [8, 5, 17, 15], "area": 255, "iscrowd": 0}
                ],
            }
        )
    )  # fmt: skip
    photograph(base / "backgrounds" / "empty.jpg")


def test_persons_of_every_notation(tmp_path):
    write_sources(tmp_path)
    loaded = load_people(tmp_path)
    maps = {d["image_id"].split("/")[0]: label_map_of(d) for d in loaded.dicts}
    assert sorted(maps) == ["backgrounds", "coco", "new", "old", "pairs"]
    for name in ("coco", "new", "old"):
        assert np.array_equal(maps[name], TRUTH)
    assert not maps["backgrounds"].any()
    assert (maps["pairs"][:, 24:26] == 255).all()
    assert np.array_equal(maps["pairs"][:, :24], TRUTH[:, :24])


def test_persons_are_split_by_list_where_there_is_one(tmp_path):
    write_sources(tmp_path)
    assert sum(len(load_people(tmp_path, split).dicts) for split in ("train", "val", "test")) == 5
    linked = tmp_path / "linked"
    (linked / "people").mkdir(parents=True)
    for source in (tmp_path / "people").iterdir():
        (linked / "people" / source.name).symlink_to(source)
    assert len(load_people(linked).dicts) == 5
    (tmp_path / "people" / "val.txt").write_text("old/images/a.jpg\n")
    assert [d["image_id"] for d in load_people(tmp_path, "val").dicts] == ["old/images/a.jpg"]
    with pytest.raises(MissingDataError, match="COCO notation"):
        load_people(tmp_path / "elsewhere", "val")


def test_small_sources_are_repeated_in_training_alone(tmp_path):
    write_sources(tmp_path)
    base = tmp_path / "people"
    (base / "train.txt").write_text("old/images/a.jpg\nnew/images/a.jpg\nbackgrounds/empty.jpg\n")
    (base / "val.txt").write_text("old/images/a.jpg\n")
    (base / "repeat.txt").write_text("# how often\nold 3\nbackgrounds 2  # nobody there\n")
    names = [d["image_id"] for d in load_people(tmp_path, "train").dicts]
    assert sorted(names) == [
        *("backgrounds/empty.jpg", "backgrounds/empty.jpg#2"),
        "new/images/a.jpg",
        *("old/images/a.jpg", "old/images/a.jpg#2", "old/images/a.jpg#3"),
    ]
    assert len(load_people(tmp_path, "val").dicts) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [("old", "is no source"), ("old 0", "is no source"), ("ol 2", "no source ol; there are back")],
)
def test_a_wrong_line_of_repeats_is_named(tmp_path, line, message):
    write_sources(tmp_path)
    (tmp_path / "people" / "repeat.txt").write_text(f"new 2\n{line}\n")
    with pytest.raises(DataError, match=rf"repeat\.txt, line 2: .*{message}"):
        load_people(tmp_path, "train")


def test_inconsistent_supervisely_files_are_counted(tmp_path):
    write_sources(tmp_path)
    for name, text in (("b", "{"), ("c", '{"size": {}, "objects": []}'), ("d", "[]")):
        photograph(tmp_path / "people" / "new" / "images" / f"{name}.jpg")
        (tmp_path / "people" / "new" / "ann" / f"{name}.jpg.json").write_text(text)
    loaded = load_people(tmp_path)
    assert len([d for d in loaded.dicts if d["image_id"].startswith("new/")]) == 1
    assert len(loaded.problems) >= 3


def test_bdd100k_has_19_classes_and_void(tmp_path):
    truth = np.where(TRUTH > 0, 255, 0).astype(
        np.uint8
    )  # road and void: not a black and white mask
    photograph(tmp_path / "bdd100k" / "images" / "10k" / "val" / "a.jpg")
    save(tmp_path / "bdd100k" / "labels" / "sem_seg" / "masks" / "val" / "a.png", truth)
    loaded = load_bdd100k_sem_seg(tmp_path, "val")
    assert len(loaded.metadata["stuff_classes"]) == 19
    assert np.array_equal(label_map_of(loaded.dicts[0]), truth)
    with pytest.raises(MissingDataError, match="sem_seg"):
        load_bdd100k_sem_seg(tmp_path, "train")


def test_real_supervisely_projects_equal_their_masks(shared_dir):
    from bdd_inst.datasets.people import load_labels

    for name in ("old2018", "upload"):
        base = shared_dir / "data" / "people" / "sly_tutorial" / name
        for record in load_labels(base / "ann", base / "images", "supervisely").dicts:
            stem = record["file_name"].rsplit("/", 1)[-1].rsplit(".", 1)[0]
            mask = np.asarray(Image.open(base / "masks" / f"{stem}.png")) > 127
            assert np.array_equal(label_map_of(record) == 1, mask)
