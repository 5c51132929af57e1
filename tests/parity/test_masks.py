"""Masks against second implementations: the official BDD100K drawing, matplotlib, Detectron2's pasted masks, pycocotools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from bdd_inst.formats.bitmask import BitmaskInstance, to_bitmask
from bdd_inst.masks import run_lengths
from bdd_inst.masks.outlines import Outline
from bdd_inst.masks.paste import paste_masks, paste_to_rles
from bdd_inst.masks.rasterize import objects_to_rles, polygons_to_mask, polygons_to_rle

DATA = Path(__file__).resolve().parents[1] / "fixtures"
OFFICIAL = json.loads((DATA / "official_masks.json").read_text())["shapes"]


def paths_of(poly2d: list[dict]) -> list[Outline]:
    return [
        Outline(np.array(part["vertices"], dtype=float), part["types"], part["closed"])
        for part in poly2d
    ]


@pytest.mark.parametrize("kind", sorted({shape["kind"] for shape in OFFICIAL}))
def test_outlines_are_drawn_as_the_official_tool_drew_them(kind):
    shapes = [shape for shape in OFFICIAL if shape["kind"] == kind]
    assert len(shapes) >= 10
    for shape in shapes:
        drawn = polygons_to_rle(paths_of(shape["poly2d"]), shape["height"], shape["width"])
        assert drawn["counts"] == shape["counts"], shape


def draw_with_matplotlib(path: Outline, height: int, width: int) -> np.ndarray:
    """The official way to a mask, on the matplotlib installed here: H,W bool."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Patch

    figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="black")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(height, 0))
    codes = [Patch.MOVETO] + [
        Patch.CURVE4 if letter == "C" else Patch.LINETO for letter in path.types[1:]
    ]
    vertices = path.vertices.tolist()
    if path.closed:
        vertices, codes = [*vertices, vertices[0]], [*codes, Patch.LINETO]
    style = (
        {"facecolor": "white", "linewidth": 0}
        if path.closed
        else {"facecolor": "none", "linewidth": 1}
    )
    axes.add_patch(
        PathPatch(Patch(vertices, codes), edgecolor="white", antialiased=False, snap=True, **style)
    )
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., 0] > 0


@st.composite
def outlines(draw) -> tuple[Outline, int, int]:
    """An outline of any kind that fits or leaves a small image, and the image's height and width."""
    # For the last three the canvas has its vertices a rounding beside their place.
    height, width = draw(
        st.sampled_from([(50, 75), (100, 60), (25, 25), (98, 107), (49, 103), (107, 50)])
    )
    number = draw(st.integers(3, 9))
    reach = draw(st.sampled_from([1.0, 1.0, 3.0]))
    coordinate = st.floats(-0.5, 0.5, width=32) | st.integers(-64, 64).map(lambda v: v / 128)
    vertices = draw(hnp.arrays(np.float64, (number, 2), elements=coordinate))
    vertices = (vertices * reach + 0.5) * [width, height]
    if draw(st.booleans()):
        vertices = np.round(vertices * 2) / 2
    closed = draw(st.booleans()) or reach > 1
    letters = (
        draw(st.text("LC", min_size=number, max_size=number))
        if draw(st.booleans())
        else "L" * number
    )
    return Outline(vertices, letters, closed), height, width


@given(outlines())
def test_outlines_are_drawn_as_matplotlib_draws_them(case):
    path, height, width = case
    assert np.array_equal(
        polygons_to_mask([path], height, width), draw_with_matplotlib(path, height, width)
    )


def test_real_frames_are_drawn_as_the_official_tool_drew_them(shared_dir):
    samples = shared_dir / "data" / "bdd100k" / "samples"
    if not (samples / "seg_track_20_official_masks.json").exists():
        pytest.skip("no official masks among the real data")
    official = json.loads((samples / "seg_track_20_official_masks.json").read_text())
    objects, expected = [], []
    for frame in json.loads((samples / "seg_track_20_frames.json").read_text()):
        counts = {label["id"]: label["counts"] for label in official[frame["name"]]}
        for label in frame["labels"] or []:
            objects.append(paths_of(label["poly2d"]))
            expected.append(counts[label["id"]])
    drawn = [coded["counts"] for coded in objects_to_rles(objects, 720, 1280)]
    assert len(drawn) > 500
    assert sum(a == b for a, b in zip(drawn, expected)) == len(drawn)


def test_a_real_label_file_becomes_its_published_bitmask(shared_dir):
    samples = shared_dir / "data" / "bdd100k" / "samples"
    with Image.open(samples / "insseg_bitmask.png") as image:
        expected = np.asarray(image)
    labels = json.loads((samples / "example_annotation.json").read_text())[0]["labels"]
    flags = ("truncated", "occluded", "crowd", "ignored")
    instances = []
    for label in labels:
        assert label["category"] == "car"
        drawn = polygons_to_rle(paths_of(label["poly2d"]), *expected.shape[:2])
        attributes = label["attributes"] or {}
        instances.append(
            BitmaskInstance(drawn, 3, 0, *(bool(attributes.get(flag)) for flag in flags))
        )
    assert np.array_equal(to_bitmask(instances, *expected.shape[:2]), expected)


@pytest.mark.parametrize("model", ["r50_fpn", "x101_fpn", "gn_conv_heads"])
@pytest.mark.parametrize("image", [0, 1])
def test_probabilities_are_pasted_as_detectron2_pastes_them(model, image):
    with np.load(DATA / "parity" / model / f"outputs{image}.npz") as file:
        probs, boxes = torch.from_numpy(file["mask_probs"]), torch.from_numpy(file["boxes"])
        size, expected = tuple(file["mask_size"].tolist()), file["mask_rle_counts"].tolist()
    assert len(expected) > 20
    assert [coded["counts"] for coded in paste_to_rles(probs, boxes, size)] == expected
    assert [
        run_lengths.encode(mask)["counts"] for mask in paste_masks(probs, boxes, size).numpy()
    ] == expected
