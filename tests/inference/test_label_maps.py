"""Label maps from logits: thresholds, probabilities, names of files and of values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from bdd_inst.base.errors import DataError
from bdd_inst.config.loading import get_cfg
from bdd_inst.inference.label_maps import (
    cut_out,
    label_names,
    labels_of,
    png_names,
    probability_of,
    write_labels,
)


def logits_of(probability) -> torch.Tensor:
    return torch.tensor(probability, dtype=torch.float32).logit()


def test_one_class_is_marked_from_a_probability_on():
    plane = logits_of([[[0.2, 0.5, 0.9]]])
    assert labels_of(plane)[0].tolist() == [[0, 1, 1]]
    assert labels_of(plane, threshold=0.7)[0].tolist() == [[0, 0, 1]]
    np.testing.assert_allclose(probability_of(plane), [[0.2, 0.5, 0.9]], atol=1e-6)


def test_two_classes_are_one_against_the_background():
    shares = torch.tensor([[[0.7, 0.4]], [[0.3, 0.6]]]).log()
    assert labels_of(shares)[0].tolist() == [[0, 1]]
    assert labels_of(shares, threshold=0.25)[0].tolist() == [[1, 1]]
    np.testing.assert_allclose(labels_of(shares)[1], [[0.3, 0.6]], atol=1e-6)


def test_of_several_the_best_unless_it_is_unsure():
    shares = torch.tensor([[[0.8, 0.2]], [[0.1, 0.35]], [[0.1, 0.45]]]).log()
    assert labels_of(shares)[0].tolist() == [[0, 2]]
    assert labels_of(shares, threshold=0.5)[0].tolist() == [[0, 255]]
    np.testing.assert_allclose(probability_of(shares), [[0.8, 0.45]], atol=1e-6)


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(DataError, match=r"a\.jpg.*not finite"):
        labels_of(torch.full((2, 1, 1), float("nan")), "a.jpg")


@pytest.mark.parametrize(("classes", "kind"), [(255, np.uint8), (256, np.uint16), (600, np.uint16)])
def test_label_files_hold_class_numbers(tmp_path, classes, kind):
    values = np.array([[0, classes - 1], [7, 200]])
    write_labels(tmp_path / "a.png", values, classes)
    with Image.open(tmp_path / "a.png") as image:
        stored = np.asarray(image)
    assert stored.dtype == kind
    assert np.array_equal(stored, values)


def test_a_cut_out_has_the_probability_as_alpha():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    out = cut_out(image, np.array([[0.0, 1.0], [0.5, 0.2]]))
    assert np.array_equal(out[..., :3], image)
    assert out[..., 3].tolist() == [[0, 255], [128, 51]]


def test_images_of_one_stem_keep_their_suffix():
    assert png_names(["a.jpg", "s/b.x.jpg", "s/c.jpg", "s/c.png"]) == {
        "a.jpg": "a.png",
        "s/b.x.jpg": "s/b.x.png",
        "s/c.jpg": "s/c.jpg.png",
        "s/c.png": "s/c.png.png",
    }


def test_values_have_the_names_of_the_weights_or_numbers():
    cfg = get_cfg()
    cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES = 1
    named = label_names(cfg, {"thing_classes": ["person"], "thing_colors": [[1, 2, 3]]})
    assert (named.names, named.colors) == (["background", "person"], [[0, 0, 0], [1, 2, 3]])
    cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES = 3
    assert label_names(cfg, {"stuff_classes": ["road", "sky", "car"]}).names[0] == "road"
    assert label_names(cfg, {"thing_classes": ["person"]}).names == [
        "background",
        "class 1",
        "class 2",
    ]
