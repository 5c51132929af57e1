"""Files of labels and predictions to figures: every kind on either side, told by content."""

from __future__ import annotations

from pathlib import Path

from bdd_inst import formats
from bdd_inst.errors import DataError
from bdd_inst.evaluation import coco_files, label_sets, results_file, score_files
from bdd_inst.evaluation.ground_truth import GroundTruth
from bdd_inst.evaluation.protocols import Outcome, score
from bdd_inst.evaluation.results import Results


def evaluate_files(
    ground_truth: str | Path,
    predictions: str | Path,
    protocol: str = "coco",
    output_dir: str | Path | None = None,
    images: str | Path | None = None,
    **options: object,
) -> dict:
    """Score a file (or folder) of predictions against one of labels; returns the content of ``metrics.json``.

    Args:
        ground_truth: COCO JSON, Scalabel JSON, a bitmask folder, or any other label format that ``formats`` reads.
        predictions: COCO results JSON, Scalabel JSON with scores, or a bitmask folder.
        protocol: ``coco``, ``bdd`` or ``both``.
        output_dir: where ``metrics.json`` and the PR curves go; None writes nothing.
        images: the folder of pictures, where labels do not say their sizes.
        options: see :func:`outcome_of_files`.
    """
    outcome = outcome_of_files(ground_truth, predictions, protocol, images, **options)
    if output_dir is not None:
        outcome.write(output_dir)
    return outcome.metrics


def outcome_of_files(
    ground_truth: str | Path,
    predictions: str | Path,
    protocol: str = "coco",
    images: str | Path | None = None,
    *,
    scores: str | Path | None = None,
    max_detections: int = 100,
) -> Outcome:
    """As :func:`evaluate_files`, with everything behind the figures.

    Args:
        scores: a file of scores for predicted bitmasks; by default the JSON in that folder, or of the folder's name beside it.
        max_detections: detections a picture and class that count, 100 in every published figure.
    """
    truth = read_truth(ground_truth, images)
    results = read_predictions(predictions, truth, images, scores)
    return score(truth, results, protocol, max_detections=max_detections)


def read_truth(path: str | Path, images: str | Path | None = None) -> GroundTruth:
    """Ground truth of any kind.

    Raises:
        DataError: no such file, no format that we know, a results file where labels belong, labels that contradict themselves.
    """
    if formats.detect(path) == "coco":
        return coco_files.read_truth(path)
    if formats.detect(path) == "coco-results":
        raise DataError(f"{path}: this is a list of COCO results, not ground truth; are the two files swapped?")
    return label_sets.truth_from_labels(formats.read(path, images=images))


def read_predictions(path: str | Path, truth: GroundTruth, images: str | Path | None = None, scores: str | Path | None = None) -> Results:
    """Predictions of any kind on the pictures of ``truth``.

    Raises:
        DataError: as :func:`read_truth`, and whatever the protocol has no answer to.
    """
    path = Path(path)
    kind = "coco-results" if is_empty_list(path) else formats.detect(path)
    if kind == "coco-results":
        return results_file.read_results(path, truth)
    if kind == "coco":
        raise DataError(f"{path}: this is COCO ground truth (images, annotations), not a list of results with scores")
    scores = scores or (score_files.beside(path) if path.is_dir() else None)
    if kind == "bitmask":
        table = score_files.read_scores(scores) if scores else None
        return label_sets.results_from_labels(formats.read(path, kind=kind, images=images), truth, table)
    return label_sets.results_from_labels(formats.read(path, images=images), truth)


def is_empty_list(path: Path) -> bool:
    """True for a JSON file that holds ``[]``: predictions of a model that found nothing."""
    if not path.is_file() or path.stat().st_size > 64:
        return False
    return path.read_bytes().strip().replace(b" ", b"").replace(b"\n", b"") == b"[]"
