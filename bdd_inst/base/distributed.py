"""The few things that processes tell each other: objects to rank 0, a flag to all, means of numbers."""

from __future__ import annotations

import torch
import torch.distributed as dist


def world() -> tuple[int, int]:
    """Rank and number of processes; (0, 1) where nothing is distributed."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def any_true(flag: bool, device: torch.device | str = "cpu") -> bool:
    """Whether ``flag`` is set on any process; every process must call it.

    Args:
        flag: this process's own.
        device: where the exchange takes place; the GPU under NCCL.

    Returns:
        True on all processes where it is set on at least one.
    """
    if world()[1] == 1:
        return flag
    tensor = torch.tensor([int(flag)], device=device)
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return bool(tensor.item())


def mean(values: dict[str, float], device: torch.device | str = "cpu") -> dict[str, float]:
    """The mean over processes of each number; all must hold the same keys.

    Args:
        values: numbers by name, the same names on every process.
        device: where the exchange takes place; the GPU under NCCL.

    Returns:
        The means by name, in sorted order of names; ``values`` itself where there is one process.
    """
    count = world()[1]
    if count == 1 or not values:
        return values
    keys = sorted(values)
    tensor = torch.tensor(
        [values[key] for key in keys],
        dtype=torch.float32 if str(device).startswith("mps") else torch.float64,
        device=device,
    )
    dist.all_reduce(tensor)
    return dict(zip(keys, (tensor / count).tolist(), strict=True))


def gather(value: object) -> list | None:
    """Every process's ``value`` in order of rank, on rank 0; None elsewhere. Anything that pickles will do.

    Args:
        value: this process's own.

    Returns:
        On rank 0 a list by rank, None on the others.
    """
    rank, count = world()
    if count == 1:
        return [value]
    gathered = [None] * count if rank == 0 else None
    dist.gather_object(value, gathered)
    return gathered


def broadcast(value: object) -> object:
    """Rank 0's ``value`` on every process.

    Args:
        value: rank 0's counts; the others' is not looked at.

    Returns:
        Rank 0's value.
    """
    if world()[1] == 1:
        return value
    holder = [value]
    dist.broadcast_object_list(holder)
    return holder[0]
