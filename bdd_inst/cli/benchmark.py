"""The speed of each part, side by side with the peers that are installed.

Examples:
    bdd-inst benchmark                  every benchmark
    bdd-inst benchmark model masks      two of them
    bdd-inst benchmark live --people datasets/people    speed and masks of the live background, beside MediaPipe
    bdd-inst benchmark --list           what there is
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import warnings

from bdd_inst.cli import benchmarks
from bdd_inst.cli.common import guarded, make_parser


def available() -> list[str]:
    """Names of the benchmark modules in bdd_inst/cli/benchmarks (those with a ``run``)."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    return [name for name in names if not name.startswith("_") and name != "common"]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("benchmark", __doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"any of: {', '.join(available())} (default: all)"
    )
    parser.add_argument("--list", action="store_true", help="name the benchmarks and stop")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="smaller cases and fewer repetitions: minutes instead of tens of minutes",
    )
    parser.add_argument(
        "--repeat",
        type=int,
        default=5,
        help="timed repetitions, of which the median is shown (default 5)",
    )
    parser.add_argument(
        "--threads", type=int, default=0, help="torch threads (default: as many as cores)"
    )
    parser.add_argument(
        "--arch",
        choices=("maskrcnn", "cascade", "panoptic"),
        default="maskrcnn",
        help="model: which architecture is timed (maskrcnn)",
    )
    parser.add_argument(
        "--people",
        metavar="DIR",
        help="live: person images with masks below it (folders with images/ and masks/): IoU, flicker, lag",
    )
    parser.add_argument(
        "--weights", metavar="W", help="live: of another person model than the package's"
    )
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(available()))
    if unknown:
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(available())}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run each named benchmark, and print what it measures."""
    options = parse(arguments)
    return guarded(lambda: work(options))


def work(options: argparse.Namespace) -> int:
    """Each named benchmark in turn."""
    modules = {
        name: importlib.import_module(f"bdd_inst.cli.benchmarks.{name}")
        for name in options.names or available()
    }
    for name, module in modules.items():
        print(f"{name}: {module.DESCRIPTION}", flush=True)
        if not options.list:
            # What the peers warn of is theirs to mend, and ends no comparison.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module.run(options)
            print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
