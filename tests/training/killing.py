"""Runs the tiny training and has it killed by SIGKILL over and over; called by test_survival.py as a program.

    python killing.py CONFIG FOLDER KILLS SEED

Each round forks a child that goes on with the run. Every fourth child dies after a random number of function calls (seconds would
make the outcome the machine's), the others within a checkpoint: with
half of its bytes written, with all of them but not yet under its name, or with its name but ``last_checkpoint`` not yet pointing at it.
Then one more child runs to the end. Prints one line a round: how the child died and how many iterations its checkpoint holds.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

import torch

from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.training import checkpoints
from bdd_inst.training.optim import build_optimizer
from bdd_inst.training.train import train

# A child needs some 340,000 calls to its first iteration and 45,000 for each.
CALLS = (20_000, 450_000)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after_calls(number: int) -> None:
    """Make this process kill itself at its function call ``number``, wherever that is."""
    left = [number]

    def count(_frame: object, event: str, _argument: object) -> None:
        if event == "call":
            left[0] -= 1
            if not left[0]:
                die()

    sys.setprofile(count)


def die_in_checkpoint(how: str, after: int) -> None:
    """Make this process kill itself within its checkpoint number ``after``."""
    count = [0]

    def now() -> bool:
        count[0] += 1
        return count[0] > after

    if how == "half written":
        real = checkpoints.save_to

        def save_to(state: dict, stream: object) -> None:
            if now():
                import io

                whole = io.BytesIO()
                real(state, whole)
                stream.write(whole.getvalue()[: len(whole.getvalue()) // 2])
                stream.flush()
                die()
            real(state, stream)

        checkpoints.save_to = save_to
    elif how == "not renamed":
        real_replace = os.replace

        def replace(source: object, target: object) -> None:
            if str(target).endswith(".pth") and now():
                die()
            real_replace(source, target)

        os.replace = replace
    else:
        real_sync = checkpoints.sync_folder

        def sync_folder(folder: object) -> None:
            if now():
                die()
            real_sync(folder)

        checkpoints.sync_folder = sync_folder


def run_child(config: str, folder: str, how: str, after: int) -> int:
    """Fork a child that goes on with the run; its pid. ``after`` is counted in calls or in checkpoints, as ``how`` has it."""
    pid = os.fork()
    if pid:
        return pid
    if how == "at random":
        die_after_calls(after)
    elif how != "to the end":
        die_in_checkpoint(how, after)
    try:
        train(
            load_cfg(config, ["SOLVER.CHECKPOINT_PERIOD", "1", "TEST.PICTURES", "0"]),
            folder,
            resume=True,
        )
        os._exit(0)
    except BaseException as error:
        print(f"failed: {type(error).__name__}: {error}", flush=True)
        os._exit(1)


def main(config: str, folder: str, kills: int, seed: int) -> None:
    torch.set_num_threads(1)
    cfg = load_cfg(config)
    build_optimizer(
        cfg, build_model(cfg)
    )  # imports all that a child needs, so that it starts at once
    rng = random.Random(seed)
    for kill in range(kills):
        how = ("at random", "half written", "not renamed", "not pointed at")[kill % 4]
        after = rng.randint(*CALLS) if how == "at random" else rng.randint(0, 1)
        pid = run_child(config, folder, how, after)
        _, status = os.waitpid(pid, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        last = checkpoints.CheckpointFolder(Path(folder), 0).last()
        print(
            f"{how}: {'killed' if killed else f'ended {status}'}, {last.name if last else 'no checkpoint'}",
            flush=True,
        )
    _, status = os.waitpid(run_child(config, folder, "to the end", 0), 0)
    print(f"to the end: {status}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
