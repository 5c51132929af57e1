"""How much memory a run has used."""

from __future__ import annotations

import sys

import torch


def peak_memory(device: torch.device) -> int:
    """Bytes at the highest point so far: of the GPU where there is one, else of this process."""
    if device.type == "cuda":
        # What tensors took, not what the allocator holds ready: that grows with the card.
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024  # macOS reports bytes, Linux kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def free_memory(device: torch.device) -> int:
    """Bytes that could still be allocated: on the GPU, or on the machine without swapping (0 where that is unknown)."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo", encoding="ascii") as stream:
            return next(
                int(line.split()[1]) * 1024 for line in stream if line.startswith("MemAvailable")
            )
    except (OSError, StopIteration):
        return 0
