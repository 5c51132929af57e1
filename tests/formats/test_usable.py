"""What of labels can be used: shapes that cover nothing, shares for pixels, images labeled twice or of another size."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from bdd_inst import formats
from bdd_inst.base.errors import DataError
from bdd_inst.evaluation import files
from bdd_inst.masks import run_lengths as rle
from tests.formats import examples

SQUARE = [5.0, 5.0, 25.0, 5.0, 25.0, 25.0, 5.0, 25.0]


def coco(path, *annotations, images=({"id": 1, "file_name": "a.jpg", "width": 64, "height": 48},)):
    rows = [
        {"id": n, "image_id": 1, "category_id": 1, "bbox": [5, 5, 20, 20], "iscrowd": 0} | a
        for n, a in enumerate(annotations, 1)
    ]
    tree = {"images": list(images), "annotations": rows, "categories": [{"id": 1, "name": "car"}]}
    path.write_text(json.dumps(tree))
    return path


def read(path, **options):
    labels = formats.read(path, **options).load()
    return [i for image in labels.images for i in image.instances], labels.problems.counts


@pytest.mark.parametrize(
    ("segmentation", "code"),
    [
        ([[5, 5, 25, 5, 15, 5]], "no-area"),
        ([[100, 5, 120, 5, 120, 25]], "empty-object"),
        ([[-30, 5, -10, 5, -10, 25]], "empty-object"),
        (rle.encode(np.zeros((48, 64), bool)), "empty-object"),
        ([[0.1, 0.2, 0.5, 0.2, 0.5, 1.0]], "normalised-coordinates"),
    ],
)
def test_a_shape_that_covers_nothing_is_left_out_and_its_object_kept(segmentation, code, tmp_path):
    (found,), counts = read(coco(tmp_path / "gt.json", {"segmentation": segmentation}))
    assert (found.box, found.paths, found.rle) == ((5, 5, 25, 25), None, None)
    assert counts == {code: 1}
    parts = [SQUARE, *(segmentation if isinstance(segmentation, list) else [])]
    (found,), _ = read(coco(tmp_path / "gt.json", {"segmentation": parts}))
    assert len(found.paths) == 1


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ([0, 0, 1, 1], (64, 48)),  # the image's first pixel
        ([0.25, 0.25, 0.5, 0.5], (4, 4)),
        ([0.5, 0.5, 0.6, 0.4], (64, 48)),  # beyond 1
    ],
)
def test_small_boxes_are_no_shares(box, size, tmp_path):
    image = {"id": 1, "file_name": "a.jpg", "width": size[0], "height": size[1]}
    found, counts = read(coco(tmp_path / "gt.json", {"bbox": box}, images=[image]))
    assert len(found) == 1
    assert not counts


def test_labels_of_which_nothing_is_left_are_refused_by_writers_and_figures(tmp_path):
    path = coco(tmp_path / "gt.json", {"bbox": [0.1, 0.1, 0.4, 0.5]})
    assert read(path) == ([], {"normalised-coordinates": 1})
    with pytest.raises(DataError, match="none of its objects can be used .*from 0 to 1"):
        formats.write(formats.read(path), tmp_path / "out.json", to="coco")
    with pytest.raises(DataError, match="none of its objects can be used .*from 0 to 1"):
        files.read_truth(path)
    formats.write(formats.read(coco(tmp_path / "empty.json")), tmp_path / "out.json", to="coco")


def test_the_first_labels_of_an_image_hold(tmp_path):
    frame = {"name": "a.jpg", "labels": [{"id": "1", "category": "car"}]}
    (tmp_path / "labels.json").write_text(json.dumps([frame, frame | {"labels": []}]))
    labels = formats.read(tmp_path / "labels.json").load()
    assert [len(p.instances) for p in labels.images] == [1]
    assert labels.problems.counts["duplicate-image"] == 1


def test_labels_of_another_size_than_their_image_are_left_out(tmp_path):
    (tmp_path / "img").mkdir()
    Image.new("RGB", (48, 64)).save(tmp_path / "img" / "a.jpg")
    path = coco(tmp_path / "gt.json", {"segmentation": [SQUARE]})
    assert read(path, images=tmp_path / "img") == ([], {"wrong-size-image": 1})
    with pytest.raises(DataError, match="the image is shown 48x64, its labels are for 64x48"):
        files.read_truth(path, tmp_path / "img")


def test_a_whole_image_of_shares_beside_pixels_is_counted(tmp_path):
    both = {"segmentation": [SQUARE]}, {"bbox": [0.1, 0.1, 0.4, 0.5], "segmentation": [[0.1] * 6]}
    found, counts = read(coco(tmp_path / "gt.json", *both))
    assert len(found) == 1
    assert counts["normalised-coordinates"] == 2


@pytest.mark.parametrize("to", ["bitmask", "panoptic", "label-map", "yolo", "coco"])
def test_a_size_of_ten_billion_pixels_is_taken_for_unknown(to, tmp_path):
    tree = examples.coco()
    tree["images"][0] |= {"width": 100_000, "height": 100_000}
    (tmp_path / "gt.json").write_text(json.dumps(tree))
    labels = formats.read(tmp_path / "gt.json")
    done = formats.write(labels, tmp_path / ("out" if to != "panoptic" else "out.json"), to=to)
    assert done.images == 1
    assert labels.problems.counts["bad-image-size"] == 1
