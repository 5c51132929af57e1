"""A model's figures on data sets: the one way that the command, training and Python take."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from fvcore.common.config import CfgNode
from torch import nn
from tqdm import tqdm

from bdd_inst.base import distributed
from bdd_inst.base.errors import ProblemLog
from bdd_inst.data.loader import build_test_loader
from bdd_inst.data.loading import load_datasets
from bdd_inst.data.worker_errors import plain_worker_errors
from bdd_inst.datasets.own import folder_name
from bdd_inst.evaluation.build import ScoringOptions, build_evaluator
from bdd_inst.evaluation.evaluation_result import EvaluationResult
from bdd_inst.evaluation.evaluator import Evaluator
from bdd_inst.evaluation.protocols import PROTOCOLS
from bdd_inst.evaluation.sem_seg_evaluator import SemSegEvaluator
from bdd_inst.inference.dataset import predict_outputs
from bdd_inst.inference.label_maps import labels_of
from bdd_inst.structures import Instances

log = logging.getLogger(__name__)

# A prediction that is drawn: objects, class numbers H,W, or segment ids H,W and what they are.
Shown = Instances | np.ndarray | tuple[np.ndarray, list[dict]]


@dataclass
class TestSet:
    """One data set of DATASETS.TEST.

    Attributes:
        dicts: its standard dicts, checked.
        metadata: what the catalog knows of it.
        problems: what was skipped when it was read, and why.
    """

    __test__ = False  # not a test case, whatever its name looks like to pytest

    name: str
    dicts: Sequence[dict]
    metadata: dict
    problems: ProblemLog = field(default_factory=ProblemLog)


@dataclass
class TestResult:
    """A model's result on one data set.

    Attributes:
        metrics: the content of ``metrics.json``, the same on every process.
        outcome: all behind the figures; None on every process but the first.
        shown: dataset dict and prediction of the images to show, those that this process predicted: Instances, class numbers H,W, or
            segment ids H,W with what they are.
        folder: where its files lie; None where nothing was written.
        seconds: that predicting took on this process.
    """

    __test__ = False

    test: TestSet
    metrics: dict
    outcome: EvaluationResult | None
    shown: list[tuple[dict, Shown]]
    folder: Path | None = None
    seconds: float = 0.0


def load_test_sets(cfg: CfgNode) -> list[TestSet]:
    """Every data set of DATASETS.TEST, read and checked; none where the list is empty.

    Args:
        cfg: a whole config; its own label files must be registered (:func:`bdd_inst.datasets.own.prepare`).

    Returns:
        one a name, in order, each with what was skipped.

    Raises:
        ConfigError: an unknown TEST.PROTOCOL or data set, or a model with another number of classes.
        DataError: a data set that is not there or cannot be read.
    """
    PROTOCOLS.pick(cfg.TEST.PROTOCOL)
    return [TestSet(name, *load_datasets(cfg, [name], False)) for name in cfg.DATASETS.TEST]


def evaluate_model(
    model: nn.Module,
    cfg: CfgNode,
    test_sets: Sequence[TestSet],
    folder: Path | None = None,
    *,
    options: ScoringOptions | None = None,
    images_shown: int = 0,
) -> list[TestResult]:
    """Predict on data sets and score the predictions; every process takes its share and all get the same figures.

    The model and the global random state are left as they were.

    Args:
        model: of either engine, on its device: ``list[dict]`` in, ``[{"instances": ...}]`` or ``[{"sem_seg": ...}]`` out.
        cfg: its config.
        test_sets: by :func:`load_test_sets`.
        folder: where figures, curves and predictions go, in a folder each where there are several data sets; None writes nothing.
        options: how to score.
        images_shown: of how many images of each data set the predictions are kept, to be shown.

    Returns:
        one result a data set, in order.

    Raises:
        DataError: bad data, or predictions that are not finite. KeyboardInterrupt: the detections so far are in the folder.
    """
    options = options or ScoringOptions()
    results = []
    for test in test_sets:
        several = folder is not None and len(test_sets) > 1
        place = folder / folder_name(test.name) if several else folder
        evaluator = build_evaluator(
            cfg,
            test.name,
            dataset_dicts=test.dicts,
            metadata=test.metadata,
            output_dir=place,
            options=options,
        )
        start = time.perf_counter()
        shown = _predict(
            model, cfg, test=test, evaluator=evaluator, folder=place, images_shown=images_shown
        )
        seconds = time.perf_counter() - start
        with _kept_when_interrupted(evaluator, place):
            metrics = evaluator.evaluate()
        facts = {"shown": shown, "folder": place, "seconds": seconds}
        results.append(TestResult(test, metrics=metrics, outcome=evaluator.outcome, **facts))
        if options.label_threshold is None and "label_map" in metrics:
            # Chosen on the images it scores, a threshold flatters: later data sets take the first one's.
            chosen = metrics["label_map"]["threshold"]
            options = replace(options, label_threshold=chosen, threshold_source=test.name)
    return results


def _predict(
    model: nn.Module,
    cfg: CfgNode,
    test: TestSet,
    evaluator: Evaluator | SemSegEvaluator,
    folder: Path | None,
    images_shown: int,
) -> list[tuple[dict, Shown]]:
    """Feed the evaluator; dataset dict and prediction of the images to show."""
    rank, world_size = distributed.world()
    loader = build_test_loader(cfg, test.dicts, rank=rank, world_size=world_size)
    wanted = images_to_show(test.dicts, images_shown)
    kept = []
    # Starting data workers draws from the global generator, which training must find as it was.
    with (
        torch.random.fork_rng(devices=[]),
        plain_worker_errors(),
        _kept_when_interrupted(evaluator, folder),
    ):
        for given, output in _progress(predict_outputs(model, loader), loader, test.name):
            evaluator.process([given], [output])
            if given["image_id"] in wanted:
                kept.append((wanted[given["image_id"]], _to_show(output)))
    return kept


def _to_show(output: dict) -> Shown:
    """What of a model's output is drawn."""
    if "panoptic_seg" in output:
        ids, segments = output["panoptic_seg"]
        return np.asarray(ids.cpu()), segments
    if "instances" in output:
        return output["instances"]
    # Class numbers, not logits: those of a dozen large images fill a gigabyte.
    return labels_of(output["sem_seg"])[0]


