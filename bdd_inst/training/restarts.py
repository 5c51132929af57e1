"""A run goes on in its own folder: its scheduler starts it again (torchrun --max-restarts, a SLURM requeue), or a person as it says."""

from __future__ import annotations

import logging
import os
import shlex
import socket
import sys
from pathlib import Path

from bdd_inst.base.program import option_words, start_words
from bdd_inst.training.loop import Trainer
from bdd_inst.training.output import choose_folder
from bdd_inst.training.provenance import read_run, write_run

log = logging.getLogger(__name__)

COUNTS = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
KEY = "job"  # in run.json


def run_folder(
    output: str | None, base: str, *, resume: bool, training: bool = True
) -> tuple[Path, bool]:
    """The folder of a run and whether it goes on there; see :func:`bdd_inst.training.output.choose_folder` for arguments and errors."""
    if training and restarted():
        own = own_folder(output, base)
        if own is not None:
            log.info("started again by the scheduler: going on in %s", own)
            return own, True
    return choose_folder(output, base, resume=resume, training=training), resume


def restarted() -> bool:
    """Whether the scheduler says that it has started this job before."""
    return any(os.environ.get(name, "0").strip() not in ("", "0") for name in COUNTS)


def job_mark() -> str:
    """What the starts of one job have in common and no other run has; "" where no scheduler started it."""
    env = os.environ
    if env.get("SLURM_JOB_ID"):
        job = f"slurm {env['SLURM_JOB_ID']}"
    elif "TORCHELASTIC_RUN_ID" in env:
        # Often "none": the agent, which outlives the processes that it starts again, tells its runs apart.
        job = f"torchrun {env['TORCHELASTIC_RUN_ID']} {socket.gethostname()} {os.getppid()}"
    else:
        return ""
    return " ".join([job, *sys.argv[1:]])


def own_folder(output: str | None, base: str) -> Path | None:
    """The folder that an earlier start of this job has marked: ``output``, or one under ``base``."""
    mark = job_mark()
    folders = [Path(output)] if output else [path.parent for path in Path(base).glob("*/run.json")]
    own = [folder for folder in folders if mark and read_run(folder).get(KEY) == mark]
    return max(own, key=lambda folder: (folder / "run.json").stat().st_mtime, default=None)


def mark_folder(folder: Path) -> None:
    """Write the job into the folder's ``run.json``, before anything else can fail."""
    if job_mark():
        write_run(folder, read_run(folder) | {KEY: job_mark()})


def stop_text(run: Trainer, folder: Path) -> str:
    """What to type to go on with a run that a signal has stopped, after its last checkpoint is written.

    Args:
        run: stopped.
        folder: its own.

    Returns:
        Two lines.
    """
    words = [word for word in option_words() if word != "--resume"]
    if "--output" not in words:
        words += ["--output", str(folder)]
    done = f"{run.progress.total} of {run.total_iterations} iterations"
    return (
        f"stopped by {run.stop.name or 'a signal to another process'} after {done}; saved {run.last_saved}\n"
        f"to go on: {shlex.join([*start_words(), '--resume', *words])}"
    )
