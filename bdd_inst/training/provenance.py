"""Where a run's result comes from: seed, versions, source state, data, command; written as run.json."""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
import subprocess
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bdd_inst import __version__
from bdd_inst.base.files import atomic_write

PACKAGES = (
    "torch",
    "torchvision",
    "lightning",
    "numpy",
    "opencv-python-headless",
    "opencv-python",
    "pillow",
    "pycocotools",
    "hotcoco",
    "detectron2",
)


def describe_run(
    seed: int, command: Sequence[str], data: dict[str, Sequence[dict]], world_size: int
) -> dict:
    """Everything needed to say which run this was.

    Args:
        seed: the run's seed.
        command: its command line.
        data: dataset dicts by the data set's name.
        world_size: number of processes.
    """
    return {
        "started": now(),
        "command": list(command),
        "seed": seed,
        "processes": world_size,
        "bdd_inst": __version__,
        "git": git_state(Path(__file__).resolve().parent),
        "versions": {"python": platform.python_version()} | versions(),
        "machine": {
            "system": platform.platform(),
            "cpus": torch.get_num_threads(),
            "gpus": gpu_names(),
        },
        "data": {
            name: {"pictures": len(dicts), "hash": data_hash(dicts)} for name, dicts in data.items()
        },
    }


def now() -> str:
    """The local time, with its zone."""
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Installed versions of the packages that shape a result."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def gpu_names() -> list[str]:
    """Names of the GPUs of this machine."""
    return (
        [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        if torch.cuda.is_available()
        else []
    )


def git_state(folder: Path) -> dict | None:
    """Commit of the checkout that the package runs from and whether it was changed since; None outside a checkout."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        ).stdout.strip()

    try:
        # An installed package may lie inside somebody else's checkout: that one's commit says nothing of this code.
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return {
            "commit": git("rev-parse", "HEAD"),
            "changed": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def data_hash(dicts: Sequence[dict]) -> str:
    """A hash of what a data set says: names, sizes and every annotation; not of the pixels, nor of where the files lie."""
    digest = hashlib.blake2b(digest_size=16)
    for item in dicts:
        # The same data in another folder, or on another machine, has the same hash.
        named = {key: value for key, value in item.items() if key != "file_name"} | {
            "file_name": Path(str(item.get("file_name", ""))).name
        }
        digest.update(json.dumps(named, sort_keys=True, default=plain).encode())
    return digest.hexdigest()


def plain(value: object) -> object:
    """JSON for the types that annotations may hold."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return str(value)


def describe_model(model: nn.Module, batch: Sequence[dict]) -> dict:
    """How large and how fast a model is: ``parameters``, and ``milliseconds`` a batch takes in evaluation, the least of three.

    Args:
        batch: inputs of evaluation, as the test loader gives them.
    """
    times, training = [], model.training
    model.eval()
    with torch.no_grad():
        for _ in range(3):
            started = time.perf_counter()
            model(batch)
            times.append(time.perf_counter() - started)
    model.train(training)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "milliseconds": 1000 * min(times),
    }


def write_run(folder: Path, facts: dict) -> None:
    """Write ``run.json``."""
    with atomic_write(folder / "run.json") as stream:
        json.dump(facts, stream, indent=1)
        stream.write("\n")


def read_run(folder: Path) -> dict:
    """The facts written so far; empty where there are none."""
    try:
        return json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
