"""Where drawn images go, and what happens to those that cannot be drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.report.album import AlbumOptions, compose, fill_album, image_paths, save_image
from bdd_inst.report.annotated_images import AnnotatedImage, ClassTable, Rows


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", "a.jpg"),
        ("night/a.PNG", "night/a.PNG"),
        ("a.tif", "a.tif.png"),
        ("a", "a.png"),
        ("../../etc/a.jpg", "etc/a.jpg"),
        ("/etc/a.jpg", "etc/a.jpg"),
        ("..", "image.png"),
        ("C:\\data\\a.jpg", "C_/data/a.jpg"),
        ('what? "a" <b>\n.jpg', "what_ _a_ _b__.jpg"),
        ("dots./a.jpg", "dots_/a.jpg"),
    ],
)
def test_names_from_files_stay_inside_the_folder(tmp_path, name, expected):
    assert image_paths(tmp_path)(name) == tmp_path / expected


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "ü 東京.jpg"])
def test_saved_images_can_be_read(tmp_path, name):
    image = np.full((20, 30, 3), (10, 120, 240), np.uint8)
    path = save_image(tmp_path / "new folder" / name, image)
    back = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(back.astype(int) - image).max() <= 3
    assert [p.name for p in path.parent.iterdir()] == [name]  # no temporary file stays behind


def entries(folder, number=5):
    for i in range(number):
        path = folder / f"{i}.png"
        cv2.imwrite(str(path), np.full((900, 900, 3), 40 * i, np.uint8))
        yield AnnotatedImage(
            path.name,
            path,
            i,
            Rows(boxes=[(10, 10, 50, 50)], masks=[None], classes=[0], crowd=[False]),
        )


def test_pages_come_in_order_and_failures_are_counted(tmp_path):
    problems = ProblemLog()
    given = list(entries(tmp_path))
    given[1].path.write_bytes(b"broken")
    given[2].path = None
    given[3].labels = None
    given.append(given[0])
    pages = list(
        fill_album(
            given, tmp_path / "out", ClassTable(["car"]), AlbumOptions(), problems, workers=3
        )
    )
    assert [p.name for p in pages] == ["0.png", "4.png"]
    assert problems.counts == {"not-drawn": 2, "missing-image": 1, "duplicate-image": 1}


def test_only_a_few_images_are_read_ahead(tmp_path):
    taken = []

    def stream():
        for entry in entries(tmp_path, 20):
            taken.append(entry.name)
            yield entry

    pages = fill_album(
        stream(), tmp_path / "out", ClassTable(["car"]), AlbumOptions(), ProblemLog(), workers=2
    )
    next(pages)
    assert len(taken) <= 5
    pages.close()


def test_one_side_can_be_colored_by_verdict_too(tmp_path):
    entry = next(entries(tmp_path))
    entry.predictions = Rows(
        boxes=[(600, 600, 700, 700)], masks=[None], classes=[0], crowd=[False], scores=[0.9]
    )
    page = compose(entry, ClassTable(["car"]), AlbumOptions(show="predictions", verdicts=True))
    assert page.shape[1] == 900
    magenta = (np.abs(page.astype(int) - (170, 70, 232)) < 12).all(2)
    assert magenta[600:, 590:710].any()
    with pytest.raises(DataError):
        compose(AnnotatedImage("x.png", tmp_path / "none.png"), ClassTable(), AlbumOptions())
