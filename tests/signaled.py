"""Runs commands of ``bdd-inst`` that get a signal in the middle of their work, or little room; started as a program by :func:`runs`.

Each run is a process of its own, forked from one that has imported everything, so that twenty of them take seconds. When a run is
signaled is counted in its calls of Python functions, or in those of one function: seconds would make the outcome the machine's.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAVY = (
    "bdd_inst.cli.evaluate",
    "bdd_inst.cli.predict",
    "bdd_inst.cli.convert",
    "bdd_inst.report.html",
)


@dataclass
class Run:
    """``words`` after ``bdd-inst``; ``signal`` comes at call number ``at`` of ``function`` (``part of its file's path:name``), of any function
    where that is empty; ``share`` above 0 gives ``at`` as a share of the calls that the last whole run of this verb made. ``room`` above 0
    is the most bytes that a file may have, ``seconds`` of its own time after which a process is killed by SIGXCPU."""

    words: list[str]
    signal: str = ""
    at: int = 0
    function: str = ""
    share: float = 0.0
    room: int = 0
    seconds: int = 0


@dataclass
class Ended:
    """``code`` as a shell has it: 128 + n by signal n. ``calls``: how many functions were called, of a run that ended by itself.
    ``megabytes`` that the process had at most."""

    code: int
    out: str
    err: str
    calls: int = 0
    killed: bool = field(default=False)
    megabytes: float = 0.0


def runs(wanted: Iterable[Run], env: dict[str, str] | None = None) -> list[Ended]:
    """Do the runs one after the other in a program of their own."""
    from tests.waiting import LAST_RESORT

    done = subprocess.run(
        [sys.executable, "-m", "tests.signaled"],
        input=json.dumps([asdict(run) for run in wanted]),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=str(ROOT)) | (env or {}),
        timeout=LAST_RESORT,
    )
    assert done.returncode == 0, done.stderr
    return [Ended(**line) for line in json.loads(done.stdout.splitlines()[-1])]


def signal_myself(run: Run) -> list[int]:
    """Count this process' calls; it signals itself at the one that ``run`` names."""
    calls = [0]
    number = getattr(signal, run.signal) if run.signal else 0

    file, _, name = run.function.rpartition(":")
    owner = os.getpid()

    def count(frame: object, event: str, _argument: object) -> None:
        if os.getpid() != owner:  # a worker process that was forked with this hook
            sys.setprofile(None)
            return
        code = frame.f_code
        if event == "call" and (not name or (code.co_name == name and file in code.co_filename)):
            calls[0] += 1
            if calls[0] == run.at and number:
                sys.setprofile(None)
                os.kill(os.getpid(), number)

    sys.setprofile(count)
    return calls


def limit_myself(run: Run) -> None:
    """What the run may take. Python ignores SIGXFSZ: a write beyond is an error, as on a full disk."""
    import resource

    if run.room:
        resource.setrlimit(resource.RLIMIT_FSIZE, (run.room, run.room))
    if run.seconds:
        resource.setrlimit(resource.RLIMIT_CPU, (run.seconds, run.seconds + 5))


def through_a_pipe(file: int) -> tuple[int, int]:
    """The open end of a pipe to a process that writes all of it into ``file``, and that process."""
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(reading)
        os.close(file)
        return writing, pid
    for stream in (1, 2, writing):
        os.close(stream)
    while block := os.read(reading, 1 << 16):
        os.write(file, block)
    os._exit(0)


def child(run: Run, out: str, err: str, counted: str) -> None:
    """The forked process: its streams into files, the command, its end; never returns."""
    writers = []
    for stream, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        if run.room:  # what limits the run's files must not limit what it says
            file, writer = through_a_pipe(file)
            writers.append(writer)
        os.dup2(file, stream)
        os.close(file)
    from bdd_inst.cli.main import main

    code = 70
    try:
        limit_myself(run)
        calls = signal_myself(run) if run.signal or not (run.room or run.seconds) else [0]
        code = main(run.words)
        sys.setprofile(None)
        Path(counted).write_text(str(calls[0]))
    except SystemExit as end:  # a usage error
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        sys.setprofile(None)
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.close(1)
        os.close(2)
        for writer in writers:
            os.waitpid(writer, 0)
        os._exit(code or 0)


def one(run: Run) -> Ended:
    """Fork, wait, gather."""
    with tempfile.TemporaryDirectory() as folder:
        out, err, counted = (str(Path(folder, name)) for name in ("out", "err", "calls"))
        pid = os.fork()
        if not pid:
            child(run, out, err, counted)
        _, status, used = os.wait4(pid, 0)
        killed = os.WIFSIGNALED(status)
        code = 128 + os.WTERMSIG(status) if killed else os.WEXITSTATUS(status)
        calls = int(Path(counted).read_text()) if Path(counted).is_file() else 0
        texts = [Path(path).read_text(errors="replace") for path in (out, err)]
        # Kilobytes, on macOS bytes. A fork counts what it shares with its parent only as far as it touches it.
        unit = 1 << (20 if sys.platform == "darwin" else 10)
        return Ended(code, *texts, calls, killed, used.ru_maxrss / unit)


if __name__ == "__main__":
    import importlib

    import torch

    from bdd_inst.cli.main import VERBS

    torch.set_num_threads(1)
    asked = [Run(**run) for run in json.load(sys.stdin)]
    for verb in {run.words[0] for run in asked}:
        importlib.import_module(f"bdd_inst.cli.{VERBS[verb][0]}")
    # As a terminal's shell leaves them, whatever started the tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    done, whole = [], {}
    for run in asked:
        if run.share:
            run.at = max(1, round(run.share * whole[run.words[0]]))
        done.append(one(run))
        if not run.signal:
            whole[run.words[0]] = done[-1].calls
    print(json.dumps([asdict(end) for end in done]))
