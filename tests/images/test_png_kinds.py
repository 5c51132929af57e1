"""What kind of mask a PNG is: numbers of instances are not taken for classes, photographs not for masks."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bdd_inst.base.errors import DataError
from bdd_inst.images.png_kinds import kind_of


def squares(path, *values, spread=()):
    """A PNG with a square of each value; those of ``spread`` have a second one."""
    pixels = np.zeros((60, 90), np.uint8)
    for n, value in enumerate((*values, *spread)):
        y, x = 10 * (n // 8), 10 * (n % 8)
        pixels[y + 1 : y + 8, x + 1 : x + 8] = value
    pixels[59] = 255 * (pixels[59] == 0) * bool(spread == "void")
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels, "P").save(path)
    return path


def many(folder, *pictures, **options):
    return [squares(folder / f"{n}.png", *values, **options) for n, values in enumerate(pictures)]


@pytest.mark.parametrize(
    "pictures",
    [
        [(1, 2, 3), (1, 2, 3), (1, 2, 3)],  # all classes on each picture
        [(1, 2, 3, 4, 5, 6), (1, 3), (2, 6)],  # gaps
        [(1, 2, 3), (1,), (1, 2)],  # few
        [(15,), (15, 9), (1, 7)],
    ],
)
def test_classes_are_classes(pictures, tmp_path):
    assert kind_of(many(tmp_path / "maps", *pictures), tmp_path) == "label-map"


def test_a_class_in_two_places_is_no_object(tmp_path):
    files = many(tmp_path / "maps", range(1, 8), range(1, 3), range(1, 5), spread=(1,))
    assert kind_of(files, tmp_path) == "label-map"


def test_photographs_among_masks_are_told(tmp_path):
    files = many(tmp_path / "maps", (1, 2), (3,))
    Image.effect_noise((90, 60), 60).convert("RGB").point(lambda v: v // 2).save(files[1])
    rgb = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    Image.fromarray(rgb).save(files[1])
    with pytest.raises(DataError, match="not only masks: .*a colour picture"):
        kind_of(files, tmp_path)


def test_a_few_gray_objects_are_no_smoothed_mask(tmp_path):
    pixels = np.zeros((60, 90), np.uint8)
    pixels[2:9, 2:9], pixels[20:29, 20:29] = 100, 180
    pixels[40:42, 40:42] = np.arange(70, 74, dtype=np.uint8).reshape(2, 2)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="no mask that we know"):
        kind_of([tmp_path / "a.png"], tmp_path)
