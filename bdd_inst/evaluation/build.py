"""The evaluator that suits a config's model: of instances, or of label maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fvcore.common.config import CfgNode

from bdd_inst.data.sem_seg import is_pixelwise, layers
from bdd_inst.evaluation.evaluator import Evaluator
from bdd_inst.evaluation.sem_seg_evaluator import SemSegEvaluator


def build_evaluator(
    cfg: CfgNode,
    name: str,
    dataset_dicts: Sequence[dict],
    metadata: Any,
    output_dir: str | Path | None,
    **options: Any,
) -> Evaluator | SemSegEvaluator:
    """An evaluator by MODEL.META_ARCHITECTURE; ``options`` are those of :class:`Evaluator`, which label maps do not need.

    Args:
        name: the data set's, for the report.
    """
    if not is_pixelwise(cfg):
        return Evaluator(dataset_dicts, metadata, cfg.TEST.PROTOCOL, output_dir, **options)
    order = cfg.DATASETS.PRIORITY
    priority = layers(metadata["thing_classes"], order) if order else None
    ignore = cfg.MODEL.SEM_SEG_HEAD.IGNORE_VALUE
    return SemSegEvaluator(dataset_dicts, metadata, ignore, priority, output_dir, name)
