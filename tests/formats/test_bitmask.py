"""BDD100K bitmasks: every instance and flag comes back, whatever the number of instances; broken files are refused in one line."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from bdd_inst.base.errors import DataError
from bdd_inst.formats.bitmask import (
    BitmaskInstance,
    instance_numbers,
    instances_of,
    read_bitmask,
    shared_numbers,
    to_bitmask,
    write_bitmask,
)
from bdd_inst.masks import run_lengths


def one(mask: np.ndarray, category: int = 3, **others) -> BitmaskInstance:
    return BitmaskInstance(run_lengths.encode(mask), category, **others)


def stripes(count: int, height: int = 30, width: int = 40) -> list[BitmaskInstance]:
    """``count`` instances of one to a few pixels each, side by side."""
    place = np.arange(height * width).reshape(height, width) * count // (height * width)
    return [one(place == i, i % 8 + 1) for i in range(count)]


ROWS = st.tuples(st.integers(1, 10), st.integers(1, 65535), st.tuples(*[st.booleans()] * 4))


@given(
    hnp.arrays(np.uint8, (9, 7), elements=st.integers(0, 4)),
    st.lists(ROWS, min_size=4, max_size=4, unique_by=lambda row: row[1]),
)
def test_instances_come_back(places, rows):
    instances = [
        one(places == i + 1, category, number=number)
        for i, (category, number, _) in enumerate(rows)
    ]
    for instance, (_, _, flags) in zip(instances, rows):
        instance.truncated, instance.occluded, instance.crowd, instance.ignored = flags
    values = to_bitmask(instances, 9, 7)
    assert values.shape == (9, 7, 4)
    assert not values[places == 0].any()
    expected = [instance for i, instance in enumerate(instances) if (places == i + 1).any()]
    assert instances_of(values) == sorted(expected, key=lambda instance: instance.number)


def test_bytes_are_the_documented_ones():
    mask = np.ones((1, 1), bool)
    value = to_bitmask([one(mask, 8, number=0x1234, truncated=True, crowd=True)], 1, 1)[0, 0]
    assert value.tolist() == [8, 0b1010, 0x12, 0x34]


@pytest.mark.parametrize("count", [100, 254, 255, 256, 257, 300, 600, 1200])
def test_every_instance_of_a_crowded_image_is_kept(count, tmp_path):
    instances = stripes(count)
    write_bitmask(tmp_path / "crowd.png", to_bitmask(instances, 30, 40))
    size, found = read_bitmask(tmp_path / "crowd.png")
    assert size == (30, 40)
    assert [instance.number for instance in found] == list(range(1, count + 1))
    assert [instance.rle for instance in found] == [instance.rle for instance in instances]
    assert [instance.category for instance in found] == [
        instance.category for instance in instances
    ]


def test_higher_scores_are_drawn_last_and_numbers_follow_the_drawing():
    left, right, both = np.zeros((3, 2, 4), bool)
    left[:, :3], right[:, 1:], both[0] = True, True, True
    instances = [one(left, 1), one(right, 2), one(both, 3)]
    values = to_bitmask(instances, 2, 4, scores=[0.9, 0.2, 0.5])
    assert values[..., 0].tolist() == [[1, 1, 1, 3], [1, 1, 1, 2]]
    assert instance_numbers(values).tolist() == [[3, 3, 3, 2], [3, 3, 3, 1]]
    assert to_bitmask(instances, 2, 4)[..., 0].tolist() == [[3, 3, 3, 3], [1, 2, 2, 2]]


def test_a_covered_instance_keeps_its_number():
    whole = np.ones((3, 3), bool)
    values = to_bitmask([one(whole, 1), one(whole, 2), one(np.eye(3, dtype=bool), 3)], 3, 3)
    assert sorted({instance.number for instance in instances_of(values)}) == [2, 3]


def test_numbers_given_are_kept_and_gaps_filled():
    masks = [
        np.eye(4, dtype=bool)[[i]].repeat(4, 0) & np.eye(4, dtype=bool)[:, [i]] for i in range(3)
    ]
    values = to_bitmask([one(masks[0]), one(masks[1], number=1), one(masks[2])], 4, 4)
    assert [instance_numbers(values)[i, i] for i in range(3)] == [2, 1, 3]


def test_what_the_format_cannot_hold_is_refused():
    mask = np.ones((2, 2), bool)
    for bad in (
        [one(mask, 0)],
        [one(mask, 256)],
        [one(mask, number=65536)],
        [one(mask, number=5), one(mask, number=5)],
    ):
        with pytest.raises(DataError):
            to_bitmask(bad, 2, 2)


def test_class_zero_is_background_and_shared_numbers_are_told():
    values = np.zeros((1, 4, 4), np.uint8)
    values[0, 0] = 0, 3, 0, 9
    values[0, 1] = 1, 0, 0, 7
    values[0, 2] = 2, 0, 0, 7
    found = instances_of(values)
    assert [(instance.category, instance.number) for instance in found] == [(1, 7), (2, 7)]
    assert shared_numbers(found) == [7]


def test_real_bitmasks_against_one_comparison_an_instance(shared_dir):
    samples = sorted((shared_dir / "data" / "bdd100k").rglob("*bitmask*.png")) + sorted(
        (shared_dir / "data" / "bdd100k" / "labels" / "ins_seg" / "bitmasks").rglob("*.png")
    )
    assert samples
    for path in samples:
        values = np.asarray(Image.open(path))
        _, found = read_bitmask(path)
        numbers = instance_numbers(values)
        assert [instance.number for instance in found] == np.unique(
            numbers[values[..., 0] > 0]
        ).tolist()
        for instance in found:
            mask = numbers == instance.number
            assert instance.rle == run_lengths.encode(mask)
            assert set(values[mask][:, 0]) == {instance.category}
            assert set(values[mask][:, 1]) == {instance.flags}
        assert np.array_equal(to_bitmask(found, *values.shape[:2]), values)


def outcome(path) -> tuple[str, tuple | None]:
    """What the reader says of a file that may be broken: its complaint, or nothing and what it read."""
    try:
        return "", read_bitmask(path)
    except DataError as error:
        return str(error), None


def png_bytes(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "LA", "I;16", "1"])
def test_other_images_are_refused_with_their_name(mode, tmp_path):
    path = tmp_path / "other.png"
    Image.new(mode, (5, 4)).save(path)
    with pytest.raises(DataError, match=r"other\.png.*8-bit RGBA"):
        read_bitmask(path)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_bombs_are_refused_before_they_are_unpacked(tmp_path):
    path = tmp_path / "bomb.png"
    for width, height in ((60000, 60000), (2**31 - 1, 2**31 - 1), (30000, 20000), (0, 5)):
        header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(bytes(10**6)))
            + chunk(b"IEND", b"")
        )
        with pytest.raises(DataError, match=r"bomb\.png"):
            read_bitmask(path)
    # Far more data than the header's size has room for, and a comment that unpacks to 50 MB.
    small = struct.pack(">IIBBBBB", 4, 4, 8, 6, 0, 0, 0)
    note = chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(50 * 10**6)))
    body = (
        chunk(b"IHDR", small)
        + note
        + chunk(b"IDAT", zlib.compress(bytes(10**7)))
        + chunk(b"IEND", b"")
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    message, found = outcome(path)
    assert "bomb.png" in message if message else found[0] == (4, 4)


VALID = png_bytes(Image.fromarray(to_bitmask(stripes(9, 12, 15), 12, 15), "RGBA"))


@given(st.data())
def test_mutated_files_are_read_or_refused_in_one_line(tmp_path_factory, data):
    broken = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(broken) - 1))
        act = data.draw(st.sampled_from(["flip", "cut", "double", "zero"]))
        if act == "flip":
            broken[place] = data.draw(st.integers(0, 255))
        elif act == "cut":
            del broken[place : place + data.draw(st.integers(1, 40))]
        elif act == "double":
            broken[place:place] = broken[place : place + 20]
        else:
            broken[place : place + 4] = bytes(4)
        if not broken:
            break
    path = tmp_path_factory.getbasetemp() / "mutated.png"
    path.write_bytes(bytes(broken))
    message, found = outcome(path)
    if message:
        assert "\n" not in message
        assert "mutated.png" in message
    else:
        assert all(tuple(instance.rle["size"]) == found[0] for instance in found[1])
