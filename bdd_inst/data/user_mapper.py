"""Detectron2's mappers, ``mapper(dataset_dict)``, where ours take the random generator of the sample as well."""

from __future__ import annotations

import copy
import inspect
import random
from collections.abc import Callable

import numpy as np
import torch


class OneArgument:
    """A mapper of one argument, called as ours are.

    It may change its dict, as Detectron2's do: it gets a copy. Before each call the global generators that such mappers draw from
    (``random``, ``numpy.random``, torch's) are seeded from the sample's own, so that a run's samples stay the same for any number of
    workers and after a resume.
    """

    def __init__(self, mapper: Callable[[dict], dict]):
        self.mapper = mapper

    def __call__(self, item: dict, rng: np.random.Generator | None = None) -> dict:
        """The model's input of a dict; ``rng`` None: evaluation, nothing is seeded."""
        if rng is not None:
            # 32 bits, the most that ``numpy.random.seed`` takes.
            seed = int(rng.integers(2**32))
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002 (the generator that users' mappers draw from)
            torch.manual_seed(seed)
        return self.mapper(copy.deepcopy(dict(item)))


def as_mapper(mapper: Callable[..., dict]) -> Callable[..., dict]:
    """The mapper itself, or behind :class:`OneArgument` where it has room for a dict only."""
    try:
        # Bound, not called: a mapper may read images or change its dict.
        inspect.signature(mapper).bind({}, None)
    except TypeError:
        return OneArgument(mapper)
    except ValueError:  # a callable without a signature
        return mapper
    return mapper
