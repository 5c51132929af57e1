"""The COCO protocol: twelve figures and the precision array, equal to pycocotools', computed by hotcoco.

Definitions: https://cocodataset.org/#detection-eval and pycocotools' ``cocoeval.py``, which is also the fallback where hotcoco is
absent or too old (``backend="pycocotools"``). Masks are scored by mask area: results that carry a box as well would make COCO tools take the
box's area for the mask's, which moves APs, APm and APl by points.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pycocotools.mask as coco_mask

from bdd_inst.evaluation.ground_truth import GroundTruth, to_rle
from bdd_inst.evaluation.results import Results

AREA_NAMES = ("all", "small", "medium", "large")
MAX_DETECTIONS = (1, 10, 100)
BATCH = 500  # images
OLDEST_HOTCOCO = (1, 2)  # 1.1's StreamingEval takes other arguments, older ones have none

log = logging.getLogger(__name__)


@dataclass
class CocoScores:
    """What accumulation ends in: T IoU thresholds, R recall points, K classes, A area ranges, L detection limits.

    ``precision`` and ``scores`` are T,R,K,A,L; ``recall`` is T,K,A,L; -1 where there is nothing to find.
    """

    precision: np.ndarray
    recall: np.ndarray
    scores: np.ndarray
    class_names: list[str]
    max_detections: tuple[int, ...] = MAX_DETECTIONS
    iou_thresholds: np.ndarray = None
    recall_points: np.ndarray = None

    def __post_init__(self) -> None:
        self.iou_thresholds = np.linspace(0.5, 0.95, 10)
        self.recall_points = np.linspace(0, 1, 101)

    def average_precision(
        self, iou: float | None = None, area: str = "all", category: int | None = None
    ) -> float | None:
        """Mean precision in percent over IoU thresholds (or at ``iou``), recall points and classes; None where undefined."""
        # AP is defined at the last limit, 100 detections an image and class.
        kept = self.precision[..., AREA_NAMES.index(area), -1]
        # The class first: choosing thresholds copies, and of a thousand classes each would copy all.
        kept = kept if category is None else kept[:, :, category]
        return percent(kept if iou is None else kept[np.isclose(self.iou_thresholds, iou)])

    def average_recall(self, limit: int = -1, area: str = "all") -> float | None:
        """Mean recall in percent at the ``limit``-th detection limit; None where undefined."""
        return percent(self.recall[:, :, AREA_NAMES.index(area), limit])

    def figures(self) -> dict[str, float | None]:
        """The figures by Detectron2's names: AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl, ``AP-<class>``."""
        out = {
            "AP": self.average_precision(),
            "AP50": self.average_precision(0.5),
            "AP75": self.average_precision(0.75),
        }
        out |= {f"AP{area[0]}": self.average_precision(area=area) for area in AREA_NAMES[1:]}
        out |= {
            f"AR{number}": self.average_recall(i) for i, number in enumerate(self.max_detections)
        }
        out |= {f"AR{area[0]}": self.average_recall(area=area) for area in AREA_NAMES[1:]}
        return out | {
            f"AP-{name}": self.average_precision(category=k)
            for k, name in enumerate(self.class_names)
        }


def percent(values: np.ndarray) -> float | None:
    """100 x the mean of the defined entries of a float64 array of any shape; None where there is none."""
    # COCO's mark for a class or an area without an object is -1: it is in no mean.
    defined = values[values > -1]
    return float(np.mean(defined)) * 100 if defined.size else None


