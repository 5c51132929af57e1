"""Wrong inputs at every door: each is done or refused in one line, in bounded time and memory, whatever is wrong with it.

A case that fails is saved by its error message; put the file into ``corpus/DOOR/`` with the mended bug, and it is tried for good.
"""

from __future__ import annotations

import contextlib
import json
import random
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bdd_inst.base.errors import DataError
from tests.fuzz.doors import DOORS

CORPUS = Path(__file__).with_name("corpus")
CASES, MANY = 300, 10_000
CPU_SECONDS = 60  # of one input, on any machine: what hangs takes for ever
MEMORY = 1 << 20  # kilobytes that all inputs of a door together may add to the peak


class Hang(BaseException):
    """An input took too long."""


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Raises Hang after CPU_SECONDS of this process' own time, so that a busy machine makes no difference."""

    def stop(*_: object) -> None:
        raise Hang

    if sys.platform == "win32":
        yield
        return
    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def tried(door, file: Path) -> str:
    """Give a file to a door: "" where it was done, else the refusal; anything but a readable line is an error that shows the file."""
    try:
        with watched():
            door.enter(file)
    except DataError as error:
        said = str(error)
        assert said.strip(), file.read_bytes()
        assert "\n" not in said, said
        assert len(said) < 2000, said
        return said
    return ""


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def fuzz(name: str, number: int, folder: Path, seed: str) -> tuple[int, int]:
    """How many of ``number`` wrong inputs a door took, and how many it refused."""
    door, rng, refused = DOORS[name](), random.Random(f"{seed} {name}"), 0
    before = peak()
    for case in range(number):
        place = folder / str(case)
        place.mkdir()
        file = door.make(place, rng)
        try:
            refused += bool(tried(door, file))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            content = file.read_bytes()[:3000]
            raise AssertionError(f"{name}, case {case}: {error!r} by {content!r}") from error
    assert peak() - before < MEMORY
    return number - refused, refused


@pytest.mark.parametrize("name", DOORS)
def test_wrong_inputs_are_done_or_refused_in_one_line(name, tmp_path):
    share = -(-CASES // len(DOORS))
    done, refused = fuzz(name, share, tmp_path, "every run the same")
    assert done + refused == share


@pytest.mark.slow
@pytest.mark.parametrize("name", DOORS)
def test_many_wrong_inputs(name, tmp_path):
    share = -(-MANY // len(DOORS))
    done, refused = fuzz(name, share, tmp_path, "many")
    print(f"{name}: {share} inputs, {done} done, {refused} refused")
    assert done + refused == share


@pytest.mark.parametrize(
    "file", sorted(CORPUS.rglob("*.*")), ids=lambda file: file.relative_to(CORPUS).as_posix()
)
def test_what_was_once_a_bug_is_none_any_more(file, tmp_path):
    door = DOORS[file.parent.name]()
    copy = tmp_path / f"input{door.ending}"
    copy.write_bytes(file.read_bytes())
    tried(door, copy)


@pytest.mark.parametrize("name", DOORS)
def test_right_inputs_are_taken(name, tmp_path):
    """Else a door would only ever show that it is shut."""
    door = DOORS[name]()
    if isinstance(door.seeds[0], bytes):
        data = door.seeds[0]
    elif isinstance(door.seeds[0], str):
        data = door.seeds[0].encode()
    elif name == "overrides":
        data = b"SOLVER.BASE_LR\n\n1=car"
    else:
        data = json.dumps(door.seeds[0]).encode()
    file = tmp_path / f"input{door.ending}"
    file.write_bytes(data)
    assert tried(door, file) == ""
