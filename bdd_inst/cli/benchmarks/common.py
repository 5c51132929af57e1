"""Timing, peak memory and tables for the benchmarks: medians over repetitions, peers in turn in the same run."""

from __future__ import annotations

import gc
import importlib.util
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def machine() -> str:
    """One line that names the machine: processor, cores, platform, torch and threads."""
    import torch

    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            names = [
                line.split(":", 1)[1].strip() for line in stream if line.startswith("model name")
            ]
        name = names[0] if names else name
    gpu = f", {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else ", no GPU"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    return f"{name}, {os.cpu_count()} cores{gpu}; {versions}"


def measure(function: Callable[[], Any], repeat: int = 5, warmup: int = 1) -> float:
    """Median wall seconds of ``function()`` over ``repeat`` runs after ``warmup`` uncounted ones; the collector is paused."""
    return measure_all({"": function}, repeat, warmup)[""]


def measure_all(
    functions: Mapping[str, Callable[[], Any]],
    repeat: int = 5,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median wall seconds of each function, run in turn (A B A B ...), so that a drifting machine treats all alike.

    ``clock``: ``time.process_time`` counts the processor's time instead, which other work beside it distorts less.
    """
    for _ in range(warmup):
        for function in functions.values():
            function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for _ in range(repeat):
            for name, function in functions.items():
                start = clock()
                function()
                seconds[name].append(clock() - start)
    finally:
        if enabled:
            gc.enable()
    return {name: statistics.median(values) for name, values in seconds.items()}


def peak_memory() -> float:
    """Peak resident memory of this process in MB.

    Linux keeps ``ru_maxrss`` over an exec, so a child started by a large process would show its parent's peak: VmHWM does not.
    """
    import resource

    try:
        with open("/proc/self/status", encoding="ascii") as stream:
            return next(int(line.split()[1]) for line in stream if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _child(connection: Any, function: Callable[..., Any], arguments: tuple) -> None:
    # A spawned process would spawn its own children too; data workers are to start as they do in a user's program.
    multiprocessing.set_start_method(None, force=True)
    try:
        result = function(*arguments)
        connection.send((result, peak_memory(), None))
    except Exception as error:  # the parent names it; a benchmark that fails must say so
        connection.send((None, 0.0, f"{type(error).__name__}: {error}"))


def in_child(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Run ``function(*arguments)`` in a fresh process: (its result, the process' peak resident memory in MB)."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(send, function, arguments))
    process.start()
    send.close()
    try:
        result, peak, error = receive.recv()
    except EOFError:
        result, peak, error = None, 0.0, "the process died"
    process.join()
    if error:
        raise RuntimeError(error)
    return result, peak


def importable(name: str) -> bool:
    """Whether a peer package can be imported here; benchmarks say which peers are absent."""
    return importlib.util.find_spec(name) is not None


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print an aligned table; numbers to the right, text to the left."""
    cells = [
        [f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows
    ]
    widths = [
        max(len(str(h)), *(len(row[i]) for row in cells)) if cells else len(str(h))
        for i, h in enumerate(headers)
    ]
    numeric = [
        bool(rows) and all(isinstance(row[i], (int, float)) or row[i] in ("", "-") for row in rows)
        for i in range(len(headers))
    ]
    for line in [[str(h) for h in headers], ["-" * w for w in widths], *cells]:
        print(
            "  "
            + "  ".join(
                c.rjust(w) if right else c.ljust(w) for c, w, right in zip(line, widths, numeric)
            ).rstrip()
        )
