"""``--sweep KEY=V1,V2 ...``: one run for every combination of values, then one table. The key CONFIG takes config files."""

from __future__ import annotations

import csv
import datetime
import itertools
import json
import logging
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.training.provenance import read_run
from bdd_inst.training.signals import passing_on

log = logging.getLogger(__name__)

FIGURES = ("bbox/AP", "segm/AP", "segm/AP50", "segm/AP75")
PIXEL_FIGURES = (
    "sem_seg/mIoU",
    "sem_seg/Dice",
    "sem_seg/pACC",
)  # of every data set that was evaluated
CONFIG = "CONFIG"  # the key whose values are config files


@dataclass
class Trial:
    """One combination: config keys to values as written, and the folder of its run."""

    values: dict[str, str]
    folder: Path

    @property
    def overrides(self) -> list[str]:
        """As on a command line."""
        return [
            word for key, value in self.values.items() if key != CONFIG for word in (key, value)
        ]

    def config(self, default: str) -> str:
        """The config file of this run."""
        return self.values.get(CONFIG, default)

    @property
    def facts(self) -> dict:
        """What run.json says of the finished run; empty where it has not finished."""
        facts = read_run(self.folder)
        return facts if "finished" in facts else {}

    @property
    def results(self) -> dict:
        """Flat figures of the finished run; empty where it has not finished."""
        return self.facts.get("results", {})


def parse_sweep(specs: Sequence[str]) -> dict[str, list[str]]:
    """``["A=1,2", "B=[3,4],[5]"]`` to keys and their values as text; commas within brackets do not separate.

    Args:
        specs: the words behind ``--sweep``.

    Returns:
        key to its values, in the order given.

    Raises:
        ConfigError: a spec without values, or a key given twice.
    """
    axes: dict[str, list[str]] = {}
    for spec in specs:
        key, _, text = spec.partition("=")
        values = split_values(text)
        if not key or not values:
            raise ConfigError(
                f"--sweep {spec}: expected KEY=VALUE,VALUE,... such as SOLVER.BASE_LR=0.01,0.02"
            )
        if key in axes:
            raise ConfigError(f"--sweep: {key} is given twice; write all its values behind one =")
        axes[key] = values
    return axes


def split_values(text: str) -> list[str]:
    """Split at commas outside brackets and quotes; a tuple in parentheses is one value."""
    values, depth, quote, current = [], 0, "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        if letter == "," and depth == 0 and not quote:
            values.append(current)
            current = ""
        else:
            current += letter
    return [value.strip() for value in [*values, current] if value.strip()]


def plan(axes: dict[str, list[str]], folder: Path) -> list[Trial]:
    """Every combination, each with a folder named by its values.

    Args:
        axes: key to values.
        folder: above those of the runs.

    Returns:
        one run a combination, the last key changing fastest.
    """
    trials = []
    for number, combination in enumerate(itertools.product(*axes.values())):
        values = dict(zip(axes, combination, strict=True))
        words = "_".join(f"{key.rsplit('.', 1)[-1]}={value}" for key, value in values.items())
        safe = "".join(
            letter if letter.isalnum() or letter in "=._-+" else "-" for letter in words
        )[:100]
        trials.append(Trial(values, folder / f"{number:02d}_{safe}"))
    return trials


