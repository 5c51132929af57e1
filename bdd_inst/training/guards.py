"""What stops a run that has gone wrong: losses or weights that are not finite, and memory that ran out; each says what to do."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import torch
from torch import nn

from bdd_inst.base.errors import DataError
from bdd_inst.training.state import TrainingState

HELPS = (
    "Lower SOLVER.BASE_LR, lengthen SOLVER.WARMUP_ITERS or set SOLVER.CLIP_GRADIENTS.ENABLED True"
)


def add_losses(
    total: dict[str, float],
    losses: dict[str, torch.Tensor],
    parts: int,
    batch: list[dict],
    state: TrainingState,
) -> None:
    """Add one batch's losses, scalars of any float dtype (a share of ``1 / parts`` of the step), to ``total``, with their sum as ``total_loss``.

    Raises:
        DataError: a loss is NaN or infinite; names the images, the last good checkpoint and what usually helps.
    """
    names = list(losses)
    # One wait for the device, not one a loss.
    values = torch.stack([losses[name].detach().float() for name in names]).tolist()
    bad = [
        f"{name} is {value}"
        for name, value in zip(names, values, strict=True)
        if not math.isfinite(value)
    ]
    if bad:
        raise diverged("; ".join(bad), batch, state)
    for name, value in zip(names, values, strict=True):
        total[name] = total.get(name, 0.0) + value / parts
    total["total_loss"] = total.get("total_loss", 0.0) + sum(values) / parts


def diverged(what: str, batch: list[dict], state: TrainingState) -> DataError:
    """The error for numbers that are no longer finite, with the images of the batch and where to go back to."""
    images = ", ".join(
        f"{item.get('image_id')} ({item.get('file_name', 'no file')})" for item in batch
    )
    where = f"stage {state.stage.name}, iteration {state.progress.iteration}"
    return DataError(f"{where}: {what}; the batch was {images}; {last_good(state)}. {HELPS}")


def check_weights(model: nn.Module, state: TrainingState) -> None:
    """A checkpoint must be good: refuse to write weights that are not finite.

    Raises:
        DataError: names the first such parameter and the last good checkpoint.
    """
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise DataError(
                f"after iteration {state.progress.total}: {name} is no longer finite; {last_good(state)}. {HELPS}"
            )


def last_good(state: TrainingState) -> str:
    """Where to go back to."""
    path = state.last_saved or state.checkpoints.last()
    return f"the last good checkpoint is {path}" if path else "there is no good checkpoint yet"


@contextlib.contextmanager
def explained(batch: list[dict], state: TrainingState) -> Iterator[None]:
    """Turn what a model raises on a batch into advice that knows the batch.

    Raises:
        DataError: memory ran out (how large the batch was, which keys make it smaller), or the model met numbers that are not finite.
    """
    cfg = state.stage.cfg
    try:
        yield
    except FloatingPointError as error:
        raise diverged(str(error).rstrip("."), batch, state) from None
    except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
        # The CPU's allocator raises a plain RuntimeError, told apart by its words only.
        if not is_out_of_memory(error):
            raise
        sizes = ", ".join(
            sorted({f"{item['image'].shape[-1]}x{item['image'].shape[-2]}" for item in batch})
        )
        objects = sum(len(item["instances"]) for item in batch if "instances" in item)
        raise DataError(
            f"out of memory on {len(batch)} images of {sizes} with {objects} objects; lower what one step holds: "
            f"SOLVER.ACCUMULATE (now {cfg.SOLVER.ACCUMULATE}; twice that halves it, same result), "
            f"SOLVER.IMS_PER_BATCH (now {cfg.SOLVER.IMS_PER_BATCH}), "
            f"INPUT.MAX_SIZE_TRAIN (now {cfg.INPUT.MAX_SIZE_TRAIN}) with INPUT.MIN_SIZE_TRAIN, or set SOLVER.AMP.ENABLED True"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory of the device or of the machine ran out."""
    text = str(error).lower()
    return (
        isinstance(error, (torch.OutOfMemoryError, MemoryError))
        or "out of memory" in text
        or "can't allocate memory" in text
    )
