"""How this program was started: as ``bdd-inst VERB``, ``python -m bdd_inst VERB`` or ``python tools/VERB.py``, and how to start it again."""

from __future__ import annotations

import sys
from pathlib import Path

COMMAND = "bdd-inst"
# verb -> the front in a checkout's tools/ where it has another name than the verb
FRONTS = {"train": "train_net", "check": "check_data", "make-masks": "make_masks"}


def by_script() -> bool:
    """True where a file such as ``tools/train_net.py`` was run, False for the installed command and ``python -m bdd_inst``."""
    script = Path(sys.argv[0])
    return script.suffix == ".py" and script.name != "__main__.py"


def called_as(verb: str) -> str:
    """What to type for a verb, the way this program was started: ``bdd-inst train`` or ``python tools/train_net.py``.

    Args:
        verb: of ``bdd-inst``, e.g. ``make-masks``.

    Returns:
        A command line without options, for messages and help texts.
    """
    front = FRONTS.get(verb, verb)
    if by_script() and Path(sys.argv[0]).stem == front:
        return f"python tools/{front}.py"
    return f"python -m bdd_inst {verb}" if _as_module() else f"{COMMAND} {verb}"


def start_words() -> list[str]:
    """The words, for a person, that start this program up to its options: ``["bdd-inst", "train"]``, ``["python", "tools/x.py"]``.

    The verb is the first word after ``bdd-inst``; a script has none.
    """
    if by_script():
        return [Path(sys.executable).name, sys.argv[0]]
    head = [Path(sys.executable).name, "-m", "bdd_inst"] if _as_module() else [COMMAND]
    return [*head, *sys.argv[1:2]]


def option_words() -> list[str]:
    """The words after those of :func:`start_words`."""
    return sys.argv[1:] if by_script() else sys.argv[2:]


def restart_words() -> list[str]:
    """The words that start this program in a new process, up to its options."""
    script = Path(sys.argv[0])
    if by_script():
        return [sys.executable, sys.argv[0]]
    if script.is_file() and script.suffix != ".exe" and not _as_module():
        return [sys.executable, sys.argv[0], *sys.argv[1:2]]
    # __main__.py run as a file would not find its package, and on Windows the command is no Python file.
    return [sys.executable, "-m", "bdd_inst", *sys.argv[1:2]]


def _as_module() -> bool:
    script = Path(sys.argv[0])
    return script.name == "__main__.py" and script.parent.name == "bdd_inst"
