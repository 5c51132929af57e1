"""From every kind to every other: what comes back, what is lost and said to be, and what an interrupted run leaves."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO

from bdd_inst import formats
from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import bitmask, conversion, shapes
from bdd_inst.formats.records import ImageLabels, Instance, LabelSet
from bdd_inst.formats.table import kinds
from bdd_inst.masks import run_lengths
from bdd_inst.masks.outlines import Outline
from tests.formats import examples
from tests.waiting import locked_elsewhere

FOLDERS = ("bitmask", "label-map", "binary-masks", "yolo")
ENDINGS = {"cvat": "xml", "rle-csv": "csv"}
# The others have examples of their own among the cases.
KINDS = [kind for kind in kinds("read") if kind in {**examples.JSON_KINDS, **examples.PNG_KINDS}]


def output(folder, to):
    return folder / (f"out-{to}" if to in FOLDERS else f"out-{to}.{ENDINGS.get(to, 'json')}")


@pytest.mark.parametrize("to", kinds("write"))
@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_becomes_any_other_and_is_read_again(kind, to, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.jpg", "42.jpg", "000007.jpg"):
        Image.new("RGB", (examples.WIDTH, examples.HEIGHT)).save(images / name)
    (tmp_path / "in").mkdir()
    labels = formats.read(examples.write(tmp_path / "in", kind), images=images)
    path = output(tmp_path, to)
    done = formats.write(labels, path, to=to)
    assert done.path == path
    for text in path.rglob("*.txt") if to == "yolo" else ():  # which cannot be read without images
        size = (examples.WIDTH, examples.HEIGHT)
        Image.new("RGB", size).save(images / f"{text.stem}.jpg")
    again = formats.read(path, images=images if to == "yolo" else None).load()
    assert again.kind == ("scalabel" if to == "rle" else to)
    assert len(again.images) == done.images > 0
    assert not list(tmp_path.glob(".*parts"))
    if to not in FOLDERS:
        wanted = [len(p.instances) for p in labels.images]
        lost = done.skipped or done.lost.counts.get("hidden-objects")
        assert [len(p.instances) for p in again.images] == wanted or lost


def same(a: LabelSet, b: LabelSet, *, but: tuple[str, ...] = ()) -> None:
    """All fields of all instances of two label sets are equal, except those named."""
    for one, two in zip(a.load().images, b.load().images, strict=True):
        for field in ("name", "width", "height", "attributes", "video", "frame_index", "labeled"):
            assert field in but or getattr(one, field) == getattr(two, field), field
        for first, second in zip(one.instances, two.instances, strict=True):
            for field in Instance.__dataclass_fields__:
                if field not in but:
                    assert getattr(first, field) == getattr(second, field), (
                        field,
                        one.name,
                        first.id,
                    )


def test_scalabel_round_trip_is_exact(tmp_path):
    source = formats.read(examples.write(tmp_path, "scalabel"))
    formats.write(source, tmp_path / "again.json", to="scalabel")
    again = formats.read(tmp_path / "again.json").load()
    for image in source.load().images:
        for instance in image.instances:
            instance.id = str(
                instance.id
            )  # Scalabel's ids are text; older files' numbers become it
    same(source, again)


def test_coco_round_trip_is_exact(tmp_path):
    source = formats.read(examples.write(tmp_path, "coco"))
    formats.write(source, tmp_path / "again.json", to="coco")
    again = formats.read(tmp_path / "again.json")
    same(source, again, but=("attributes",))
    assert (again.categories, again.category_ids) == (source.categories, source.category_ids)
    written = json.loads((tmp_path / "again.json").read_text())
    assert [a["bbox"] for a in written["annotations"]] == [
        a["bbox"] for a in examples.coco()["annotations"]
    ]
    assert [i["id"] for i in written["images"]] == [42, 7]


def test_bitmask_round_trip_is_exact_through_coco(tmp_path):
    (tmp_path / "a.png").write_bytes(examples.bitmask())
    formats.write(formats.read(tmp_path / "a.png"), tmp_path / "a.json", to="coco")
    formats.write(formats.read(tmp_path / "a.json"), tmp_path / "out", to="bitmask")
    first, second = (
        bitmask.read_bitmask(p)[1] for p in (tmp_path / "a.png", tmp_path / "out" / "a.png")
    )
    assert [(i.rle, i.number, i.flags) for i in first] == [
        (i.rle, i.number, i.flags) for i in second
    ]


def test_coco_is_what_pycocotools_reads(tmp_path, capsys):
    formats.write(
        formats.read(examples.write(tmp_path, "scalabel")),
        tmp_path / "out.json",
        to="coco",
        raster="coco",
    )
    coco = COCO(str(tmp_path / "out.json"))
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())][:3] == [
        "pedestrian",
        "rider",
        "car",
    ]
    annotations = coco.loadAnns(coco.getAnnIds())
    assert [a["id"] for a in annotations] == [1, 2, 3]
    drawn = shapes.image_masks(
        formats.read(tmp_path / "scalabel.json").load().images[0], 60, 80, "coco", ProblemLog()
    )
    for annotation, rle in zip(annotations[:2], drawn, strict=False):
        assert annotation["segmentation"]
        assert annotation["area"] > 0
        del rle


def test_bdd_words_follow_the_official_mapping(tmp_path):
    words = ["person", "other person", "bike", "van", "trailer", "lane", "traffic light"]
    box = {"x1": 1, "y1": 1, "x2": 9, "y2": 9}
    frame = {
        "name": "a.jpg",
        "labels": [{"id": str(i), "category": w, "box2d": box} for i, w in enumerate(words)],
    }
    done = formats.write(
        formats.read(examples.write(tmp_path, "scalabel", [frame])),
        tmp_path / "out.json",
        to="coco",
    )
    written = json.loads((tmp_path / "out.json").read_text())
    names = {c["id"]: c["name"] for c in written["categories"]}
    assert [names[i] for i in range(1, 12)] == [
        *(
            "pedestrian",
            "rider",
            "car",
            "truck",
            "bus",
            "train",
            "motorcycle",
            "bicycle",
            "traffic light",
            "traffic sign",
            "lane",
        )
    ]
    found = [(names[a["category_id"]], a["iscrowd"]) for a in written["annotations"]]
    assert found == [
        ("pedestrian", 0),
        ("pedestrian", 1),
        ("bicycle", 0),
        ("car", 0),
        ("truck", 1),
        ("lane", 0),
        ("traffic light", 0),
    ]
    assert written["annotations"][0]["bbox"] == [1, 1, 9, 9]
    assert done.skipped.counts == {"size-assumed": 1}


def test_crowd_and_ignored_are_told_apart_after_coco(tmp_path):
    labels = [{"id": str(i), "category": "car", "attributes": a, "box2d": {"x1": 1, "y1": 1, "x2": 9, "y2": 9}} for i, a in enumerate(
        [{}, {"crowd": True}, {"ignored": True}, {"crowd": True, "ignored": True, "occluded": True}]
    )]  # fmt: skip
    formats.write(
        formats.read(examples.write(tmp_path, "scalabel", [{"name": "a.jpg", "labels": labels}])),
        tmp_path / "out.json",
        to="coco",
    )
    assert [
        a["iscrowd"] for a in json.loads((tmp_path / "out.json").read_text())["annotations"]
    ] == [0, 1, 1, 1]
    again = formats.read(tmp_path / "out.json").load().images[0].instances
    assert [(i.crowd, i.ignored, i.occluded) for i in again] == [
        (0, 0, 0),
        (1, 0, 0),
        (0, 1, 0),
        (1, 1, 1),
    ]


def test_categories_choose_and_order(tmp_path):
    source = formats.read(examples.write(tmp_path, "coco"))
    done = formats.write(source, tmp_path / "out.json", to="coco", categories=["person"])
    written = json.loads((tmp_path / "out.json").read_text())
    assert (written["categories"][0]["id"], len(written["annotations"])) == (1, 2)
    assert done.skipped.counts == {"category-left-out": 1}
    with pytest.raises(DataError, match="no category 'cat'"):
        formats.write(source, tmp_path / "out.json", to="coco", categories=["cat"])


def test_the_rule_is_applied_and_recorded(tmp_path):
    path = examples.write(tmp_path, "scalabel")
    areas = {}
    for rule in ("official", "coco"):
        formats.write(
            formats.read(path), tmp_path / f"{rule}.json", to="coco", raster=rule, masks="rle"
        )
        written = json.loads((tmp_path / f"{rule}.json").read_text())
        assert written["info"]["mask_rule"] == rule
        areas[rule] = written["annotations"][0]["area"]
    assert areas["official"] > areas["coco"]
    assert (
        formats.write(formats.read(tmp_path / "coco.json"), tmp_path / "b", to="bitmask").rule
        == "coco"
    )


def test_what_is_lost_is_said(tmp_path):
    path = examples.write(tmp_path, "scalabel")
    assert formats.write(
        formats.read(path), tmp_path / "a.json", to="coco", raster="coco"
    ).lost.counts == {"lost-curves": 2}
    lost = formats.write(formats.read(path), tmp_path / "b", to="bitmask").lost.counts
    assert lost["lost-overlaps"] == 1
    assert "lost-scores" not in lost
    assert (
        formats.write(formats.read(path), tmp_path / "m", to="label-map").lost.counts["lost-scores"]
        == 1
    )
    assert (
        formats.write(formats.read(path), tmp_path / "c.json", to="rle").lost.counts[
            "lost-outlines"
        ]
        == 2
    )


def test_scores_stay_in_dicts(tmp_path):
    image = ImageLabels("a.jpg", 80, 60, instances=[Instance("car", (1, 1, 9, 9), score=0.25)])
    formats.write(
        LabelSet("coco", "memory", None, [image], ProblemLog(), "pixels"),
        tmp_path / "d.json",
        to="dicts",
    )
    assert [
        i.score for p in formats.read(tmp_path / "d.json").load().images for i in p.instances
    ] == [0.25]


def scored(tmp_path, *scores):
    masks = [examples.square(0, 0, 10, 10), examples.square(20, 20, 30, 30)]
    instances = [
        Instance("car", rle=run_lengths.encode(mask), score=score)
        for mask, score in zip(masks, scores, strict=True)
    ]
    images = [ImageLabels("a.jpg", 80, 60, instances=instances), ImageLabels("b.jpg", 80, 60)]
    return LabelSet("scalabel", "memory", None, images, ProblemLog(), "pixels")


def test_scores_of_bitmasks_go_beside_their_folder_and_come_back(tmp_path):
    done = formats.write(scored(tmp_path, 0.9, 0.2), tmp_path / "out", to="bitmask")
    assert "lost-scores" not in done.lost.counts
    frames = json.loads((tmp_path / "out.json").read_text())
    assert [
        (f["name"], [(x["index"], x["category"], x["score"]) for x in f["labels"]]) for f in frames
    ] == [
        ("a.jpg", [(2, "car", 0.9), (1, "car", 0.2)]),
        ("b.jpg", []),
    ]  # numbers are given in the order of drawing
    back = formats.read(tmp_path / "out.json", bitmasks=tmp_path / "out").load()
    assert [(i.score, run_lengths.to_bbox(i.rle)) for i in back.images[0].instances] == [
        (0.9, (0, 0, 10, 10)),
        (0.2, (20, 20, 30, 30)),
    ]
    formats.write(
        scored(tmp_path, 0.9, 0.3), tmp_path / "out", to="bitmask"
    )  # its own file may be replaced
    assert json.loads((tmp_path / "out.json").read_text())[0]["labels"][1]["score"] == 0.3


def test_scores_do_not_overwrite_another_file(tmp_path):
    (tmp_path / "out.json").write_text("[]")
    with pytest.raises(DataError, match=r"out\.json: the scores .* move it"):
        formats.write(scored(tmp_path, 0.9, 0.2), tmp_path / "out", to="bitmask")
    assert (tmp_path / "out.json").read_text() == "[]"
    formats.write(
        scored(tmp_path, None, None), tmp_path / "out", to="bitmask"
    )  # no scores, no file


def two_images(first: str, second: str) -> LabelSet:
    instances = [Instance("car", rle=run_lengths.encode(examples.square(0, 0, 4, 4)))]
    images = [ImageLabels(name, 80, 60, instances=instances) for name in (first, second)]
    return LabelSet("coco", "memory", None, images, ProblemLog(), "pixels")


@pytest.mark.parametrize("to", ["bitmask", "label-map", "binary-masks"])
def test_images_of_one_stem_keep_their_endings(to, tmp_path):
    done = formats.write(two_images("a.jpg", "a.tif"), tmp_path / "out", to=to)
    assert (done.images, done.skipped.counts) == (2, {})
    assert {p.name for p in formats.read(tmp_path / "out").images} == {"a.jpg", "a.tif"}


def test_images_that_would_overwrite_each_other_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(DataError, match=r"a\.jpg and a\.tif would share one \.txt file"):
        formats.write(two_images("a.jpg", "a.tif"), tmp_path / "out", to="yolo")
    with pytest.raises(DataError, match=r"several images are called a\.jpg"):
        formats.write(two_images("a.jpg", "a.jpg"), tmp_path / "out", to="bitmask")
    assert not list(tmp_path.iterdir())


def test_nothing_written_says_every_reason(tmp_path):
    labels = LabelSet(
        "scalabel", "memory", None, [ImageLabels("a.jpg", labeled=False)], ProblemLog(), "official"
    )
    with pytest.raises(DataError, match="unlabelled-image"):
        formats.write(labels, tmp_path / "out", to="bitmask")


def test_overlaps_go_to_the_higher_score(tmp_path):
    masks = [examples.square(0, 0, 10, 10), examples.square(5, 5, 15, 15)]
    instances = [
        Instance("car", rle=run_lengths.encode(m), score=s, id=i)
        for i, (m, s) in enumerate(zip(masks, (0.9, 0.2), strict=True), 1)
    ]
    labels = LabelSet(
        "coco",
        "memory",
        None,
        [ImageLabels("a.jpg", 80, 60, instances=instances)],
        ProblemLog(),
        "pixels",
    )
    formats.write(labels, tmp_path / "out", to="bitmask")
    _, found = bitmask.read_bitmask(tmp_path / "out" / "a.png")
    assert {i.number: run_lengths.area(i.rle) for i in found} == {1: 100, 2: 75}


def test_more_than_255_instances_all_survive(tmp_path):
    instances = [
        Instance("car", rle=run_lengths.encode(examples.square(x, y, x + 2, y + 2)))
        for y in range(0, 60, 3)
        for x in range(0, 80, 4)
    ]
    labels = LabelSet(
        "scalabel",
        "memory",
        None,
        [ImageLabels("a.jpg", 80, 60, instances=instances)],
        ProblemLog(),
        "pixels",
    )
    formats.write(labels, tmp_path / "out", to="bitmask")
    _, found = bitmask.read_bitmask(tmp_path / "out" / "a.png")
    assert [i.number for i in found] == list(range(1, 401))


def test_unlabeled_images_get_no_png_and_stay_unlabeled_in_coco(tmp_path):
    path = examples.write(tmp_path, "scalabel")
    done = formats.write(formats.read(path), tmp_path / "out", to="bitmask")
    assert done.skipped.counts["unlabelled-image"] == 1
    assert sorted(p.name for p in (tmp_path / "out").rglob("*.png")) == ["a-1.png", "b-2.png"]
    formats.write(formats.read(path), tmp_path / "out.json", to="coco")
    assert [p.labeled for p in formats.read(tmp_path / "out.json").load().images] == [
        True,
        False,
        True,
    ]


def test_names_that_climb_out_stay_inside(tmp_path):
    frame = {"name": "../../evil\x00.jpg", "size": {"width": 80, "height": 60}, "labels": []}
    formats.write(
        formats.read(examples.write(tmp_path, "scalabel", [frame])),
        tmp_path / "deep" / "out",
        to="bitmask",
    )
    assert [p.relative_to(tmp_path).parts[:2] for p in tmp_path.rglob("*.png")] == [("deep", "out")]


def many(tmp_path, number=150):
    frames = [
        dict(examples.scalabel()[0], name=f"{i:04d}.jpg", size={"width": 80, "height": 60})
        for i in range(number)
    ]
    return examples.write(tmp_path, "scalabel", frames)


def test_an_interrupted_run_goes_on_and_ends_the_same(tmp_path, monkeypatch):
    path = many(tmp_path)
    formats.write(formats.read(path), tmp_path / "whole.json", to="coco")
    done = []

    def stop_after_two(target, chunk):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(chunk)
        return real(target, chunk)

    real = conversion.encode_chunk
    monkeypatch.setattr(conversion, "encode_chunk", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        formats.write(formats.read(path), tmp_path / "out.json", to="coco")
    assert not (tmp_path / "out.json").exists()
    monkeypatch.setattr(conversion, "encode_chunk", real)
    result = formats.write(formats.read(path), tmp_path / "out.json", to="coco")
    assert result.resumed == 2
    assert (tmp_path / "out.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_parts_of_other_options_are_not_taken_up(tmp_path, monkeypatch):
    path = many(tmp_path)
    monkeypatch.setattr(
        conversion.PartStore, "items", lambda self: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        formats.write(formats.read(path), tmp_path / "out.json", to="coco", raster="official")
    monkeypatch.undo()
    assert (
        formats.write(formats.read(path), tmp_path / "out.json", to="coco", raster="coco").resumed
        == 0
    )


def test_two_processes_write_what_one_writes(tmp_path):
    path = many(tmp_path)
    for workers in (1, 2):
        formats.write(formats.read(path), tmp_path / f"{workers}.json", to="coco", workers=workers)
        formats.write(formats.read(path), tmp_path / f"b{workers}", to="bitmask", workers=workers)
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    for one in sorted((tmp_path / "b1").glob("*.png")):
        assert one.read_bytes() == (tmp_path / "b2" / one.name).read_bytes()


def test_nothing_to_write_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no image"):
        formats.write(
            formats.read(examples.write(tmp_path, "coco", {"images": [], "annotations": []})),
            tmp_path / "o.json",
            to="coco",
        )
    with pytest.raises(DataError, match="unknown target"):
        formats.write(formats.read(examples.write(tmp_path, "coco")), tmp_path / "o", to="voc")


finite = st.floats(-5000, 5000, allow_nan=False, width=64)
boxes = st.tuples(finite, finite, st.floats(0.01, 3000), st.floats(0.01, 3000)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
# With two corners in the image, for what lies beside it or is a line is left out.
outlines = st.lists(st.tuples(finite, finite), min_size=1, max_size=8).map(
    lambda v: Outline(np.array([*v, (10.5, 10.25), (40.0, 50.0)]), "", True)
)


@given(
    box=boxes.filter(lambda b: b[0] < b[2] and b[1] < b[3] and max(b[2:]) > 1),
    outline=outlines,
    to=st.sampled_from(["coco", "scalabel", "dicts"]),
)
def test_boxes_and_outlines_come_back_to_the_last_bit(box, outline, to, tmp_path_factory):
    # Taking off Scalabel's last pixel and adding it again rounds only left of and above the image's first pixel.
    assume(to != "scalabel" or min(box[2:]) >= 1)
    instance = Instance("thing", box=box, paths=[outline])
    labels = LabelSet(
        "coco",
        "memory",
        None,
        [ImageLabels("a.jpg", 80, 60, instances=[instance])],
        ProblemLog(),
        "coco",
    )
    path = tmp_path_factory.mktemp("x") / "out.json"
    formats.write(labels, path, to=to)
    (again,) = formats.read(path).load().images[0].instances
    assert again.box == box
    assert again.paths == [outline]


def two_classes():
    """Scalabel frames in two folders, of a category list that is neither whole nor in BDD100K's order."""
    box = [[0, 0], [20, 0], [20, 20], [0, 20]]
    labels = [
        {
            "id": "1",
            "category": "car",
            "score": 0.9,
            "poly2d": [{"vertices": box, "types": "LLLL", "closed": True}],
        },
        {
            "id": "2",
            "category": "pedestrian",
            "score": 0.4,
            "poly2d": [{"vertices": [[x + 30, y + 30] for x, y in box]}],
        },
    ]
    size = {"width": 80, "height": 60}
    frames = [
        {"name": f"{folder}/1.jpg", "size": size, "labels": labels[:n]}
        for folder, n in (("a", 2), ("b", 1))
    ]
    return {"frames": frames, "config": {"categories": [{"name": "car"}, {"name": "pedestrian"}]}}


