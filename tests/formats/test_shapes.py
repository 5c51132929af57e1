"""One mask for an object, whoever asks for it: training, evaluation, conversion, checks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from bdd_inst import formats
from bdd_inst.base.errors import ProblemLog
from bdd_inst.datasets.own import get_dataset
from bdd_inst.evaluation.label_sets import truth_from_labels
from bdd_inst.formats import shapes
from bdd_inst.formats.records import ImageLabels, Instance
from bdd_inst.masks import rasterize, run_lengths
from bdd_inst.masks.outlines import Outline

SIZE = (40, 60)
AREA = {"vertices": [[5, 5], [20, 6], [18, 30], [6, 28]], "types": "LLLL", "closed": True}
CURVE = {"vertices": [[30, 5], [50, 5], [50, 30], [30, 30]], "types": "LCCL", "closed": True}
LINE = {"vertices": [[2, 35], [55, 35]], "types": "LL", "closed": False}
BOX = {"x1": 2, "y1": 2, "x2": 50, "y2": 36}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "images" / "a.jpg")
    return tmp_path


def write(folder, *parts):
    label = {"id": "1", "category": "car", "box2d": BOX, "poly2d": list(parts)}
    frame = {"name": "a.jpg", "size": {"width": 60, "height": 40}, "labels": [label]}
    (folder / "labels.json").write_text(json.dumps([frame]))
    return folder / "labels.json"


def masks_of(path, folder) -> dict[str, dict | None]:
    """The one object's mask as each tool sees it."""
    converted = formats.write(formats.read(path), folder / "rle.json", to="rle").path
    coco = formats.write(formats.read(path), folder / "coco.json", to="coco").path
    dicts = formats.write(formats.read(path), folder / "dicts.json", to="dicts").path
    annotations = get_dataset(str(path), folder / "images")[0]["annotations"]
    return {
        "training": annotations[0]["segmentation"] if annotations else None,
        "evaluation": truth_from_labels(formats.read(path)).masks[0],
        "rle": formats.read(converted).load().images[0].instances[0].rle,
        "coco": formats.read(coco).load().images[0].instances[0].rle,
        "dicts": formats.read(dicts).load().images[0].instances[0].rle,
    }


@pytest.mark.parametrize("parts", [(AREA,), (AREA, CURVE), (AREA, LINE), (LINE, CURVE, AREA)])
def test_every_tool_gives_one_mask(folder, parts):
    closed = [Outline.checked(p["vertices"], p["types"]) for p in parts if p["closed"]]
    expected = rasterize.polygons_to_rle(closed, *SIZE)
    assert masks_of(write(folder, *parts), folder) == dict.fromkeys(
        ("training", "evaluation", "rle", "coco", "dicts"), expected
    )


def test_a_line_has_no_area_to_train_or_score_on(folder):
    masks = masks_of(write(folder, LINE), folder)
    drawn = rasterize.polygons_to_rle([Outline.checked(LINE["vertices"], "", False)], *SIZE)
    assert masks == {
        "training": None,
        "evaluation": None,
        "rle": drawn,
        "coco": drawn,
        "dicts": drawn,
    }


def instance(*paths, **fields):
    return Instance("car", paths=list(paths), **fields)


def test_what_cannot_be_used_is_counted_and_costs_itself_alone():
    good = Outline(np.array([[0, 0], [10, 0], [10, 10.0]]))
    broken = Outline(np.array([[0, 0], [1e9, 0], [10, 10.0]]))
    small = run_lengths.encode(np.ones((3, 3), bool))
    whole = run_lengths.encode(np.ones(SIZE, bool))
    image = ImageLabels(
        "a.jpg",
        instances=[
            instance(good),
            instance(broken),
            instance(broken, rle=whole),
            instance(good, rle=small),
            instance(rle=small),
            instance(good, rle=whole),
            instance(),
        ],
    )
    log = ProblemLog()
    masks = shapes.image_masks(image, *SIZE, "coco", log)
    drawn = rasterize.polygons_to_rle([good], *SIZE, "coco")
    assert masks == [drawn, None, whole, drawn, None, drawn, None]
    assert dict(log.counts) == {"wrong-size-mask": 2, "bad-polygon": 2}
    assert shapes.image_masks(image, *SIZE, "coco", ProblemLog(), prefer="rle")[5] == whole


def test_polygons_leave_out_what_encloses_nothing():
    flat_curve = Outline(np.array([[0, 0], [4, 0], [8, 0.0]]), "LCC")  # a curve back to its start
    line = Outline(np.array([[0, 0], [4, 4.0]]), "", closed=False)
    area = Outline(np.array([[0, 0], [4, 0], [4, 4.0]]))
    polygons, curved, left_out = shapes.flat_polygons(instance(flat_curve, line, area))
    assert [0, 0, 4, 0, 4, 4] in polygons
    assert all(len(flat) >= 6 for flat in polygons)
    assert (curved, left_out) == (1, 3 - len(polygons))
