"""What the tools share: errors as one readable line and an exit code, problem counts, a progress bar that stays out of logs."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from bdd_inst.base.environment import check_environment
from bdd_inst.base.errors import ConfigError, DataError, ProblemLog, printable
from bdd_inst.base.program import COMMAND, called_as
from bdd_inst.base.signal_handlers import handled

if TYPE_CHECKING:
    from fvcore.common.config import CfgNode


def make_parser(verb: str, text: str) -> argparse.ArgumentParser:
    """A verb's parser: its name and its examples read as the user has called it.

    Args:
        verb: the word after ``bdd-inst``.
        text: the module's docstring, its examples written ``bdd-inst VERB ...``.
    """
    program = called_as(verb)
    return argparse.ArgumentParser(
        prog=program,
        description=text.replace(f"{COMMAND} {verb}", program),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """``--config`` and ``--weights``, from which :func:`config_of` makes a config."""
    parser.add_argument(
        "--config",
        "--config-file",
        metavar="YAML",
        help="a config file, or the name of one in configs/; weights of this project need none",
    )
    parser.add_argument(
        "--weights",
        type=path,
        metavar="FILE",
        help="a trained model, e.g. output/demo/model_final.pth (as MODEL.WEIGHTS FILE)",
    )
    add_import_option(parser)


def config_of(options: argparse.Namespace) -> CfgNode:
    """The config of ``--config`` and ``--weights``, with the overrides: the weights' own where no config is named.

    Raises:
        ConfigError, DataError: neither is given, or what is given cannot be used.
    """
    from bdd_inst.config.loading import load_cfg
    from bdd_inst.datasets.own import prepare
    from bdd_inst.weights.trained import trained_cfg

    overrides = [*import_words(options), *options.overrides]
    if options.config:
        named = ["MODEL.WEIGHTS", options.weights] if options.weights else []
        cfg = load_cfg(options.config, [*named, *overrides])
    elif options.weights:
        cfg = trained_cfg(options.weights, overrides)
    else:
        raise ConfigError("name the model: --weights model_final.pth, or --config C")
    prepare(cfg)
    return cfg


def add_import_option(parser: argparse.ArgumentParser) -> None:
    """``--import``: the user's own modules."""
    parser.add_argument(
        "--import",
        action="append",
        dest="imports",
        metavar="MODULE",
        help="a module of yours to import first: it registers data sets, formats, backbones and the like; may be repeated",
    )


def import_words(options: argparse.Namespace) -> list[str]:
    """``--import`` as config words."""
    return ["DATASETS.IMPORTS", repr(list(options.imports))] if options.imports else []


def import_own(options: argparse.Namespace) -> None:
    """Import the modules that ``--import`` names.

    Raises:
        ConfigError: one that cannot be found or imported.
    """
    if options.imports:
        from bdd_inst.datasets.own import import_modules

        import_modules(options.imports)


def guarded(work: Callable[[], int]) -> int:
    """Run a tool's work. Bad data and files that cannot be read or written: one line on stderr and 1; interrupted: 130, by SIGTERM 143.

    Libraries' warnings speak to programmers and stay unsaid, unless Python was started with ``-W``.
    """
    escape_streams()
    try:
        with warnings.catch_warnings(), terminated():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            return exit_code(work)
    except Terminated:
        print("terminated", file=sys.stderr)
        return 143


