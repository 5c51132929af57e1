"""The evaluator that suits a config's model, of instances or of label maps, and how it scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fvcore.common.config import CfgNode

from bdd_inst.data.panoptic import is_panoptic
from bdd_inst.data.sem_seg import is_pixelwise, layers
from bdd_inst.evaluation.evaluator import Evaluator
from bdd_inst.evaluation.panoptic_evaluator import PanopticEvaluator
from bdd_inst.evaluation.sem_seg_evaluator import SemSegEvaluator


@dataclass(frozen=True)
class ScoringOptions:
    """How predictions are scored, whoever asks for it.

    Attributes:
        protocol: ``coco``, ``bdd`` or ``both``; None for the config's TEST.PROTOCOL.
        max_detections: detections an image and class that count, 100 in every published figure.
        label_maps: score instances as label maps too; done of itself where a data set has label maps.
        label_threshold: score from which instances enter a label map; None chooses the best on the first data set.
        threshold_source: where a given threshold was chosen, for the record.
    """

    protocol: str | None = None
    max_detections: int = 100
    label_maps: bool = False
    label_threshold: float | None = None
    threshold_source: str = ""


def build_evaluator(
    cfg: CfgNode,
    name: str,
    dataset_dicts: Sequence[dict],
    metadata: Mapping,
    output_dir: str | Path | None = None,
    options: ScoringOptions | None = None,
) -> Evaluator | SemSegEvaluator:
    """An evaluator by MODEL.META_ARCHITECTURE.

    Args:
        cfg: the model's config.
        name: the data set's, for the report.
        dataset_dicts: the whole data set as standard dicts, the same in every process.
        metadata: what the catalog knows of it.
        output_dir: where figures and predictions go; None writes nothing.
        options: how to score; pixel-wise models, which predict label maps, have no use for it.

    Returns:
        An evaluator with Detectron2's ``process`` and ``evaluate``; a panoptic model's is an Evaluator of objects as well.
    """
    options = options or ScoringOptions()
    if not is_pixelwise(cfg):
        kind = PanopticEvaluator if is_panoptic(cfg) else Evaluator
        return kind(
            dataset_dicts,
            metadata,
            options.protocol or cfg.TEST.PROTOCOL,
            output_dir,
            max_detections=options.max_detections,
            label_maps=options.label_maps,
            label_threshold=options.label_threshold,
            threshold_source=options.threshold_source,
        )
    order = cfg.DATASETS.PRIORITY
    priority = layers(metadata["thing_classes"], order) if order else None
    ignore = cfg.MODEL.SEM_SEG_HEAD.IGNORE_VALUE
    return SemSegEvaluator(
        dataset_dicts,
        metadata=metadata,
        ignore=ignore,
        priority=priority,
        output_dir=output_dir,
        name=name,
    )