def test_bitmasks_of_ours_are_read_back_with_classes_scores_and_folders(tmp_path):
    (tmp_path / "in.json").write_text(json.dumps(two_classes()))
    formats.write(formats.read(tmp_path / "in.json"), tmp_path / "out", to="bitmask")
    again = formats.read(tmp_path / "out").load()
    assert [p.name for p in again.images] == ["a/1.jpg", "b/1.jpg"]
    assert [(i.category, i.score) for p in again.images for i in p.instances] == [
        ("pedestrian", 0.4),
        ("car", 0.9),
        ("car", 0.9),
    ]
    assert (again.categories, again.category_ids) == (("car", "pedestrian"), (3, 1))
    formats.write(
        formats.read(tmp_path / "in.json"), tmp_path / "cars", to="bitmask", categories=["car"]
    )
    assert {
        i.category for p in formats.read(tmp_path / "cars").load().images for i in p.instances
    } == {"car"}


def test_a_conversion_without_scores_takes_those_of_the_one_before_away(tmp_path):
    content = two_classes()
    (tmp_path / "in.json").write_text(json.dumps(content))
    formats.write(formats.read(tmp_path / "in.json"), tmp_path / "out", to="bitmask")
    assert (tmp_path / "out.json").is_file()
    for frame in content["frames"]:
        frame["labels"] = [
            {k: v for k, v in label.items() if k != "score"} for label in frame["labels"]
        ]
    (tmp_path / "in.json").write_text(json.dumps(content))
    formats.write(formats.read(tmp_path / "in.json"), tmp_path / "out", to="bitmask")
    assert not (tmp_path / "out.json").exists()


