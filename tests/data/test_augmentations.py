"""The table of augmentations: their order, and one of a user's own."""

from __future__ import annotations

import numpy as np
import pytest

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.loading import get_cfg
from bdd_inst.data.augment import ObjectBoxes
from bdd_inst.data.augmentations import (
    AUGMENTATIONS,
    Augmentation,
    RandomFlip,
    build_augmentations,
    sample_chain,
)
from bdd_inst.data.transforms import Crop
from bdd_inst.training.validation_loss import without_augmentation

SIZE = (40, 60)


class RightHalf(Augmentation):
    """Cuts the left half off, and turns what is left black."""

    cuts = True

    def transforms(self, size, objects, rng):
        height, width = size
        self.seen = objects.boxes.tolist()
        return [Crop(size, width // 2, 0, (height, width - width // 2))]

    def recolor(self, image, rng):
        return np.zeros_like(image)


@pytest.fixture
def own(monkeypatch):
    step = RightHalf()
    monkeypatch.setitem(AUGMENTATIONS, "right_half", lambda cfg: step)
    cfg = get_cfg()
    cfg.INPUT.MIN_SIZE_TRAIN = [0]
    cfg.INPUT.AUGMENTATIONS = ["flip", "resize", "right_half"]
    return cfg, step


def test_steps_come_in_the_order_of_the_config_and_see_what_those_before_left(own):
    cfg, step = own
    objects = ObjectBoxes(np.array([[50.0, 0, 60, 10]]), np.array([0]))
    seen = set()
    for seed in range(9):
        steps = build_augmentations(cfg)
        chain = sample_chain(steps, SIZE, objects, np.random.default_rng(seed))
        assert chain.out == (40, 30)
        seen.add(tuple(step.seen[0]))
    assert seen == {(50.0, 0, 60, 10), (0.0, 0, 10, 10)}


def test_what_is_switched_off_is_left_out():
    cfg = get_cfg()
    cfg.INPUT.RANDOM_FLIP = "none"
    assert not [s for s in build_augmentations(cfg) if isinstance(s, RandomFlip)]
    assert len(build_augmentations(cfg)) == 1


def test_an_unknown_name_is_refused():
    cfg = get_cfg()
    cfg.INPUT.AUGMENTATIONS = ["resize", "flipp"]
    with pytest.raises(ConfigError, match=r"INPUT.AUGMENTATIONS 'flipp' .*did you mean flip\?"):
        build_augmentations(cfg)


def test_validation_losses_are_taken_without_any(own):
    cfg, _ = own
    cfg.INPUT.BLUR.ENABLED = cfg.INPUT.COPY_PASTE.ENABLED = True
    plain = without_augmentation(cfg)
    assert len(build_augmentations(plain)) == 1
    assert not plain.INPUT.COPY_PASTE.ENABLED
