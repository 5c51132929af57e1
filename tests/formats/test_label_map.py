"""Label maps: stored values in, stored values out; instances by class and by component."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from bdd_inst.base.errors import DataError
from bdd_inst.formats.label_map import (
    class_colors,
    class_instances,
    components,
    overlay,
    read_label_map,
    to_label_map,
    write_gray,
    write_label_map,
)
from bdd_inst.masks import run_lengths

MAPS = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.sampled_from([0, 1, 2, 5, 255]),
)


@pytest.mark.parametrize("write", [write_label_map, write_gray])
@given(values=MAPS)
def test_values_come_back(write, values, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "map.png"
    write(path, values)
    assert np.array_equal(read_label_map(path), values)


def test_indices_are_read_whatever_the_palette_shows(tmp_path):
    values = np.array([[0, 1], [2, 6]], np.uint8)
    image = Image.fromarray(values, "P")
    image.putpalette([7, 7, 7] * 256)
    image.save(tmp_path / "same.png")
    assert np.array_equal(read_label_map(tmp_path / "same.png"), values)
    assert Image.open(tmp_path / "same.png").convert("L").getextrema() == (7, 7)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("mode", ["P", "L"])
def test_few_bits_a_pixel(mode, bits, tmp_path):
    cv2_values = np.arange(12, dtype=np.uint8).reshape(3, 4) % min(2**bits, 12)
    path = tmp_path / "few.png"
    write_packed(path, cv2_values, bits, palette=mode == "P")
    assert np.array_equal(read_label_map(path), cv2_values)


def write_packed(path, values: np.ndarray, bits: int, palette: bool) -> None:
    """A PNG of ``bits`` bits a pixel, put together by hand."""
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width = values.shape
    rows = b""
    for row in values:
        text = "".join(format(int(v), f"0{bits}b") for v in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")
    head = struct.pack(">IIBBBBB", width, height, bits, 3 if palette else 0, 0, 0, 0)
    colors = (
        chunk(b"PLTE", bytes(range(3 * 2**bits)) if bits < 8 else bytes(768)) if palette else b""
    )
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + colors
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_sixteen_bits(tmp_path):
    values = np.array([[0, 300], [65535, 7]], np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    found = read_label_map(tmp_path / "deep.png")
    assert found.dtype == np.uint16
    assert np.array_equal(found, values)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_color_images_are_refused(mode, tmp_path):
    Image.new(mode, (4, 4)).save(tmp_path / "color.png")
    with pytest.raises(DataError, match=r"color\.png.*palette or gray"):
        read_label_map(tmp_path / "color.png")


def test_files_that_are_none(tmp_path):
    for content in (b"", b"GIF89a", b"\x89PNG\r\n\x1a\n"):
        (tmp_path / "none.png").write_bytes(content)
        with pytest.raises(DataError, match=r"none\.png"):
            read_label_map(tmp_path / "none.png")
    with pytest.raises(DataError):
        read_label_map(tmp_path / "missing.png")


@given(mode=st.sampled_from(["P", "L"]), data=st.data())
def test_mutated_files_are_read_or_refused_in_one_line(mode, data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "mutated_map.png"
    Image.fromarray((np.arange(99) % 7).astype(np.uint8).reshape(9, 11), mode).save(path)
    broken = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(broken) - 1))
        broken[place : place + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
        broken = broken or bytearray(b"x")
    path.write_bytes(bytes(broken))
    try:
        message = ""
        read_label_map(path)
    except DataError as error:
        message = str(error)
    assert "\n" not in message
    assert not message or "mutated_map.png" in message


@given(MAPS)
def test_one_instance_a_class(values):
    found = class_instances(values)
    assert [label for label, _ in found] == sorted(set(values.ravel().tolist()) - {0, 255})
    assert all(coded == run_lengths.encode(values == label) for label, coded in found)


def flood(mask: np.ndarray) -> list[set]:
    """Connected components by walking: slow and obvious."""
    left, out = {(int(y), int(x)) for y, x in np.argwhere(mask)}, []
    while left:
        border, part = [left.pop()], set()
        while border:
            y, x = border.pop()
            part.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            border.extend(near)
        out.append(part)
    return out


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_components_are_those_one_can_walk(mask):
    parts = [
        {(int(y), int(x)) for y, x in np.argwhere(run_lengths.decode(part))}
        for part in components(run_lengths.encode(mask))
    ]
    assert sorted(map(sorted, parts)) == sorted(map(sorted, flood(mask)))
    assert [min(y for y, _ in part) for part in parts] == sorted(
        min(y for y, _ in part) for part in parts
    )


def test_components_of_every_class():
    values = np.array([[1, 0, 1], [0, 0, 0], [2, 2, 255]], np.uint8)
    assert [label for label, _ in class_instances(values, by="component")] == [1, 1, 2]
    with pytest.raises(ValueError, match="component"):
        class_instances(values, by="object")


def test_later_masks_cover_earlier_ones():
    whole, corner = np.ones((3, 3), bool), np.zeros((3, 3), bool)
    corner[0, 0] = True
    values = to_label_map([run_lengths.encode(whole), run_lengths.encode(corner)], [4, 255], 3, 3)
    assert values.dtype == np.uint8
    assert values[0].tolist() == [255, 4, 4]
    with pytest.raises(DataError, match="300"):
        to_label_map([run_lengths.encode(whole)], [300], 3, 3)


def test_values_that_do_not_fit_are_refused(tmp_path):
    for bad in (np.array([[300]]), np.array([[-1]]), np.zeros((2, 2, 3), np.uint8)):
        with pytest.raises(DataError):
            write_label_map(tmp_path / "bad.png", bad)
    assert list(tmp_path.iterdir()) == []


def test_colors_are_vocs():
    assert class_colors(6).tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [128, 0, 128],
    ]
    assert len(np.unique(class_colors(), axis=0)) == 256


def test_overlay_leaves_the_background():
    image = np.full((2, 2, 3), 100, np.uint8)
    out = overlay(image, np.array([[0, 1], [0, 0]]))
    assert out[0, 1].tolist() == [114, 50, 50]
    assert (out[[0, 1, 1], [0, 0, 1]] == 100).all()
    with pytest.raises(DataError, match="does not fit"):
        overlay(image, np.zeros((3, 3), np.uint8))


def test_real_fashion_maps(shared_dir):
    for name, top in (("person", 1), ("clothes", 6)):
        path = shared_dir / "data" / "fashion" / "labels" / f"0001_{name}.png"
        values = read_label_map(path)
        assert values.shape == (600, 400)
        assert values.max() <= top
