"""The installed command: ``bdd-inst VERB ...``, each verb the tool of that name."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from importlib import metadata

# Idle threads that spin slow small operations down; read when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# verb -> (module of this package with ``main(arguments)``, what it does)
VERBS = {
    "train": ("train", "train every stage of a config, evaluate, report"),
    "evaluate": ("evaluate", "score a results file or a model: AP tables, PR curves, report"),
    "predict": (
        "predict",
        "a model on images and videos: overlays, predictions.json or label maps",
    ),
    "visualize": ("visualize", "images of labels, predictions, both side by side"),
    "convert": ("convert", "any label format into any other"),
    "check": ("check", "every problem of a data set by code, file and instance"),
    "make-masks": ("make_masks", "one mask PNG an image for chosen categories"),
    "live": ("live", "blur or replace the background of a camera, a video, images"),
    "benchmark": ("benchmark", "the speed of each part beside the peers that are installed"),
    "demo": ("train", "render street scenes, train on them on the CPU in minutes, evaluate"),
}
# verb -> words that stand before the user's own; where both set a thing, the user's word counts
FIXED = {"demo": ["--config", "demo.yaml", "--output", "output/demo", "--resume"]}


def usage() -> str:
    """What ``bdd-inst --help`` prints."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {text}" for verb, (_, text) in VERBS.items()]
    return "\n".join(
        [
            "usage: bdd-inst VERB [options]",
            "",
            *lines,
            "",
            "bdd-inst VERB --help tells the options of each, with examples.",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Run one verb.

    Args:
        arguments: the words after ``bdd-inst``; None takes them from the command line.

    Returns:
        the exit code: 0, 1 for bad data, 2 for a usage error, 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else 2
    if words[0] == "--version":
        print(f"bdd-inst {metadata.version('bdd_inst')}")
        return 0
    verb = words[0]
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(VERBS)}"
        print(f"bdd-inst: no verb {verb!r}; {hint}", file=sys.stderr)
        return 2
    try:
        module = importlib.import_module(f"bdd_inst.cli.{VERBS[verb][0]}")
        return module.main([*FIXED.get(verb, ()), *words[1:]])
    except KeyboardInterrupt:  # before the verb's own work: importing takes seconds
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