def exit_code(work: Callable[[], int]) -> int:
    """What work returns; where bad data or files that cannot be read or written end it, 1 after one line on stderr; interrupted, 130.

    Args:
        work: what a verb does, its command line parsed.

    Returns:
        The program's exit status.

    Raises:
        Terminated: SIGTERM came.
    """
    try:
        check_environment()
        return work()
    except DataError as error:
        return _fail(str(error))
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; there is nobody left to tell
        return 1
    except OSError as error:
        return _fail(os_error_line(error))
    except Terminated:
        raise
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def escape_streams() -> None:
    """A file's name may hold what the terminal's coding cannot say: from here on it is printed as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class Terminated(KeyboardInterrupt):
    """SIGTERM came: files are finished as after Ctrl-C."""


@contextlib.contextmanager
def terminated() -> Iterator[None]:
    """While open, SIGTERM raises Terminated; outside the main thread, which alone may set handlers, nothing changes."""
    owner = os.getpid()

    def end(*_: object) -> None:
        if os.getpid() != owner:  # a worker process that has inherited the handler
            os._exit(143)
        raise Terminated

    with handled({signal.SIGTERM: end}):
        yield


@contextlib.contextmanager
def ending(stop: threading.Event) -> Iterator[None]:
    """While open, the first Ctrl-C or SIGTERM sets ``stop``, so that endless work ends by itself, and is raised when it has; a second one
    interrupts. Outside the main thread nothing changes."""
    came: list[type[KeyboardInterrupt]] = []
    kinds = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}

    def end(number: int, *_: object) -> None:
        if came:
            raise kinds[number]
        came.append(kinds[number])
        stop.set()

    with handled(dict.fromkeys(kinds, end)):
        yield
    if came:
        raise came[0]


def os_error_line(error: OSError) -> str:
    """What the system refused, as one line: the file and the reason."""
    name = (
        error.filename2 or error.filename
    )  # of a file that is renamed into place, the one that was asked for
    name = os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) else name
    return printable((f"{name}: " if name else "") + (error.strerror or str(error)))


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1


def show_problems(problems: ProblemLog, title: str, examples: int = 3) -> None:
    """What was skipped, counted by reason with the first cases, on stderr; nothing where there is nothing."""
    if problems:
        print(title, file=sys.stderr)
        for line in problems.lines(examples):
            print(f"  {line}", file=sys.stderr)


def progress(items: Iterable, total: int | None, unit: str) -> Iterable:
    """The items behind a progress bar on a terminal, bare elsewhere."""
    from tqdm import tqdm

    return tqdm(items, total=total, unit=f" {unit}", disable=None, dynamic_ncols=True)


def add_values(parser: argparse.ArgumentParser) -> None:
    """``--values``: what the values of label maps mean, as ``{value: name}``."""
    parser.add_argument(
        "--values",
        type=values,
        metavar="1=NAME,...",
        help="what the values of label maps mean, where their names do not say it; or a file of lines such as '1 road'",
    )


def values(text: str) -> dict[int, str]:
    """An argparse type: ``1=road,2=car``, or a file of it."""
    from bdd_inst.formats.value_names import parse_values

    try:
        return parse_values(text)
    except DataError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_kind(parser: argparse.ArgumentParser) -> None:
    """``--kind``: the label format of what is read."""
    parser.add_argument(
        "--kind",
        metavar="KIND",
        help="the format of the input's labels, where that cannot be told from their content",
    )


def add_raster(parser: argparse.ArgumentParser) -> None:
    """``--raster``: the rule that draws outlines."""
    from bdd_inst.masks.rasterize import RULES

    parser.add_argument(
        "--raster",
        choices=RULES,
        help="how outlines become masks (default: the source's own rule)",
    )


def add_processes(parser: argparse.ArgumentParser) -> None:
    """``--workers`` of a tool that works in processes."""
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: as many as cores)"
    )


def add_drawing(parser: argparse.ArgumentParser, workers: int) -> None:
    """``--color-by``, and ``--workers`` of a tool that draws in threads, at most ``workers`` unless it is told."""
    parser.add_argument(
        "--color-by",
        choices=("class", "instance"),
        default="class",
        help="one color a class, or one an object",
    )
    parser.add_argument(
        "--workers",
        type=number(1, 64),
        default=min(workers, os.cpu_count() or 1),
        metavar="N",
        help="threads that draw",
    )


def number(low: float, high: float, kind: type = int) -> Callable[[str], float]:
    """An argparse type: a number from ``low`` to ``high``, both allowed."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    return parse


def path(text: str) -> str:
    """An argparse type: a path that is not empty (an empty one would mean the working folder)."""
    if not text:
        raise argparse.ArgumentTypeError("is empty")
    return text
