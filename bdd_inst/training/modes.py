"""Training mode: frozen norms stay in evaluation mode, and losses that are only looked at leave no trace."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn

from bdd_inst.inference.dataset import evaluation_mode
from bdd_inst.training.optim import NORMS


def train_mode(model: nn.Module) -> None:
    """Training mode, but for norm layers none of whose parameters train: their running statistics must not drift either."""
    model.train()
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if isinstance(module, NORMS) and own and not any(p.requires_grad for p in own):
            module.eval()


@contextlib.contextmanager
def loss_mode(model: nn.Module) -> Iterator[None]:
    """Training mode with every norm in evaluation mode, for losses that leave no trace; each module's own mode comes back after."""
    with evaluation_mode(model):
        model.train()
        for module in model.modules():
            if isinstance(module, NORMS):
                module.eval()
        yield
