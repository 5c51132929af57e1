"""Every reader survives hundreds of broken files of its kind: a readable line or a counted skip, in little time and memory."""

from __future__ import annotations

import json
import random
import resource
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from bdd_inst import formats
from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.formats import shapes
from bdd_inst.formats.records import ImageLabels, Instance
from tests.formats import examples
from tests.fuzz.mutate import mutated_bytes, mutated_value

FILES = max(150, settings().max_examples)


def consume(path) -> None:
    """Read a file and use what it gives as writers do; only DataError may come out."""
    message = "-"
    try:
        labels = formats.read(path).load()
    except DataError as error:
        message, labels = str(error), None
    assert 0 < len(message) < 1500
    assert "\n" not in message
    for image in labels.images if labels else ():
        assert isinstance(image, ImageLabels)
        assert isinstance(image.name, str)
        assert image.name
        for instance in image.instances:
            check(instance)
        width, height = image.width or examples.WIDTH, image.height or examples.HEIGHT
        if width * height <= 1 << 22:
            shapes.image_masks(image, height, width, "coco", ProblemLog())


def check(instance: Instance) -> None:
    assert isinstance(instance.category, str)
    assert instance.category
    assert isinstance(instance.attributes, dict)
    if instance.box is not None:
        assert np.isfinite(instance.box).all()
        assert instance.box[0] < instance.box[2]
        assert instance.box[1] < instance.box[3]
    for path in instance.paths or ():
        assert path.vertices.shape == (len(path), 2)
        assert np.isfinite(path.vertices).all()
        assert len(path) >= 2
    if instance.rle is not None:
        assert isinstance(instance.rle["counts"], str)
        assert len(instance.rle["size"]) == 2
    assert instance.score is None or np.isfinite(instance.score)


@pytest.fixture(autouse=True)
def bounded():
    """A test of this file may not take a gigabyte more than what was there before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000


CASES = Path(__file__).resolve().parents[1] / "fixtures" / "cases"
OTHERS = (
    "34_df2/annos/000001.json",
    "36_cityscapes/gtFine/aachen/aachen_000000_000019_gtFine_polygons.json",
    "51_classes/a.jpg___objects.json",
    "73_panoptic/panoptic_val.json",
    "75_sam/sa_1.json",
)


@pytest.mark.parametrize("name", OTHERS)
def test_readers_of_the_cases_survive_mutations(name, tmp_path):
    rng = random.Random(name)
    example = json.loads((CASES / name).read_text())
    (tmp_path / "panoptic_val").symlink_to(CASES / "73_panoptic/panoptic_val")
    for _ in range(FILES // 5):
        text = json.dumps(mutated_value(example, rng))
        (tmp_path / Path(name).name).write_text(text, errors="surrogatepass")
        consume(tmp_path / Path(name).name)


@pytest.mark.parametrize("kind", examples.JSON_KINDS)
def test_json_readers_survive_mutations(kind, tmp_path):
    rng = random.Random(kind)
    example = examples.JSON_KINDS[kind]()
    data = json.dumps(example).encode()
    path = tmp_path / "mutated.json"
    slowest = 0.0
    for number in range(FILES):
        if number % 3:
            path.write_bytes(json.dumps(mutated_value(example, rng)).encode())
        else:
            path.write_bytes(mutated_bytes(data, rng))
        start = time.process_time()
        consume(path)
        slowest = max(slowest, time.process_time() - start)
    assert slowest < 120  # not a measure of speed: a file that makes its reader hang takes minutes


@pytest.mark.parametrize("kind", examples.PNG_KINDS)
def test_png_readers_survive_mutations(kind, tmp_path):
    rng = random.Random(kind)
    data = examples.PNG_KINDS[kind]()
    path = tmp_path / "mutated.png"
    for _ in range(FILES):
        path.write_bytes(mutated_bytes(data, rng))
        consume(path)


def bomb(width: int, height: int, color: int = 6) -> bytes:
    """A PNG that promises width x height pixels in a few kilobytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    packed = zlib.compress(bytes(1 << 24), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31 - 1, 1), (0, 10)])
def test_a_png_of_too_many_pixels_is_refused_before_it_is_unpacked(size, tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(*size))
    with pytest.raises(DataError, match="no mask that we read"):
        formats.read(path, kind="bitmask").load()


def test_a_bomb_inside_supervisely_data_is_a_counted_skip(tmp_path):
    import base64

    packed = [zlib.compress(bytes(1 << 27), 9), zlib.compress(bomb(60_000, 60_000))]
    value = examples.supervisely()
    for data in packed:
        item = {
            "id": 5,
            "classTitle": "x",
            "bitmap": {"data": base64.b64encode(data).decode(), "origin": [0, 0]},
        }
        value["objects"].append(item)
    labels = formats.read(examples.write(tmp_path, "supervisely", value)).load()
    assert labels.problems.counts == {"bad-label": 2}
    assert len(labels.images[0].instances) == 4


@pytest.mark.parametrize(
    "text", ["[" * 1_000_000, '{"frames":' * 100_000, '[{"name":"a","labels":' + "[" * 200_000]
)
def test_deep_nesting_is_one_line(text, tmp_path):
    path = tmp_path / "deep.json"
    path.write_text(text)
    with pytest.raises(DataError, match="nested too deeply|broken JSON"):
        formats.read(path)


def test_a_gzip_bomb_is_refused(tmp_path, monkeypatch):
    import gzip

    from bdd_inst.formats import json_files

    monkeypatch.setattr(json_files, "LARGEST_UNPACKED", 1 << 20)
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(b" " * (1 << 24)))
    with pytest.raises(DataError, match="unpack to more"):
        formats.read(path)