def test_the_rule_that_a_file_of_ours_names_draws_its_outlines(tmp_path):
    """A COCO polygon that went through Scalabel is still COCO's."""
    labels = formats.read(examples.write(tmp_path, "coco"))
    formats.write(labels, tmp_path / "direct.json", to="coco", masks="rle")
    formats.write(labels, tmp_path / "scalabel.json", to="scalabel")
    through = formats.read(tmp_path / "scalabel.json")
    assert through.rule == "coco"
    formats.write(through, tmp_path / "through.json", to="coco", masks="rle")
    one, two = (
        json.loads((tmp_path / name).read_text())["annotations"]
        for name in ("direct.json", "through.json")
    )
    assert [a["segmentation"] for a in one] == [a["segmentation"] for a in two]


def test_a_list_of_other_classes_is_no_bdd100k_vocabulary(tmp_path):
    """COCO's classes in a Scalabel file: its person stays one, also where only it is asked for."""
    label = {"box2d": {"x1": 1, "y1": 1, "x2": 9, "y2": 9}}
    frame = {
        "name": "a.jpg",
        "size": {"width": 80, "height": 60},
        "labels": [{"category": c} | label for c in ("person", "dog")],
    }
    config = {"categories": [{"name": name} for name in ("person", "car", "dog")]}
    (tmp_path / "in.json").write_text(json.dumps({"frames": [frame], "config": config}))
    formats.write(formats.read(tmp_path / "in.json"), tmp_path / "out.json", to="coco")
    found = COCO(tmp_path / "out.json")
    assert [c["name"] for c in found.dataset["categories"]] == ["person", "car", "dog"]
    assert [a["category_id"] for a in found.dataset["annotations"]] == [1, 3]
    # Beside BDD100K's lanes and areas it is a pedestrian again.
    frame["labels"].append({"category": "area/drivable"} | label)
    wider = {"categories": [*config["categories"], {"name": "area/drivable"}]}
    (tmp_path / "v1.json").write_text(json.dumps({"frames": [frame], "config": wider}))
    formats.write(formats.read(tmp_path / "v1.json"), tmp_path / "out.json", to="coco")
    found = COCO(tmp_path / "out.json")
    assert found.cats[found.dataset["annotations"][0]["category_id"]]["name"] == "pedestrian"
    frame["labels"].pop()
    # Of BDD100K's own words a person is a pedestrian, unless it is asked for by that name.
    config["categories"].pop()
    frame["labels"].pop()
    (tmp_path / "bdd.json").write_text(json.dumps({"frames": [frame], "config": config}))
    for wanted, name in ((None, "pedestrian"), (["person"], "person")):
        formats.write(
            formats.read(tmp_path / "bdd.json"), tmp_path / "out.json", to="coco", categories=wanted
        )
        found = COCO(tmp_path / "out.json")
        assert [found.cats[a["category_id"]]["name"] for a in found.dataset["annotations"]] == [
            name
        ]


