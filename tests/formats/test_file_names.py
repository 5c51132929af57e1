"""Which image a label file belongs to by its own name: one rule for every format, whatever the image's suffix."""

from __future__ import annotations

import gzip
import json

import cv2
import numpy as np
import pytest

from bdd_inst import formats
from bdd_inst.datasets.semantic import load_pairs
from bdd_inst.images.names import SUFFIXES, image_name, image_stem, is_image_name

SUPERVISELY = {"size": {"height": 8, "width": 9}, "tags": [], "objects": []}
LABELME = {"imageHeight": 8, "imageWidth": 9, "shapes": []}
BDD_V1 = {"name": "", "frames": [{"objects": []}]}


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".JPG", ".TiFF"])
def test_a_label_file_may_keep_its_images_suffix_in_every_format(suffix, tmp_path):
    supervisely = tmp_path / f"v1.2{suffix}.json"
    supervisely.write_text(json.dumps(SUPERVISELY))
    mask = tmp_path / f"v1.2{suffix}.png"
    cv2.imwrite(str(mask), np.uint8([[0, 1, 2]]))
    old = tmp_path / "old.json"
    old.write_text(json.dumps(BDD_V1 | {"name": f"v1.2{suffix}"}))
    for source, kind in ((supervisely, None), (mask, "label-map"), (old, None)):
        [image] = formats.read(source, kind=kind).images
        assert image.name == f"v1.2{suffix}"


@pytest.mark.parametrize("tree", [SUPERVISELY, LABELME, BDD_V1])
def test_a_packed_label_file_is_named_as_if_it_were_unpacked(tree, tmp_path):
    (tmp_path / "street.json.gz").write_bytes(gzip.compress(json.dumps(tree).encode()))
    [image] = formats.read(tmp_path / "street.json.gz").images
    assert image.name == "street.jpg"


def test_a_mask_called_after_its_image_with_the_suffix_belongs_to_it(tmp_path):
    for name, where in (("a.webp", "images"), ("a.webp.png", "masks")):
        (tmp_path / where).mkdir()
        cv2.imwrite(str(tmp_path / where / name), np.zeros((8, 9), np.uint8))
    records = load_pairs(tmp_path / "images", tmp_path / "masks").dicts
    assert [record["sem_seg_file_name"][-10:] for record in records] == ["a.webp.png"]


@pytest.mark.parametrize(
    ("name", "stem", "image"),
    [("a.jpg", "a", "a.jpg"), ("a.GIF", "a", "a.GIF"), ("v1.2", "v1.2", "v1.2.jpg"), (".png", ".png", ".png")],
)  # fmt: skip
def test_stems_and_names(name, stem, image):
    assert image_stem(name) == stem
    assert image_name(name) == image
    assert is_image_name(name) == (name != "v1.2")


def test_unlabelled_images_keep_their_key_in_coco_files(tmp_path):
    """Files that hold it are about; its spelling is no matter of taste any more."""
    frames = [{"name": "a.jpg", "labels": None}, {"name": "b.jpg", "labels": []}]
    (tmp_path / "frames.json").write_text(json.dumps(frames))
    formats.write(formats.read(tmp_path / "frames.json"), tmp_path / "coco.json", to="coco")
    images = json.loads((tmp_path / "coco.json").read_text())["images"]
    assert [image.get("labelled", True) for image in images] == [False, True]
    assert [i.labeled for i in formats.read(tmp_path / "coco.json").images] == [False, True]
