"""Train every stage of a config, evaluate, and leave a folder with weights, figures and images.

Examples:
    bdd-inst train --config demo.yaml
    bdd-inst train --config bdd_maskrcnn.yaml --num-gpus 8 SOLVER.IMS_PER_BATCH 16
    bdd-inst train --config bdd_maskrcnn.yaml --output output/bdd --resume
    bdd-inst train --config demo.yaml --eval-only MODEL.WEIGHTS output/demo/model_final.pth
    bdd-inst train --config demo.yaml --train labels/train.json --train-images images --val labels/val.json
    bdd-inst train --config demo.yaml --sweep SOLVER.BASE_LR=0.005,0.01,0.02
"""

from __future__ import annotations

import argparse
import logging
import os
import sys

os.environ.setdefault(
    "OMP_WAIT_POLICY", "passive"
)  # idle threads that spin slow small operations down; read when torch loads


def build_parser() -> argparse.ArgumentParser:
    """Every option of the command."""
    from bdd_inst.cli.common import make_parser

    parser = make_parser("train", __doc__)
    parser.add_argument(
        "--config",
        "--config-file",
        required=True,
        help="a YAML file, or the name of one in configs/",
    )
    parser.add_argument(
        "--num-gpus",
        type=int,
        default=1,
        metavar="N",
        help="processes on this machine, one a GPU (or sharing the CPU)",
    )
    parser.add_argument("--num-machines", type=int, default=1, metavar="M", help="machines in all")
    parser.add_argument(
        "--machine-rank", type=int, default=0, metavar="R", help="number of this machine, from 0"
    )
    parser.add_argument(
        "--dist-url", default="auto", metavar="U", help="tcp://HOST:PORT of the first machine"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the last checkpoint of --output (or of the newest run of the config)",
    )
    parser.add_argument(
        "--eval-only",
        action="store_true",
        help="evaluate MODEL.WEIGHTS on DATASETS.TEST, train nothing",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="the run's folder; a new one named by the time under OUTPUT_DIR when absent",
    )
    parser.add_argument(
        "--lr-find",
        action="store_true",
        help="measure the loss over rising learning rates, propose one, train nothing",
    )
    parser.add_argument(
        "--sweep",
        nargs="+",
        metavar="KEY=V1,V2",
        help="one run for every combination of values, then one table",
    )
    add_data_options(parser)
    parser.add_argument("overrides", nargs="*", metavar="KEY VALUE", help="config keys and values")
    return parser


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """The user's own labels, in place of the config's data sets."""
    from bdd_inst.cli.common import add_import_option

    for name, what in (("train", "train on"), ("val", "evaluate on")):
        parser.add_argument(
            f"--{name}",
            action="append",
            metavar="LABELS",
            help=f"{what} this label file or folder, of any format; may be repeated",
        )
        parser.add_argument(
            f"--{name}-images",
            action="append",
            metavar="DIR",
            help=f"the folder of the images of --{name}, where they do not lie beside the labels",
        )
    add_import_option(parser)


def data_words(options: argparse.Namespace) -> list[str]:
    """``--train``, ``--val`` and their folders as config words. Labels to train on alone leave nothing of the config's to evaluate on."""
    words = []
    if options.train or options.val:
        words += ["DATASETS.TEST", repr(options.val or [])]
    if options.train:
        words += ["DATASETS.TRAIN", repr(options.train), "DATASETS.CLASSES", "[]"]
        words += ["DATASETS.STUFF_CLASSES", "[]"]
    for key, folders in (("TRAIN", options.train_images), ("TEST", options.val_images)):
        if folders:
            words += [f"DATASETS.{key}_IMAGES", repr(folders)]
    return words


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    from bdd_inst.cli.common import import_words

    parser = build_parser()
    options = parser.parse_intermixed_args(arguments)
    split_sweep(options)
    options.overrides = [*import_words(options), *data_words(options), *options.overrides]
    if (options.train_images and not options.train) or (options.val_images and not options.val):
        parser.error("--train-images goes with --train, --val-images with --val")
    if options.num_gpus < 1 or not 0 <= options.machine_rank < options.num_machines:
        parser.error(
            "--num-gpus and --num-machines are 1 or more, --machine-rank is from 0 to one less than --num-machines"
        )
    if options.eval_only and (options.sweep or options.lr_find):
        parser.error(
            "--eval-only trains nothing, and --sweep and --lr-find train: give one of them"
        )
    return options


def split_sweep(options: argparse.Namespace) -> None:
    """``--sweep A=1,2 B 3``: words without ``=`` after the sweep are overrides."""
    if options.sweep:
        words, options.sweep = options.sweep, []
        while words and "=" in words[0]:
            options.sweep.append(words.pop(0))
        options.overrides = words + options.overrides


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, say where the result is. 0 on success, 1 on bad data, 2 on a usage error."""
    status = exit_status(arguments)
    if status:
        leave_group(status)
    return status


def leave_group(status: int) -> None:
    """End a process of several at once: the threads of a group that an error has left alive would abort the interpreter's own end."""
    if "torch" not in sys.modules:  # it went wrong before there was any
        return
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def exit_status(arguments: list[str] | None) -> int:
    """The exit status; what is wrong is said in one line."""
    logging.captureWarnings(True)
    options = parse_args(arguments)
    from bdd_inst.cli.common import escape_streams, exit_code
    from bdd_inst.training.console import quiet_libraries, show_log

    quiet_libraries()
    escape_streams()
    show_log()
    return exit_code(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Do what the options ask for."""
    from bdd_inst.config.loading import load_cfg
    from bdd_inst.training import launch

    cfg = load_cfg(options.config, options.overrides)
    if options.sweep:
        return run_sweep(options)
    launch_config = launch.find_launch_config(options.num_gpus, options.num_machines)
    if launch_config.started_by == "none":
        return launch.start_processes(launch_config, options.machine_rank, options.dist_url)

    if options.lr_find:
        from bdd_inst.training.tune.tuning import find_learning_rate

        print(find_learning_rate(cfg, options.output, launch_config))
        return 0
    from bdd_inst.training import train as training

    outcome = training.train(
        cfg,
        options.output,
        resume=options.resume,
        eval_only=options.eval_only,
        launch_config=launch_config,
    )
    if outcome.rank == 0:
        print(outcome.text)
    return 0


def run_sweep(options: argparse.Namespace) -> int:
    """One run for every combination; each value is tried on the config before the first run starts."""
    from bdd_inst.base.program import restart_words
    from bdd_inst.config.loading import load_cfg
    from bdd_inst.training.output import choose_folder
    from bdd_inst.training.tune.sweep import parse_sweep, plan, sweep

    cfg = load_cfg(options.config, options.overrides)
    trials = plan(
        parse_sweep(options.sweep),
        choose_folder(options.output, cfg.OUTPUT_DIR, resume=False, training=False),
    )
    for trial in trials:
        load_cfg(trial.config(options.config), [*options.overrides, *trial.overrides])
    folder = trials[0].folder.parent
    words = [*restart_words(), "--num-gpus", str(options.num_gpus), "--resume"]
    print(
        sweep(
            trials,
            folder,
            lambda trial: [
                *words,
                "--config",
                trial.config(options.config),
                "--output",
                str(trial.folder),
                *options.overrides,
                *trial.overrides,
            ],
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