def test_ignored_regions_and_crowds_stay_what_they_are(tmp_path):
    """Both are ``iscrowd`` in COCO and in dicts; attributes tell them apart, and a contradiction is a crowd."""
    box = {"box2d": {"x1": 1, "y1": 1, "x2": 9, "y2": 9}}
    flags = [{"crowd": c, "ignored": i} for c in (False, True) for i in (False, True)]
    frame = {
        "name": "a.jpg",
        "size": {"width": 80, "height": 60},
        "labels": [{"category": "car", "attributes": f} | box for f in flags],
    }
    (tmp_path / "in.json").write_text(json.dumps([frame]))
    for to in ("dicts", "coco"):
        formats.write(formats.read(tmp_path / "in.json"), tmp_path / f"{to}.json", to=to)
        found = formats.read(tmp_path / f"{to}.json").load().images[0].instances
        assert [{"crowd": i.crowd, "ignored": i.ignored} for i in found] == flags
    assert formats.read(tmp_path / "dicts.json").category_ids == tuple(range(1, 9))
    content = json.loads((tmp_path / "coco.json").read_text())
    content["annotations"] = [
        content["annotations"][0] | {"iscrowd": 1, "attributes": {"crowd": False}}
    ]
    (tmp_path / "cvat.json").write_text(json.dumps(content))
    assert formats.read(tmp_path / "cvat.json").load().images[0].instances[0].crowd


