"""The data check: each code is found where it was planted and nowhere else, leaks included; counts and the page are right."""

from __future__ import annotations

import csv
import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bdd_inst import formats
from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.base.problems import PROBLEMS
from bdd_inst.checks import images, outlines
from bdd_inst.checks.run import Split, check
from bdd_inst.checks.sources import split_of_dataset
from bdd_inst.checks.table import finding_lines, statistics_lines, write_csv
from bdd_inst.cli.check import main
from tests.formats import examples
from tests.waiting import LAST_RESORT

WIDTH, HEIGHT = examples.WIDTH, examples.HEIGHT


def photo(seed: int, size=(WIDTH, HEIGHT)) -> Image.Image:
    """An image that no other resembles."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def label(own="1", category="car", box=(10, 10, 30, 30), vertices=None, **more):
    x1, y1, x2, y2 = box
    corners = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]] if vertices is None else vertices
    outline = {"vertices": corners, "types": "L" * len(corners), "closed": True}
    return {
        "id": own,
        "category": category,
        "box2d": {"x1": x1, "y1": y1, "x2": x2, "y2": y2},
        "poly2d": [outline],
    } | more


def frame(name="a.jpg", labels=()):
    return {"name": name, "size": {"width": WIDTH, "height": HEIGHT}, "labels": list(labels)}


def codes(tmp_path, frames, images=None):
    tmp_path.mkdir(exist_ok=True)
    split = Split("x", formats.read(examples.write(tmp_path, "scalabel", frames)), images)
    return check([split])


def test_a_clean_set_has_no_findings(tmp_path):
    (tmp_path / "images").mkdir()
    photo(1).save(tmp_path / "images" / "a.jpg")
    result = codes(
        tmp_path,
        [frame(labels=[label(), label("2", "rider", (40, 20, 60, 50))])],
        tmp_path / "images",
    )
    assert not result.findings.counts
    assert not result.failed
    assert (
        statistics_lines(result.splits[0])[1]
        == "2 objects, 2.00 a labeled image; 0 crowd, 0 ignored, 0 occluded, 0 truncated"
    )


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        ([label(vertices=[[10, 10], [30, 30], [30, 10], [10, 30]])], "self-crossing"),
        ([label(vertices=[[10, 10], [20, 20], [30, 30]], box=(10, 10, 30, 30))], "no-area"),
        ([label(box=(60, 40, 90, 59))], "outside-image"),
        ([label(box=(100, 40, 120, 59))], "empty-object"),
        ([label(vertices=[[50, 40], [60, 40], [60, 50]])], "box-mask-disagree"),
        ([label(), label(box=(40, 40, 50, 50))], "duplicate-id"),
        ([label(), label("2")], "duplicate-instance"),
        ([label(), label("2", "boat", (40, 40, 50, 50))], "unknown-category"),
        ([label(), label("2", "Car", (40, 40, 50, 50))], "category-spelling"),
        ([{"id": "1", "category": "car"}], "no-shape"),
        (
            [label(rle=examples.rle_of(np.ones((10, 10)))), label("2", "bus", (40, 40, 50, 50))],
            "wrong-size-mask",
        ),
        ([label(vertices=[[1, 1], [2, 2]])], "bad-polygon"),
        ([label(category=None)], "bad-label"),
        ([], "empty-image"),
    ],
)
def test_each_planted_label_problem_is_found(labels, code, tmp_path):
    result = codes(tmp_path, [frame(labels=labels)])
    assert result.findings.counts[code] == 1
    found = result.findings.kept[code][0]
    assert found.message
    assert found.code in PROBLEMS
    assert "a.jpg" in found.file + found.instance or code in (
        "unknown-category",
        "category-spelling",
    )
    allowed = {
        code,
        "outside-image",
        "box-outside",
        "empty-object",
        "box-mask-disagree",
        "bad-label",
        "empty-image",
    }
    assert set(result.findings.counts) <= allowed


def test_image_problems_are_found(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    names = ("good", "cut", "cut2", "small", "none", "junk", "turned", "lying")
    for seed, name in enumerate(names):
        if name != "none":
            photo(seed).save(images / f"{name}.jpg", quality=95)
    photo(8).save(images / "spare.jpg")
    whole = (images / "cut.jpg").read_bytes()
    (images / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    stream = io.BytesIO()
    photo(9).save(stream, "PNG")
    (images / "cut2.jpg").write_bytes(stream.getvalue()[:-30])
    photo(10, (40, 30)).save(images / "small.jpg")
    (images / "junk.jpg").write_bytes(b"hello")
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(11, (HEIGHT, WIDTH)).save(images / "turned.jpg", exif=exif)
    photo(12).save(images / "lying.jpg", exif=exif)
    result = codes(tmp_path, [frame(f"{name}.jpg", [label()]) for name in names], images)
    found = {code: [f.file for f in result.findings.kept[code]] for code in result.findings.counts}
    assert found == {
        "truncated-image": ["cut.jpg", "cut2.jpg"],
        "wrong-size-image": ["small.jpg", "lying.jpg"],
        "missing-image": ["none.jpg"],
        "unreadable-image": ["junk.jpg"],
        "rotated-image": ["turned.jpg"],
        "image-without-labels": ["spare.jpg"],
    }
    assert result.failed


def test_duplicates_and_leaks(tmp_path):
    splits = []
    for name, numbers in (("train", (0, 1, 2, 3)), ("val", (3, 4, 5))):
        folder = tmp_path / name / "images"
        folder.mkdir(parents=True)
        for number in numbers:
            photo(number, (320, 240)).save(folder / f"{name}{number}.jpg", quality=90)
        frames = [{"name": f"{name}{n}.jpg", "labels": [label()]} for n in numbers]
        splits.append((name, folder, frames))
    train, val = (folder for _, folder, _ in splits)
    (train / "twin.jpg").write_bytes((train / "train0.jpg").read_bytes())
    (val / "train1.jpg").write_bytes(b"")
    photo(1, (320, 240)).resize((160, 120)).save(val / "train1.jpg", quality=60)
    splits[0][2].append({"name": "twin.jpg", "labels": [label()]})
    splits[1][2].append({"name": "train1.jpg", "labels": [label()]})
    made = []
    for name, folder, frames in splits:
        made.append(
            Split(name, formats.read(examples.write(tmp_path / name, "scalabel", frames)), folder)
        )
    counts = check(made).findings
    assert counts.counts["duplicate-content"] == 1
    assert [f.file for f in counts.kept["leak-name"]] == ["train1.jpg"]
    assert [f.file for f in counts.kept["leak-content"]] == ["train3.jpg"]
    assert [f.file for f in counts.kept["leak-near"]] == ["train1.jpg"]


def test_frames_of_one_video_in_two_splits(tmp_path):
    splits = []
    for name in ("train", "val"):
        (tmp_path / name).mkdir()
        value = [{"name": f"v-{name}.jpg", "videoName": "v", "labels": []}]
        splits.append(Split(name, formats.read(examples.write(tmp_path / name, "scalabel", value))))
    assert check(splits).findings.counts["leak-video"] == 1


def test_order_of_categories(tmp_path):
    names = ["person", "rider", "car", "bus", "truck", "bike", "motor", "train"]
    value = {
        "frames": [frame(labels=[label()])],
        "config": {"categories": [{"name": n} for n in names]},
    }
    result = codes(tmp_path, value)
    assert result.findings.counts == {"category-order": 1}


def test_statistics_are_counted_right(tmp_path):
    frames = [
        frame(
            "a.jpg",
            [
                label("1", box=(0, 0, 9, 9), attributes={"occluded": True}),
                label("2", "bus", (0, 0, 49, 49), attributes={"crowd": True}),
            ],
        ),
        frame("b.jpg", [label("1", box=(0, 0, 20, 20))]),
        frame("c.jpg"),
        {"name": "d.jpg", "labels": None},
    ]
    frames[0]["attributes"] = {"weather": "rainy"}
    found = codes(tmp_path, frames).splits[0].statistics
    assert (found.images, found.labeled, found.objects, found.mean_objects) == (4, 3, 3, 1.0)
    assert dict(found.per_image) == {2: 1, 1: 1, 0: 1}
    assert (found.classes["car"].objects, found.classes["car"].images) == (2, 2)
    assert (found.size_total("small"), found.size_total("medium"), found.size_total("large")) == (
        2,
        1,
        0,
    )
    assert (found.flag_total("crowd"), found.flag_total("occluded")) == (1, 1)
    assert found.attributes["weather"] == {"rainy": 1}


def test_nothing_to_check_is_an_error(tmp_path):
    with pytest.raises(DataError, match="nothing to check"):
        codes(tmp_path, [{"name": ""}])


def test_a_data_set_of_dicts(tmp_path):
    photo(3).save(tmp_path / "a.jpg")
    photo(4).save(tmp_path / "other.jpg")
    annotation = {
        "bbox": [1, 1, 20, 20],
        "category_id": 0,
        "iscrowd": 1,
        "segmentation": [[1, 1, 20, 1, 20, 20, 1, 20]],
    }
    record = {
        "file_name": str(tmp_path / "a.jpg"),
        "width": WIDTH,
        "height": HEIGHT,
        "image_id": 1,
        "annotations": [annotation],
    }
    problems = ProblemLog()
    problems.add("missing-image", "b.jpg", "not there")
    metadata = {
        "thing_classes": ["person"],
        "image_root": str(tmp_path),
        "problems": problems,
        "mask_rule": "pixels",
    }
    result = check([split_of_dataset("mine", [record], metadata)])
    assert result.findings.counts == {"missing-image": 1}
    assert result.splits[0].statistics.flag_total("crowd") == 1


def test_table_and_csv_hold_every_finding(tmp_path):
    result = codes(
        tmp_path,
        [
            frame(
                labels=[
                    label(),
                    label(),
                    label("3", vertices=[[10, 10], [30, 30], [30, 10], [10, 30]]),
                ]
            )
        ],
    )
    lines = finding_lines(result.findings)
    assert lines[0].split()[:3] == ["severity", "code", "count"]
    assert lines[-1].endswith("notes")
    write_csv(result.findings, tmp_path / "out" / "problems.csv")
    rows = list(csv.DictReader((tmp_path / "out" / "problems.csv").open()))
    assert len(rows) == sum(result.findings.counts.values())
    assert {row["code"] for row in rows} == set(result.findings.counts)


def slow_crossing(points) -> bool:
    """Every pair of edges that share no vertex, by exact fractions."""
    from fractions import Fraction

    corners = [tuple(map(Fraction, p)) for p in points.tolist()]
    number = len(corners)

    def side(a, b, c):
        value = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        return (value > 0) - (value < 0)

    for i in range(number):
        for j in range(i + 1, number):
            a, b, c, d = (
                corners[i],
                corners[(i + 1) % number],
                corners[j],
                corners[(j + 1) % number],
            )
            if side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0:
                return True
    return False


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=3, max_size=10))
def test_crossings_agree_with_exact_arithmetic(points):
    points = np.array(points, np.float64)
    assert (outlines.first_crossing(points) is not None) == slow_crossing(points)


def test_crossings_in_a_long_outline_are_found_across_blocks():
    turn = np.linspace(0, 2 * np.pi, 1500, endpoint=False)
    circle = np.stack((np.cos(turn), np.sin(turn)), axis=1) * 100
    assert outlines.first_crossing(circle) is None
    circle[[700, 701]] = circle[[701, 700]]
    assert outlines.first_crossing(circle) is not None
    assert abs(outlines.signed_area(np.array([[0, 0], [4, 0], [4, 3], [0, 3.0]]))) == 12


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30), st.data())
def test_near_pairs_finds_all_that_differ_in_few_bits(values, data):
    first = {f"a{i}": v for i, v in enumerate(values)}
    flips = st.lists(st.integers(0, 63), max_size=6, unique=True)
    second = {f"b{i}": v ^ sum(1 << bit for bit in data.draw(flips)) for i, v in enumerate(values)}
    wanted = {
        (a, b)
        for a, x in first.items()
        for b, y in second.items()
        if (x ^ y).bit_count() <= images.NEAR_BITS
        and images.is_informative(x)
        and images.is_informative(y)
    }
    assert {(a, b) for a, b, _ in images.near_pairs(first, second)} == wanted


@pytest.fixture
def tool(project_root):
    def run(*arguments):
        command = [
            sys.executable,
            str(project_root / "tools" / "check_data.py"),
            *map(str, arguments),
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=LAST_RESORT)

    return run


def test_the_tool_writes_a_page_with_samples(tool, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a", "b"):
        photo(len(name), (160, 120)).save(images / f"{name}.jpg")
    value = [
        {
            "name": f"{n}.jpg",
            "size": {"width": 160, "height": 120},
            "labels": [label(), label("2", "bus", (50, 40, 90, 80))],
        }
        for n in "ab"
    ]
    path = examples.write(tmp_path, "scalabel", value)
    done = tool(
        "--input",
        path,
        "--images",
        images,
        "--output",
        tmp_path / "out",
        "--samples",
        2,
        "--config",
        "demo.yaml",
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "data.html").read_text()
    assert page.count('class="sample"') == 2
    assert page.count("data:image/jpeg;base64,") == 6
    assert "http" not in page.split("<body>")[1].replace("http://www.w3.org", "")
    assert "Traceback" not in done.stderr


def test_the_tool_exits_by_what_it_finds(tool, tmp_path):
    assert tool("--input", tmp_path / "none.json").returncode == 1
    assert tool().returncode == 2
    bad = examples.write(tmp_path, "scalabel", [frame(labels=[label(), label()])])
    done = tool("--input", bad)
    assert done.returncode == 1
    assert "duplicate-id" in done.stdout
    good = examples.write(tmp_path, "scalabel", [frame(labels=[label()])])
    assert tool("--input", good).returncode == 0


def test_label_maps_are_checked_by_their_regions(tmp_path):
    from PIL import Image

    from bdd_inst.checks.sources import split_of_dataset

    values = np.zeros((20, 30), np.uint8)
    values[5:10, 5:20], values[0] = 1, 255
    Image.fromarray(values).save(tmp_path / "a_map.png")
    record = {
        "file_name": "a.jpg",
        "height": 20,
        "width": 30,
        "sem_seg_file_name": str(tmp_path / "a_map.png"),
    }
    lost = {**record, "file_name": "b.jpg", "sem_seg_file_name": str(tmp_path / "b_map.png")}
    known = {"stuff_classes": ["background", "person"], "thing_classes": ["person"]}
    labels = split_of_dataset("maps", [record, lost], known).labels
    first, second = labels.images
    assert [(i.category, tuple(i.box)) for i in first.instances] == [("person", (5, 5, 20, 10))]
    assert not second.instances
    assert labels.problems.counts["unreadable-file"] == 1


def test_yolo_labels_are_checked_with_images_elsewhere(tmp_path, capsys):
    (tmp_path / "yolo" / "labels").mkdir(parents=True)
    (tmp_path / "yolo" / "data.yaml").write_text("names: [hat]\n")
    (tmp_path / "yolo" / "labels" / "a.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (80, 64)).save(tmp_path / "photos" / "a.png")
    words = ["--input", str(tmp_path / "yolo"), "--images", str(tmp_path / "photos")]
    assert main(words) == 0
    assert "1 images (1 labeled), 80x64" in capsys.readouterr().out