def evaluate(
    truth: GroundTruth,
    results: Results,
    iou_type: str,
    *,
    max_detections: Sequence[int] = MAX_DETECTIONS,
    backend: str = "auto",
) -> CocoScores:
    """Score predictions by COCO's protocol.

    Args:
        truth: images, classes and objects.
        results: the predictions on those images.
        iou_type: ``bbox`` or ``segm``; both sides need boxes or masks accordingly.
        max_detections: detections kept an image and class; AP is taken at the last.
        backend: ``auto`` (hotcoco where :func:`without_hotcoco` has nothing against it), ``hotcoco`` or ``pycocotools``.

    Returns:
        Precision, recall and scores by IoU, recall point, class, area and limit; where there is no image or no class all are undefined.
    """
    if backend == "auto":
        reason = without_hotcoco()
        backend = "pycocotools" if reason else "hotcoco"
        if reason:
            warn_of_fallback(reason)
    run = {"hotcoco": run_hotcoco, "pycocotools": run_pycocotools}[backend]
    names = list(truth.class_names)
    limits = tuple(int(n) for n in max_detections)
    if not len(truth.image_ids) or not names:
        empty = np.full((10, 101, len(names), 4, len(limits)), -1.0)
        return CocoScores(
            empty, recall=empty[:, 0], scores=empty, class_names=names, max_detections=limits
        )
    precision, recall, scores = run(truth, results, iou_type, limits)
    return CocoScores(
        precision, recall=recall, scores=scores, class_names=names, max_detections=limits
    )


def without_hotcoco() -> str:
    """Why hotcoco cannot be used here, with what to do about it; empty where it can."""
    wanted = ".".join(map(str, OLDEST_HOTCOCO))
    try:
        import hotcoco

        version = importlib.metadata.version("hotcoco")
    except ImportError:
        return f"hotcoco is not installed (pip install 'hotcoco>={wanted}')"
    numbers = tuple(int(word) for word in version.split(".")[:2] if word.isdigit())
    if numbers < OLDEST_HOTCOCO or not hasattr(hotcoco, "StreamingEval"):
        return (
            f"hotcoco {version} is not one that is known to work (pip install 'hotcoco>={wanted}')"
        )
    return ""


@functools.cache
def warn_of_fallback(reason: str) -> None:
    """Say once that the slower reference scores."""
    log.warning("%s: pycocotools scores instead, the same figures, several times slower", reason)


def run_hotcoco(
    truth: GroundTruth, results: Results, iou_type: str, limits: tuple[int, ...]
) -> tuple[np.ndarray, ...]:
    """By hotcoco: precision T,R,K,A,M, recall T,K,A,M and scores T,R,K,A,M, float64, over IoU thresholds, recall
    points, classes, areas and limits."""
    accumulated = hotcoco_evaluator(truth, results, iou_type, limits).eval
    return accumulated["precision"], accumulated["recall"], accumulated["scores"]


def hotcoco_evaluator(
    truth: GroundTruth, results: Results, iou_type: str, limits: tuple[int, ...] = MAX_DETECTIONS
) -> object:
    """A ``hotcoco.COCOeval`` after ``evaluate`` and ``accumulate``; its image and category ids are positions + 1.

    Masks go in some hundred images at a time: their unpacked runs are many times larger than the strings.
    """
    import hotcoco

    params = hotcoco.Params(iou_type)
    params.max_dets = list(limits)
    tree = truth_dict(truth, iou_type)
    stream = hotcoco.StreamingEval(tree["categories"], iou_type, params=params)
    # By image, and within one in the order of the file, which decides among equal scores.
    order = np.argsort(results.image, kind="stable")
    starts = np.arange(0, len(tree["images"]) + BATCH, BATCH)
    owners = np.array([annotation["image_id"] - 1 for annotation in tree["annotations"]], np.int64)
    by_owner = np.argsort(owners, kind="stable")
    truth_cuts = np.searchsorted(owners[by_owner], starts)
    found_cuts = np.searchsorted(results.image[order], starts)
    for n, start in enumerate(starts[:-1].tolist()):
        objects = [tree["annotations"][a] for a in by_owner[truth_cuts[n] : truth_cuts[n + 1]]]
        detections = detection_rows(results, order[found_cuts[n] : found_cuts[n + 1]], iou_type)
        stream.update(tree["images"][start : start + BATCH], objects, detections)
    evaluator = stream.finalize()
    # It prints its progress, and only the command line prints.
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator.accumulate()
    return evaluator