def sweep(trials: Sequence[Trial], folder: Path, command: Callable[[Trial], list[str]]) -> str:
    """Run the trials that have not finished, one after the other, each in a process of its own.

    A trial that fails is reported and the others go on; run the same sweep again to take up what is missing. A stop signal goes to the
    trial that runs, which saves, and no other is started.

    Args:
        trials: from ``plan``.
        folder: where the table goes.
        command: the command line of one trial.

    Returns:
        The table of all trials in Markdown, the best in bold; where a signal has stopped it, how to go on.

    Raises:
        DataError: every trial failed.
    """
    failed: dict[int, str] = {}
    for i, trial in enumerate(trials):
        if trial.results:
            log.info("sweep %d/%d: %s is there already", i + 1, len(trials), trial.folder.name)
            continue
        asked = (word for pair in trial.values.items() for word in pair)
        log.info("sweep %d/%d: %s", i + 1, len(trials), " ".join(asked))
        # A process of its own: a trial that runs out of memory, or is killed, takes no other with it.
        process = subprocess.Popen(
            command(trial), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        with passing_on([process]) as stop:
            _, errors = process.communicate()
        if stop and not trial.results:
            words = (
                f"stopped by {stop.name} in {trial.folder.name}, which has saved where it stands"
            )
            return f"{words}\nto go on: the same command with --output {folder}"
        if process.returncode or not trial.results:
            lines = [line for line in errors.splitlines() if line.strip()]
            failed[i] = lines[-1] if lines else f"exit code {process.returncode}"
            log.error("sweep %d/%d failed: %s", i + 1, len(trials), failed[i])
    if len(failed) == len(trials):
        raise DataError(f"--sweep: every run failed; the last said: {failed[len(trials) - 1]}")
    write_csv(trials, folder / "sweep.csv")
    table = render(trials, failed)
    with atomic_write(folder / "sweep.md") as stream:
        stream.write(table + "\n")
    return f"{table}\n\ntable in {folder / 'sweep.md'}"


def render(trials: Sequence[Trial], failed: dict[int, str]) -> str:
    """A Markdown table, a row a trial, the best mask AP (or mean IoU) in bold."""
    keys, shown = list(trials[0].values), figures_of(trials)
    judged = next((name for name in shown if name in ("segm/AP", "sem_seg/mIoU")), None)
    scores = [trial.results.get(judged) for trial in trials]
    best = max((score for score in scores if score is not None), default=None)
    costs = [cost(trial) for trial in trials]
    rows = [
        [*keys, *shown, *costs[0], "run"],
        ["---"] * (len(keys) + len(shown) + len(costs[0]) + 1),
    ]
    for i, trial in enumerate(trials):
        figures = [
            cell(trial.results.get(name), name == judged and scores[i] == best) for name in shown
        ]
        name = f"failed: {failed[i]}" if i in failed else trial.folder.name
        rows.append([*trial.values.values(), *figures, *costs[i].values(), name])
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join(
        "| " + " | ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )


def figures_of(trials: Sequence[Trial]) -> list[str]:
    """The figures of a table: those of objects that there are, else those of pixels, on each data set in turn."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.results))
    objects = [name for name in FIGURES if name in names]
    return objects or [
        name for name in names if name.endswith(PIXEL_FIGURES) and not name.startswith("ema/")
    ]


def cost(trial: Trial) -> dict[str, str]:
    """Minutes from start to end, million parameters, milliseconds an image."""
    facts = trial.facts
    started, finished = facts.get("started"), facts.get("finished")
    minutes = None
    if started and finished:
        start, end = map(datetime.datetime.fromisoformat, (started, finished))
        minutes = (end - start).total_seconds() / 60
    values = {
        "minutes": minutes,
        "M parameters": facts["parameters"] / 1e6 if "parameters" in facts else None,
        "ms an image": facts.get("milliseconds"),
    }
    return {name: "-" if value is None else f"{value:.1f}" for name, value in values.items()}


def cell(value: float | None, best: bool) -> str:
    """A figure with one decimal more than tables of AP usually have: sweeps compare close runs."""
    text = "-" if value is None else f"{value:.2f}"
    return f"**{text}**" if best and value is not None else text


def write_csv(trials: Sequence[Trial], path: Path) -> None:
    """Every figure of every trial."""
    names = sorted({name for trial in trials for name in trial.results})
    with atomic_write(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*trials[0].values, *names, "run"])
        for trial in trials:
            figures = [trial.results.get(name) for name in names]
            writer.writerow(
                [
                    *trial.values.values(),
                    *("" if v is None else json.dumps(v) for v in figures),
                    trial.folder.name,
                ]
            )