@contextlib.contextmanager
def _kept_when_interrupted(
    evaluator: Evaluator | SemSegEvaluator, folder: Path | None
) -> Iterator[None]:
    """Ctrl-C leaves the detections so far as a file; figures of a part would be read as those of the whole."""
    try:
        yield
    except KeyboardInterrupt:
        if folder is not None and getattr(evaluator, "parts", None) and distributed.world()[0] == 0:
            file = evaluator.write_partial(folder)
            log.warning("%s holds the %d images so far", file, len(evaluator.parts))
        raise


def _progress(items: Iterable, loader: torch.utils.data.DataLoader, name: str) -> Iterable:
    """A bar over images on the first process' terminal."""
    first = distributed.world()[0] == 0
    return tqdm(
        items,
        total=len(loader.dataset),
        desc=f"evaluating {name}",
        unit="img",
        leave=False,
        dynamic_ncols=True,
        disable=None if first else True,
    )


def images_to_show(dicts: Sequence[dict], number: int) -> dict[object, dict]:
    """Dataset dicts by image id: ``number`` evenly spread over the data set, of those with objects where there are any.

    Args:
        dicts: a data set's standard dicts.
        number: of images; 0 gives none.

    Returns:
        image id to dict.
    """
    candidates = [item for item in dicts if item.get("annotations")] or list(dicts)
    step = max(1, len(candidates) // number) if number > 0 else 0
    return {item["image_id"]: item for item in candidates[::step][:number]} if step else {}