def detection_rows(results: Results, chosen: np.ndarray, iou_type: str) -> np.ndarray | list[dict]:
    """Some detections, D int64 positions, as hotcoco takes them: boxes as D,7 float64, masks as dicts without a box, so that areas are the masks' own."""
    if iou_type == "bbox":
        columns = (
            results.image[chosen] + 1,
            *results.boxes[chosen].T,
            results.scores[chosen],
            results.category[chosen] + 1,
        )
        return np.stack(columns, axis=1).astype(np.float64)
    columns = (
        results.image[chosen] + 1,
        results.category[chosen] + 1,
        results.scores[chosen],
        chosen,
    )
    rows = zip(*(column.tolist() for column in columns))
    return [
        {"image_id": i, "category_id": k, "score": s, "segmentation": results.masks[n]}
        for i, k, s, n in rows
    ]


def truth_dict(truth: GroundTruth, iou_type: str) -> dict:
    """The ground truth as COCO's JSON tree; ids count from 1 (an id of 0 counts as unmatched in COCO's code).

    The BDD100K ``ignored`` flag is COCO's crowd here, as the official conversion has it.
    """
    segm = iou_type == "segm"
    images = [
        {"id": i + 1, "width": int(w), "height": int(h)} for i, (h, w) in enumerate(truth.sizes)
    ]
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(truth.class_names)]
    # hotcoco and pycocotools know one flag only.
    crowd = (truth.crowd | truth.ignored).astype(int)
    columns = (truth.image + 1, truth.category + 1, truth.boxes, truth.area, crowd)
    names = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    rows = zip(range(1, len(truth) + 1), *(column.tolist() for column in columns))
    annotations = [dict(zip(names, row)) for row in rows]
    if segm:
        annotations = [
            a | {"segmentation": mask}
            for a, mask in zip(annotations, truth.masks, strict=True)
            if mask is not None
        ]
    return {"images": images, "categories": categories, "annotations": annotations}


def run_pycocotools(
    truth: GroundTruth, results: Results, iou_type: str, limits: tuple[int, ...]
) -> tuple[np.ndarray, ...]:
    """By pycocotools: the arrays of :func:`run_hotcoco`, precision and scores T,R,K,A,M, recall T,K,A,M, float64."""
    evaluator = pycocotools_evaluator(truth, results, iou_type, limits)
    return evaluator.eval["precision"], evaluator.eval["recall"], evaluator.eval["scores"]


def pycocotools_evaluator(
    truth: GroundTruth, results: Results, iou_type: str, limits: tuple[int, ...] = MAX_DETECTIONS
) -> object:
    """A ``pycocotools.cocoeval.COCOeval`` after ``evaluate`` and ``accumulate``."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco, found = COCO(), COCO()
        coco.dataset = truth_dict(truth, iou_type)
        for annotation in coco.dataset["annotations"]:
            if iou_type == "segm":
                size = truth.sizes[annotation["image_id"] - 1]
                annotation["segmentation"] = to_rle(annotation["segmentation"], *size)
        coco.createIndex()
        # Past ``loadRes``, which would take the area of a box where there is one, for masks too.
        found.dataset = coco.dataset | {"annotations": result_annotations(results, iou_type)}
        found.createIndex()
        evaluator = COCOeval(coco, found, iou_type)
        evaluator.params.maxDets = list(limits)
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator


def result_annotations(results: Results, iou_type: str) -> list[dict]:
    """Results as ``COCO.loadRes`` would leave them, with mask areas for masks."""
    base = [
        {
            "id": n,
            "image_id": int(i) + 1,
            "category_id": int(k) + 1,
            "score": float(s),
            "iscrowd": 0,
        }
        for n, (i, k, s) in enumerate(
            zip(results.image, results.category, results.scores, strict=True), 1
        )
    ]
    if iou_type == "bbox":
        return [
            a | {"bbox": box.tolist(), "area": float(box[2] * box[3])}
            for a, box in zip(base, results.boxes, strict=True)
        ]
    rles = [to_rle(mask, *mask["size"]) for mask in results.masks]
    shapes = [
        {"segmentation": r, "area": float(coco_mask.area(r)), "bbox": coco_mask.toBbox(r).tolist()}
        for r in rles
    ]
    return [a | shape for a, shape in zip(base, shapes, strict=True)]
