"""What kind of mask a PNG is: numbers of instances are not taken for classes, photographs not for masks."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bdd_inst import formats
from bdd_inst.base.errors import DataError
from bdd_inst.cli import convert
from bdd_inst.evaluation.files import evaluate_files
from bdd_inst.images.png_kinds import kind_of
from bdd_inst.images.png_kinds import pixels as pixels_of


def squares(path, *values, spread=(), palette=False):
    """A PNG with a square of each value; those of ``spread`` have a second one. Gray, or with a palette as VOC's."""
    pixels = np.zeros((60, 90), np.uint8)
    for n, value in enumerate((*values, *spread)):
        y, x = 10 * (n // 8), 10 * (n % 8)
        pixels[y + 1 : y + 8, x + 1 : x + 8] = value
    pixels[59] = 255 * (pixels[59] == 0) * bool(spread == "void")
    path.parent.mkdir(exist_ok=True)
    image = Image.fromarray(pixels)
    if palette:  # of 256 colors: PIL stores fewer bits of fewer
        image.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    image.save(path)
    assert set(np.unique(pixels)) == set(np.unique(pixels_of(path)))
    return path


def many(folder, *images, **options):
    return [squares(folder / f"{n}.png", *values, **options) for n, values in enumerate(images)]


def refused(files, folder, told="number instances"):
    with pytest.raises(DataError, match=told) as caught:
        kind_of(files, folder)
    assert "\n" not in str(caught.value)
    assert "--kind label-map" in str(caught.value)


def test_numbers_that_count_objects_are_no_classes(tmp_path, capsys):
    folder = tmp_path / "inst"
    refused(many(folder, range(1, 8), range(1, 3), range(1, 5), range(1, 2)), folder)
    with pytest.raises(DataError, match="number instances"):
        formats.read(folder)
    with pytest.raises(DataError, match="number instances"):
        evaluate_files(folder, folder)
    forced = formats.read(folder, kind="label-map")
    assert forced.kind == "label-map"
    assert "as numbers of objects do" in forced.notes[-1]
    words = ["--input", str(folder), "--to", "coco", "--output", str(tmp_path / "out.json")]
    assert convert.main(words) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert convert.main([*words, "--kind", "label-map"]) == 0


def test_named_values_are_classes_whatever_they_look_like(tmp_path):
    folder = tmp_path / "inst"
    many(folder, range(1, 6), range(1, 3))
    names = {n: f"class {n}" for n in range(1, 6)}
    assert formats.read(folder, values=names).kind == "label-map"
    written = tmp_path / "written"
    formats.write(formats.read(folder, values=names), written, to="label-map")
    assert formats.read(written).load().categories == tuple(names.values())


def test_few_numbers_in_many_images_and_objects_behind_poles_are_numbers_too(tmp_path):
    crowd = [range(1, 2 + n % 4) for n in range(40)]
    refused(many(tmp_path / "people", *crowd), tmp_path)
    files = many(tmp_path / "posts", *crowd[:-1])
    refused([*files, squares(tmp_path / "posts" / "z.png", 1, 2, 3, spread=(2,))], tmp_path)


@pytest.mark.parametrize("name", ["SegmentationObject", "Instance_ids", "instance-masks"])
def test_folders_that_are_called_after_instances_hold_their_numbers(name, tmp_path):
    refused(many(tmp_path / name, (1, 2), (1,), palette=True), tmp_path / name)


def test_whole_masks_in_a_folder_called_instances_are_masks(tmp_path):
    assert kind_of(many(tmp_path / "instances", (255,), (255,)), tmp_path) == "binary-masks"


@pytest.mark.parametrize("images", [[(1, 2), (1,)], [(1, 2, 3)]])
def test_what_could_be_either_is_read_with_a_note(images, tmp_path):
    many(tmp_path / "maps", *images)
    assert "as numbers of objects do" in formats.read(tmp_path / "maps").notes[-1]


@pytest.mark.parametrize("images", [[(1,), (1,)], [(1, 2), (1, 2)], [(2,), (1, 2)]])
def test_one_or_two_classes_have_no_such_note(images, tmp_path):
    many(tmp_path / "maps", *images)
    assert "objects do" not in formats.read(tmp_path / "maps").notes[-1]


def test_classes_of_photographs_are_no_numbers(shared_dir):
    for folder, pattern in (("fashion", "*_person.png"), ("fashion", "*_clothes.png")):
        labels = formats.read(shared_dir / "data" / folder / "labels" / pattern)
        assert labels.kind == "label-map"
    parsed = shared_dir / "data" / "people" / "ccp" / "labels"
    assert kind_of(sorted(parsed.glob("*.png")), parsed) == "label-map"


@pytest.mark.parametrize(
    "images",
    [
        [(1, 2, 3), (1, 2, 3), (1, 2, 3)],  # all classes on each image
        [(1, 2, 3, 4, 5, 6), (1, 3), (2, 6)],  # gaps
        [(1, 2, 3), (1,), (1, 2)],  # few
        [(15,), (15, 9), (1, 7)],
    ],
)
def test_classes_are_classes(images, tmp_path):
    assert kind_of(many(tmp_path / "maps", *images), tmp_path) == "label-map"


def test_a_class_in_two_places_is_no_object(tmp_path):
    files = many(tmp_path / "maps", range(1, 8), range(1, 3), range(1, 5), spread=(1,))
    assert kind_of(files, tmp_path) == "label-map"


def test_photographs_among_masks_are_told(tmp_path):
    files = many(tmp_path / "maps", (1, 2), (3,))
    Image.effect_noise((90, 60), 60).convert("RGB").point(lambda v: v // 2).save(files[1])
    rgb = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    Image.fromarray(rgb).save(files[1])
    with pytest.raises(DataError, match="not only masks: .*a color image"):
        kind_of(files, tmp_path)


def test_a_few_gray_objects_are_no_smoothed_mask(tmp_path):
    pixels = np.zeros((60, 90), np.uint8)
    pixels[2:9, 2:9], pixels[20:29, 20:29] = 100, 180
    pixels[40:42, 40:42] = np.arange(70, 74, dtype=np.uint8).reshape(2, 2)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="no mask that we know"):
        kind_of([tmp_path / "a.png"], tmp_path)