def test_binary_masks_of_several_classes_are_of_none(tmp_path):
    (tmp_path / "in.json").write_text(json.dumps(two_classes()))
    done = formats.write(formats.read(tmp_path / "in.json"), tmp_path / "out", to="binary-masks")
    assert done.lost.counts["lost-classes"] == 1
    assert {
        i.category for p in formats.read(tmp_path / "out").load().images for i in p.instances
    } == {"foreground"}


def test_stored_parts_whose_files_are_gone_are_done_again(tmp_path, monkeypatch):
    path = many(tmp_path)
    real = conversion.encode_chunk

    def stop_after_one(target, chunk):
        if (tmp_path / "out").exists():
            raise KeyboardInterrupt
        return real(target, chunk)

    monkeypatch.setattr(conversion, "encode_chunk", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        formats.write(formats.read(path), tmp_path / "out", to="bitmask")
    monkeypatch.undo()
    written = sorted((tmp_path / "out").rglob("*.png"))
    assert len(written) == conversion.CHUNK
    written[3].unlink()
    half = written[0].with_name(
        f".{written[0].name}.abc.part"
    )  # a kill in the middle of a file leaves this
    half.write_bytes(b"half")
    done = formats.write(formats.read(path), tmp_path / "out", to="bitmask")
    assert done.resumed == 0
    assert len(list((tmp_path / "out").rglob("*.png"))) == done.images
    assert not half.exists()


def test_files_that_go_while_others_are_written_are_an_error(tmp_path, monkeypatch):
    path = many(tmp_path)
    real = conversion.encode_chunk
    calls = []

    def lose_the_first(target, chunk):
        if calls:
            next((tmp_path / "out").rglob("*.png")).unlink()
        calls.append(chunk)
        return real(target, chunk)

    monkeypatch.setattr(conversion, "encode_chunk", lose_the_first)
    with pytest.raises(DataError, match="gone meanwhile"):
        formats.write(formats.read(path), tmp_path / "out", to="bitmask", workers=1)
    monkeypatch.undo()
    done = formats.write(formats.read(path), tmp_path / "out", to="bitmask", workers=1)
    assert len(list((tmp_path / "out").rglob("*.png"))) == done.images


def test_two_runs_into_one_output_do_not_mix(tmp_path, project_root):
    path = many(tmp_path)
    with locked_elsewhere(tmp_path / ".out.parts", project_root):
        with pytest.raises(DataError, match=r"out: another run is writing here"):
            formats.write(formats.read(path), tmp_path / "out", to="bitmask")
        assert not (tmp_path / "out").exists()
    assert formats.write(formats.read(path), tmp_path / "out", to="bitmask").images
    assert not (tmp_path / ".out.parts").exists()


@pytest.mark.skipif(
    multiprocessing.get_start_method() != "fork", reason="workers do not inherit the patch"
)
def test_a_killed_worker_is_one_line_and_what_it_did_is_kept(tmp_path, monkeypatch):
    """As the kernel does it where the memory is full."""
    path, owner, real = many(tmp_path), os.getpid(), conversion.encode_chunk

    def die(target, chunk):
        if os.getpid() != owner:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(target, chunk)

    monkeypatch.setattr(conversion, "encode_chunk", die)
    with pytest.raises(DataError, match=r"was killed from outside.*run it again"):
        formats.write(formats.read(path), tmp_path / "out.json", to="coco", workers=2)
    assert formats.write(formats.read(path), tmp_path / "out.json", to="coco", workers=1).images
