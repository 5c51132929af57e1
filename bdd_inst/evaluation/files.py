"""Files of labels and predictions to figures: every kind on either side, told by content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bdd_inst import formats
from bdd_inst.base.errors import DataError
from bdd_inst.evaluation import coco_files, label_sets, results_file
from bdd_inst.evaluation.compare import Difference, compare
from bdd_inst.evaluation.confusion import matrix_content
from bdd_inst.evaluation.evaluation_result import EvaluationResult, add_label_maps
from bdd_inst.evaluation.ground_truth import GroundTruth, GroundTruthBuilder
from bdd_inst.evaluation.label_map import LabelMapScores
from bdd_inst.evaluation.label_map_files import (
    MAP_KINDS,
    MapFolder,
    compare_folders,
    open_maps,
    truth_of_maps,
)
from bdd_inst.evaluation.panoptic_files import PANOPTIC_KINDS, classes_of, score_panoptic
from bdd_inst.evaluation.protocols import score
from bdd_inst.evaluation.results import Results, ResultsBuilder
from bdd_inst.formats import score_files
from bdd_inst.formats.records import LabelSet
from bdd_inst.formats.sniff import Found


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
        predictions: COCO results JSON, Scalabel JSON with scores, or a bitmask folder; of label maps and panoptic labels the same kind.
        protocol: ``coco``, ``bdd`` or ``both``.
        output_dir: where ``metrics.json`` and the PR curves go; None writes nothing.
        images: the folder of images, where labels do not say their sizes.
        options: see :func:`result_of_files`.
    """
    outcome = result_of_files(ground_truth, predictions, protocol, images, **options)
    if output_dir is not None:
        outcome.write(output_dir)
    return outcome.metrics


def result_of_files(
    ground_truth: str | Path,
    predictions: str | Path,
    protocol: str = "coco",
    images: str | Path | None = None,
    *,
    scores: str | Path | None = None,
    max_detections: int = 100,
    label_maps: bool = False,
    label_threshold: float | None = None,
    threshold_source: str = "",
    class_names: Sequence[str] | None = None,
    values: Mapping[int, str] | None = None,
) -> EvaluationResult:
    """As :func:`evaluate_files`, with everything behind the figures.

    Args:
        ground_truth, predictions, protocol, images: as :func:`evaluate_files` takes them.
        scores: a file of scores for predicted bitmasks; by default the JSON in that folder, or of the folder's name beside it.
        max_detections: detections an image and class that count, 100 in every published figure.
        label_maps: score instances as label maps too; done of itself where the ground truth is label maps.
        label_threshold: score above which instances enter a label map; None chooses the best one on these images.
        threshold_source: where a given threshold was chosen, for the record.
        class_names: what the values 1, 2, ... of label maps mean, where file names do not say.
        values: what any values of label maps mean, on both sides.

    Returns:
        The figures, both sides as they were read, and the scores behind curves and analyses.

    Raises:
        DataError: a file that is missing or of no known kind, predictions that the protocol has no answer to, label maps asked of boxes.
    """
    values = dict(values) if values else None
    named = bool(values or class_names)
    maps, found = None, formats.inspect(ground_truth, named=named)
    if found.kind in PANOPTIC_KINDS and not is_empty_list(Path(predictions)):
        given = formats.inspect(predictions)
        if given.kind in PANOPTIC_KINDS:
            return result_of_panoptic(formats.read(found), formats.read(given), protocol)
    if found.kind in MAP_KINDS:
        empty = is_empty_list(Path(predictions))
        given = None if empty else formats.inspect(predictions, named=True)
        is_map = given is not None and given.kind in MAP_KINDS
        predicted = open_maps(given, values=values) if is_map else None
        maps = open_maps(found, predicted, values)
        if predicted is not None:
            return result_of_maps(maps, predicted, class_names)
    elif values:
        raise DataError(f"{ground_truth}: no label maps; --values is for label maps")
    truth = read_truth(found, images) if maps is None else truth_of_maps(maps, class_names)
    found.top = None  # its text is read, and as large as the file
    results = read_predictions(predictions, truth, images, scores)
    outcome = score(truth, results, protocol, max_detections=max_detections)
    if maps is not None or label_maps:
        if "segm" not in outcome.metrics:
            raise DataError(
                f"{predictions}: label maps are made of masks, and these predictions have none"
            )
        add_label_maps(outcome, label_threshold, threshold_source or "the command line", maps)
    return outcome


