"""Tidying: pinholes and crumbs go, real openings and real persons stay."""

from __future__ import annotations

import numpy as np
import pytest

from bdd_inst.live.tidying import tidy

HEIGHT, WIDTH = 192, 336


def person() -> np.ndarray:
    """A solid block with a soft rim."""
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    alpha[38:162, 98:202] = 0.5
    alpha[40:160, 100:200] = 1
    return alpha


def test_a_pinhole_is_closed_whatever_the_model_says():
    alpha = person()
    alpha[80:83, 140:144] = 0
    assert (tidy(alpha)[70:90, 130:150] == 1).all()


def test_a_hole_that_the_model_doubts_is_closed_and_one_it_is_sure_of_stays():
    doubted, sure = person(), person()
    doubted[80:90, 140:152] = 0.3
    sure[80:90, 140:152] = 0
    assert (tidy(doubted)[80:90, 140:152] == 1).all()
    assert (tidy(sure)[80:90, 140:152] == 0).all()


def test_a_large_doubt_is_no_hole():
    alpha = person()
    alpha[60:120, 120:180] = 0.3
    assert (tidy(alpha)[60:120, 120:180] == np.float32(0.3)).all()


def test_crumbs_go_and_the_soft_rim_stays():
    alpha = person()
    alpha[10:14, 20:24] = 1  # small and alone
    alpha[100:130, 250:280] = 0.4  # large, and nowhere more person than room
    out = tidy(alpha.copy())
    assert (out == person()).all()


def test_a_smaller_second_person_stays():
    alpha = person()
    alpha[100:130, 250:262] = 1
    assert (tidy(alpha.copy()) == alpha).all()


@pytest.mark.parametrize("value", [0, 0.5, 1])
@pytest.mark.parametrize("size", [(1, 1), (2, 300), (64, 64)])
def test_plain_masks_stay(value, size):
    alpha = np.full(size, value, np.float32)
    assert (tidy(alpha.copy()) == alpha).all()
