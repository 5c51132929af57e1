"""Masks of a model that knows nothing yet: noise around the threshold, crossings closer than a pixel."""

from __future__ import annotations

import pytest
import torch

from bdd_inst.masks import run_lengths
from bdd_inst.masks.paste import paste_masks, paste_to_rles


@pytest.mark.parametrize("spread", [1.0, 1e-2, 1e-4])
def test_noise_gives_the_same_masks_both_ways(spread):
    generator = torch.Generator().manual_seed(0)
    probs = (torch.rand(1500, 28, 28, generator=generator) - 0.5) * spread + 0.5
    boxes = torch.rand(1500, 4, generator=generator) * 100
    boxes[:, 2:] = boxes[:, :2] + 1 + torch.rand(1500, 2, generator=generator) * 30
    masks, rles = paste_masks(probs, boxes, (135, 240)), paste_to_rles(probs, boxes, (135, 240))
    wrong = [
        i
        for i, (mask, found) in enumerate(zip(masks.numpy(), rles))
        if run_lengths.encode(mask)["counts"] != found["counts"]
    ]
    assert wrong == []
