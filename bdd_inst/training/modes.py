"""Training and evaluation mode: frozen norms stay in evaluation mode, and whatever evaluates leaves every mode as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn

from bdd_inst.training.optim import NORMS


def train_mode(model: nn.Module) -> None:
    """Training mode, but for norm layers none of whose parameters train: their running statistics must not drift either."""
    model.train()
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if isinstance(module, NORMS) and own and not any(p.requires_grad for p in own):
            module.eval()


@contextlib.contextmanager
def mode(model: nn.Module, *, evaluate: bool) -> Iterator[None]:
    """Evaluation mode, or training mode with every norm in evaluation mode (for losses that leave no trace); restored after."""
    before = [(module, module.training) for module in model.modules()]
    try:
        model.train(not evaluate)
        if not evaluate:
            for module in model.modules():
                if isinstance(module, NORMS):
                    module.eval()
        yield
    finally:
        for module, training in before:
            module.training = training
