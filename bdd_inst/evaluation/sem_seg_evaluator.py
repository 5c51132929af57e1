"""Scores a pixel-wise model while it predicts: Detectron2's evaluator contract (reset, process, evaluate)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bdd_inst.base import distributed
from bdd_inst.base.errors import DataError
from bdd_inst.data.sem_seg import class_names, label_map_of
from bdd_inst.evaluation.evaluation_result import EvaluationResult
from bdd_inst.evaluation.ground_truth import GroundTruthBuilder
from bdd_inst.evaluation.outputs import write_sem_seg
from bdd_inst.evaluation.results import ResultsBuilder
from bdd_inst.evaluation.sem_seg import SemSegCounter
from bdd_inst.inference.label_maps import THRESHOLD, labels_of


class SemSegEvaluator:
    """Collects label maps image by image and counts their pixels; no map is kept.

    Args:
        dataset_dicts: the whole data set as standard dicts, the same in every process; label maps come from their files or objects
            (:func:`bdd_inst.data.sem_seg.label_map_of`).
        metadata: what the catalog knows of it (``stuff_classes`` or ``thing_classes``).
        ignore: MODEL.SEM_SEG_HEAD.IGNORE_VALUE.
        priority: class index to layer, as the mapper has it.
        output_dir: where ``metrics.json``, ``sem_seg.csv`` and ``sem_seg_pictures.csv`` go; None writes nothing.
    """

    def __init__(
        self,
        dataset_dicts: Sequence[dict],
        metadata: Mapping,
        ignore: int = 255,
        priority: Mapping[int, int] | None = None,
        output_dir: str | Path | None = None,
        name: str = "",
    ):
        self.dicts, self.ignore, self.priority = dataset_dicts, ignore, priority
        self.names, self.output_dir, self.source = class_names(metadata), output_dir, name
        self.index = {record["image_id"]: n for n, record in enumerate(dataset_dicts)}
        self.outcome: EvaluationResult | None = None
        self.reset()

    def reset(self) -> None:
        """Forget every prediction."""
        self.counter = SemSegCounter(self.names, self.ignore)
        self.seen: set[int] = set()
        self.planes = 0

    def process(self, inputs: Sequence[dict], outputs: Sequence[dict]) -> None:
        """Take in the predictions of some images.

        Args:
            inputs: dicts with ``image_id``.
            outputs: ``[{"sem_seg": K,H,W}]`` logits on the image's own size; one plane is a class against background. An image
                that comes twice counts once.

        Raises:
            DataError: an image that the data set does not have, or logits that are not finite.
        """
        for given, output in zip(inputs, outputs, strict=True):
            position = self.index.get(given["image_id"])
            if position is None:
                raise DataError(
                    f"prediction for image {given['image_id']!r}, which the data set does not have"
                )
            if position in self.seen:
                continue
            self.seen.add(position)
            record = self.dicts[position]
            truth = label_map_of(record, self.ignore, self.priority)
            labels, scores = labels_of(output["sem_seg"], given["image_id"])
            self.planes = len(output["sem_seg"])
            try:
                self.counter.add(truth, labels, image_name(record), scores)
            except ValueError as error:
                raise DataError(f"{record['file_name']}: {error}") from None

    def evaluate(self) -> dict:
        """The content of ``metrics.json``: ``{"protocol": "label-map", "sem_seg": {...}}``, percent, None where undefined."""
        shares = distributed.gather((self.counter, len(self.seen), self.planes))
        metrics = None
        if shares is not None:
            whole = SemSegCounter(self.names, self.ignore)
            for counter, _, _ in shares:
                whole.merge(counter)
            metrics = self.score(whole, sum(n for _, n, _ in shares), max(p for *_, p in shares))
        return distributed.broadcast(metrics)

    def score(self, counter: SemSegCounter, seen: int, planes: int) -> dict:
        """Figures of gathered counts, and the files of ``output_dir``."""
        missing = len(self.dicts) - seen
        notes = (
            [f"{missing} of {len(self.dicts)} images were never predicted; left out"]
            if missing
            else []
        )
        self.outcome = result_of_counter(
            counter, self.source, THRESHOLD if planes == 1 else None, notes
        )
        if self.output_dir is not None:
            self.outcome.write(self.output_dir)
            write_sem_seg(counter, self.output_dir)
        return self.outcome.metrics


def image_name(record: dict) -> str:
    """What tables call an image: its id where that is a path within its data set, else its file's name."""
    own = record["image_id"]
    return own if isinstance(own, str) and "/" in own else Path(record["file_name"]).name


def result_of_counter(
    counter: SemSegCounter, source: str, threshold: float | None, notes: Sequence[str] = ()
) -> EvaluationResult:
    """Counted pixels as an outcome that reports and tables take: the ``sem_seg`` block alone."""
    metrics = {"protocol": "label-map", "sem_seg": counter.report(threshold)}
    if notes:
        metrics["notes"] = list(notes)
    classes = counter.names[counter.first :]
    nothing = GroundTruthBuilder(classes, range(1, len(classes) + 1), source).build()
    return EvaluationResult(
        metrics,
        truth=nothing,
        results=ResultsBuilder().build("label maps"),
        scores={},
        notes=list(notes),
    )
