"""Tests for the one door to image files: formats, pipes, limits, whatever the decoders raise; sizes and modes."""

import io
import logging
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.images import opening, read
from bdd_inst.images.png_kinds import pixels
from bdd_inst.images.read import read_bgr, read_image, scale
from bdd_inst.images.size import read_size

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n%%EndComments\n{} loop\n"


def drawing(width=40, height=30, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("name", ["a.jpg", "a.eps"])
def test_postscript_never_reaches_another_program(tmp_path, name, monkeypatch):
    (tmp_path / name).write_bytes(POSTSCRIPT)
    monkeypatch.setattr(
        "subprocess.check_call", lambda *a, **k: pytest.fail("a program was started")
    )
    for reader in (read_image, read_size, read_bgr):
        with pytest.raises(DataError, match=rf"{name}: not an image in a known format"):
            reader(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("reader", [read_image, read_size, pixels])
def test_pipes_and_devices_are_refused_at_once(tmp_path, reader):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(DataError, match="not a regular file"):
            reader(path)
    with pytest.raises(DataError, match="not a regular file|cannot be opened"):
        reader(tmp_path)


@pytest.mark.parametrize(
    "error", [MemoryError(), struct.error("x"), RuntimeError("a\nb"), RecursionError(), KeyError(3)]
)
def test_whatever_a_decoder_raises_is_one_line(tmp_path, monkeypatch, error):
    Image.fromarray(drawing()).save(tmp_path / "a.png")

    def raising(*_):
        raise error

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", raising)
    with pytest.raises(DataError) as caught:
        read_image(tmp_path / "a.png")
    assert "a.png" in str(caught.value)
    assert "\n" not in str(caught.value)


def bomb(width, height):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_the_limit_of_pixels_is_named_and_can_be_moved(tmp_path, monkeypatch):
    for side in (12_000, 60_000):
        (tmp_path / "huge.png").write_bytes(bomb(side, side))
        with pytest.raises(DataError, match=opening.LIMIT_VARIABLE):
            read_size(tmp_path / "huge.png")
    Image.fromarray(drawing()).save(tmp_path / "a.png")
    monkeypatch.setenv(opening.LIMIT_VARIABLE, "1000")
    with pytest.raises(DataError, match="40x30 pixels, more than the 1000"):
        read_image(tmp_path / "a.png")
    monkeypatch.setenv(opening.LIMIT_VARIABLE, "1200")
    assert read_image(tmp_path / "a.png").size == (40, 30)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    assert read_image(tmp_path / "a.png").size == (40, 30)
    monkeypatch.setenv(opening.LIMIT_VARIABLE, "many")
    with pytest.raises(ConfigError, match="give a number of pixels"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_size_and_pixels_agree_on_what_is_upright(tmp_path, kind, turn):
    stored = np.zeros((40, 80, 3), np.uint8)
    stored[:8, :8] = 255  # the stored image's first corner
    exif = Image.Exif()
    exif[274] = turn
    Image.fromarray(stored).save(tmp_path / "a", kind, exif=exif)
    image = np.asarray(read_image(tmp_path / "a"))
    height, width = read_size(tmp_path / "a")
    assert image.shape[:2] == (height, width) == ((80, 40) if turn >= 5 else (40, 80))
    # EXIF 2.32, orientation: which corner of the shown image the stored first corner is.
    bottom, right = turn in (3, 4, 7, 8), turn in (2, 3, 6, 7)
    corner = image[-4 if bottom else 3, -4 if right else 3]
    assert (corner > 200).all()


def test_a_file_that_breaks_off_is_found_by_size_and_by_reading(tmp_path):
    Image.fromarray(drawing(200, 100)).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[: len(data) // 2])
    for reader in (read_size, read_image):
        with pytest.raises(DataError, match="a.jpg: a broken image .*truncated"):
            reader(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(data + b"\0" * 5000)  # what some cameras append
    assert read_size(tmp_path / "b.jpg") == (100, 200)


@pytest.mark.parametrize(
    ("high", "bits"), [(200, 8), (1023, 10), (4095, 12), (16383, 14), (65535, 16)]
)
def test_deep_gray_is_scaled_by_the_depth_that_was_used(high, bits):
    ramp = np.linspace(0, high, 256).astype(np.uint16).reshape(16, 16)
    out = np.asarray(read.to_rgb(Image.fromarray(ramp)))
    expected = ramp / (2**bits - 1) * 255
    assert np.abs(out[..., 0] - expected).max() <= 1
    assert (out == out[..., :1]).all()


def test_fractions_and_wild_numbers_are_scaled_by_their_range():
    assert scale(np.array([[0.0, 0.5, 1.0]], np.float32)).tolist() == [[0, 128, 255]]
    assert scale(np.array([[-10.0, 0.0, 10.0]], np.float32)).tolist() == [[0, 128, 255]]
    assert scale(np.array([[np.nan, 0.0, np.inf, 1.0]], np.float32)).tolist() == [[0, 0, 0, 255]]
    assert scale(np.full((1, 2), np.nan, np.float32)).tolist() == [[0, 0]]
    assert scale(np.array([[0, 1 << 20]], np.int32)).tolist() == [[0, 255]]
    assert scale(np.array([[3.0, 200.0]], np.float32)).tolist() == [[3, 200]]


def test_scaling_is_said_once(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(read, "_said", set())
    for name in ("a", "b"):
        Image.fromarray(np.full((4, 4), 4000, np.uint16)).save(tmp_path / f"{name}.png")
    with caplog.at_level(logging.WARNING):
        read_image(tmp_path / "a.png"), read_image(tmp_path / "b.png")
    assert [r.getMessage() for r in caplog.records] == [
        f"{tmp_path}/a.png: 12-bit values, scaled to 0..255 (so are others like it)"
    ]


def test_twelve_bits_in_sixteen_of_a_color_image_are_no_night(tmp_path):
    import cv2

    image = drawing()
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1].astype(np.uint16) * 16)
    assert np.abs(np.asarray(read_image(tmp_path / "a.png")).astype(int) - image).max() <= 1


def test_ordinary_images_are_as_pil_converts_them(tmp_path):
    image = Image.fromarray(drawing())
    for mode, name in (
        ("RGB", "a.jpg"),
        ("L", "a.png"),
        ("CMYK", "c.jpg"),
        ("P", "p.png"),
        ("RGBA", "r.png"),
        ("1", "b.png"),
        ("LA", "l.png"),
    ):
        image.convert(mode).save(tmp_path / name)
        expected = np.asarray(Image.open(tmp_path / name).convert("RGB"))
        assert np.array_equal(read_image(tmp_path / name), expected), name
        assert np.array_equal(read_bgr(tmp_path / name)[..., ::-1], expected)


def test_streams_are_read_too():
    stream = io.BytesIO()
    Image.fromarray(drawing()).save(stream, "PNG")
    assert np.array_equal(read_image(stream), drawing())


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_gray_of_few_bits_holds_the_stored_numbers_in_every_reader(tmp_path, depth):
    import cv2  # noqa: F401

    from bdd_inst.formats.label_map import read_label_map

    values = np.array([[0, 1, 1, 0], [1, 0, 1, 1]], np.uint8)
    if depth >= 4:
        values = values * 3
    few_bits(tmp_path / "a.png", values, depth)
    assert np.array_equal(pixels(tmp_path / "a.png"), values)
    assert np.array_equal(read_label_map(tmp_path / "a.png"), values)


def few_bits(path, values, depth):
    """A gray PNG of H,W numbers in ``depth`` bits a pixel."""
    bits = np.unpackbits(values[..., None], axis=2)[..., 8 - depth :].reshape(len(values), -1)
    rows = np.concatenate([np.zeros((len(values), 1), np.uint8), np.packbits(bits, axis=1)], axis=1)
    header = struct.pack(">IIBBBBB", values.shape[1], len(values), depth, 0, 0, 0, 0)
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")):
        out += (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )
    path.write_bytes(out)
