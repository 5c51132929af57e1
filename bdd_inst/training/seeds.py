"""Random numbers as a function of the iteration: nothing of them needs saving, and nothing in between can disturb them."""

from __future__ import annotations

import os
import random

import numpy as np
import torch


def new_seed() -> int:
    """A seed from the system's entropy, for runs that ask for SEED -1; it is written down with the run."""
    return int.from_bytes(os.urandom(4), "little") % 2**31


def seed_all(seed: int, iteration: int, rank: int = 0) -> None:
    """Start every global generator (torch on all devices, NumPy, random) from (seed, iteration, rank)."""
    # Mixed, not added: seed 1 at iteration 0 and seed 0 at iteration 1 must not draw the same numbers.
    mixed = int(np.random.SeedSequence((seed, iteration, rank)).generate_state(1, np.uint64)[0])
    torch.manual_seed(mixed & 0x7FFF_FFFF_FFFF_FFFF)
    np.random.seed(mixed % 2**32)  # noqa: NPY002 (libraries called by the model may use the global generator)
    random.seed(mixed)


def make_deterministic() -> None:
    """Ask torch for algorithms that give the same bits on every run; those that have none warn once."""
    # cuBLAS sums in a fixed order only with a workspace of fixed size, and reads the variable when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
