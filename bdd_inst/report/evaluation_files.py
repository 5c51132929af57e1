"""What an evaluation leaves beside its figures: tables for a paper, images, ``report.html``; the same for files and for models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fvcore.common.config import CfgNode

from bdd_inst.base import distributed
from bdd_inst.evaluation.compare import Difference
from bdd_inst.evaluation.evaluate_model import TestResult, images_to_show
from bdd_inst.evaluation.evaluation_result import EvaluationResult
from bdd_inst.evaluation.outputs import write_metrics
from bdd_inst.report.html import write_report
from bdd_inst.report.paper import write_paper_tables
from bdd_inst.report.side_by_side import image_names, write_side_by_side

# Two runs' figures: their differences, both names, and the kind compared (``bbox`` or ``segm``).
Comparison = tuple[Sequence[Difference], str, str, str]


def write_result_files(
    outcome: EvaluationResult,
    folder: Path,
    title: str,
    *,
    images: str | Path | None = None,
    run_folder: str | Path | None = None,
    comparison: Comparison | None = None,
    report: bool = True,
    drawn: Sequence[Path] = (),
) -> Path | None:
    """Tables for a paper and, with ``report``, ``analysis.json`` and the page.

    Args:
        outcome: of an evaluation.
        folder: where ``metrics.json`` lies already.
        title: of the page.
        images: the folder of images, where the ground truth's file names are no paths.
        run_folder: the training run's folder, for its curves, config and provenance.
        drawn: images to show as they are.
        comparison: with another run, shown on the page.
        report: whether there is to be a page.

    Returns:
        the page's path, None without one.
    """
    write_paper_tables(outcome.metrics, folder)
    if not report:
        return None
    return write_report(
        outcome,
        folder,
        title=title,
        images=images,
        run_folder=run_folder,
        comparison=comparison,
        drawn=drawn,
    )


def write_test_files(
    result: TestResult,
    cfg: CfgNode,
    source: str,
    *,
    run_folder: str | Path | None = None,
    comparison: Comparison | None = None,
    report: bool = True,
) -> Path | None:
    """A model's result on one data set: as :func:`write_result_files`, and its images. Every process draws those it has predicted.

    Args:
        result: with a folder.
        cfg: the model's config.
        source: the weights, as the page calls them.
        run_folder: the training run's; None looks for it around the weights, then around the result's folder.
        comparison, report: as :func:`write_result_files` takes them.

    Returns:
        the page's path, None without one and on every process but the first.
    """
    drawn = []
    if report:
        folder = result.folder / "pictures"
        names = image_names(images_to_show(result.test.dicts, cfg.TEST.PICTURES).values())
        ignore = cfg.MODEL.SEM_SEG_HEAD.IGNORE_VALUE
        write_side_by_side(
            result.shown, result.test.metadata, folder=folder, names=names, ignore=ignore
        )
        if {
            "sem_seg",
            "panoptic_seg",
        } & result.metrics.keys():  # objects have a gallery of their own
            drawn = [folder / f"{name}.png" for name in names.values()]
    if result.outcome is None:
        return None
    result.outcome.results.source = source
    return write_result_files(
        result.outcome,
        result.folder,
        f"{Path(source).name} on {result.test.name}",
        run_folder=run_folder or find_run_folder(Path(source).parent, result.folder),
        comparison=comparison,
        report=report,
        drawn=drawn,
    )


def write_metrics_of_sets(results: Sequence[TestResult], folder: Path) -> None:
    """Where there are several data sets: ``metrics.json`` of the first, and of all under ``datasets``, on the first process.

    Args:
        results: of every data set, in order.
        folder: above theirs.
    """
    if len(results) > 1 and distributed.world()[0] == 0:
        metrics = {result.test.name: result.metrics for result in results}
        write_metrics(results[0].metrics | {"datasets": metrics}, folder)


def find_run_folder(*places: Path) -> Path | None:
    """The folder of the training run that weights or figures lie in: the first that has its log, two levels up at most."""
    for place in places:
        for folder in (place, *list(Path(os.path.realpath(place)).parents)[:2]):
            if (folder / "training.csv").is_file():
                return folder
    return None