def result_of_maps(
    truth: MapFolder, predicted: MapFolder, class_names: Sequence[str] | None = None
) -> EvaluationResult:
    """Prediction PNGs against label map PNGs: the ``label_map`` and ``sem_seg`` blocks."""
    counter, problems = compare_folders(truth, predicted, class_names)
    found = LabelMapScores(counter.confusion, counter.names[1:])
    block = found.figures() | {
        "confusion": {
            "classes": ["background", *found.class_names],
            **matrix_content(found.confusion, "pixels"),
        }
    }
    notes = problems.lines()
    metrics = {"protocol": "label-map", "label_map": block, "sem_seg": counter.report()}
    metrics |= {"notes": notes} if notes else {}
    nothing = GroundTruthBuilder(
        found.class_names, range(1, len(found.class_names) + 1), truth.source
    ).build()
    return EvaluationResult(
        metrics,
        truth=nothing,
        results=ResultsBuilder().build(predicted.source),
        scores={},
        notes=notes,
    )


def result_of_panoptic(truth: LabelSet, predicted: LabelSet, protocol: str) -> EvaluationResult:
    """Panoptic segments against panoptic labels: the ``panoptic_seg`` block."""
    metrics = score_panoptic(truth, predicted, protocol)
    names = classes_of(truth).names
    nothing = GroundTruthBuilder(names, range(1, len(names) + 1), truth.source).build()
    results = ResultsBuilder().build(predicted.source)
    return EvaluationResult(
        metrics, truth=nothing, results=results, scores={}, notes=metrics.get("notes", [])
    )


def compare_with(
    outcome: EvaluationResult, path: str | Path, images: str | Path | None = None
) -> tuple[list[Difference], str, str, str]:
    """A second results file against this outcome's.

    Args:
        outcome: of the first.
        path: of the other predictions, any kind.
        images: the folder of images, where they do not say their sizes.

    Returns:
        The differences, from the other file to this one, in percent; the other's name, this one's; and the kind compared, ``segm`` where both
        have masks, else ``bbox``.
    """
    other = read_predictions(path, outcome.truth, images)
    kind = "segm" if "segm" in outcome.scores and other.masks is not None else "bbox"
    rows = compare(outcome.truth, other, outcome.results, kind)
    return rows, Path(path).stem, Path(outcome.results.source).stem, kind


def read_truth(path: str | Path | Found, images: str | Path | None = None) -> GroundTruth:
    """Ground truth of any kind; the file is opened once.

    Args:
        path: a file or folder, or what :func:`formats.inspect` found there.
        images: the folder of images, where labels do not say their sizes.

    Raises:
        DataError: no such file, no format that we know, a results file where labels belong, labels that contradict themselves.
    """
    found = path if isinstance(path, Found) else formats.inspect(path)
    if found.kind == "coco":
        return coco_files.read_truth(found, images)
    return label_sets.truth_from_labels(formats.read_truth(found, images=images))


def read_predictions(
    path: str | Path,
    truth: GroundTruth,
    images: str | Path | None = None,
    scores: str | Path | None = None,
) -> Results:
    """Predictions of any kind on the images of the ground truth; the file is opened once.

    Args:
        path: a COCO results list, Scalabel JSON with scores, a folder of bitmasks, or any other labels that have scores.
        truth: the images and classes that they are predictions for.
        images: the folder of images, where the file does not say their sizes.
        scores: a file of scores for bitmasks; None looks for it beside them.

    Returns:
        Flat columns: image, class, score, box and mask of every prediction.

    Raises:
        DataError: as :func:`read_truth`, and whatever the protocol has no answer to.
    """
    path = Path(path)
    beside = score_files.find_scores(path) if path.is_dir() else None
    # A folder of bitmasks may hold its scores as well; that JSON alone would look like labels without shapes.
    known = (
        "coco-results"
        if is_empty_list(path)
        else "bitmask"
        if score_files.within_bitmasks(path, beside)
        else None
    )
    found = formats.inspect(path, known)
    if found.kind == "coco-results":
        return results_file.read_results(found, truth)
    table = None
    if found.kind == "bitmask":
        scores = scores or beside
        table = score_files.Scores(scores) if scores else None
    labels = formats.read(found, images=None if found.kind == "coco" else images).load()
    # Converted predictions have their scores in the annotations; a COCO file without any is no list of results.
    if found.kind == "coco" and all(
        instance.score is None for image in labels.images for instance in image.instances
    ):
        raise DataError(
            f"{path}: this is COCO ground truth (images, annotations), not a list of results with scores"
        )
    return label_sets.results_from_labels(labels, truth, table)


def is_empty_list(path: Path) -> bool:
    """True for a JSON file that holds ``[]``: predictions of a model that found nothing."""
    if not path.is_file() or path.stat().st_size > 64:
        return False
    return path.read_bytes().strip().replace(b" ", b"").replace(b"\n", b"") == b"[]"
