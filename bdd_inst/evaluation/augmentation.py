"""Figures under test-time augmentation (TEST.AUG) beside those of the same model that sees each image once."""

from __future__ import annotations

from collections.abc import Sequence

from fvcore.common.config import CfgNode
from torch import nn

from bdd_inst.evaluation import outputs
from bdd_inst.evaluation.build import ScoringOptions
from bdd_inst.evaluation.evaluate_model import TestResult, evaluate_model
from bdd_inst.evaluation.tables import shown
from bdd_inst.inference.views import without_tta

HEADLINES = (("bbox", "AP"), ("segm", "AP"), ("sem_seg", "mIoU"), ("panoptic_seg", "PQ"))


def compare_with_one_view(
    results: Sequence[TestResult],
    model: nn.Module,
    cfg: CfgNode,
    options: ScoringOptions | None = None,
) -> None:
    """Evaluate again without TEST.AUG and enter both into the metrics, under ``test_augmentation``.

    Args:
        results: of :func:`evaluate_model` with TEST.AUG on; their ``metrics`` and ``metrics.json`` get the block.
        model, cfg, options: as they were given there.
    """
    with without_tta(model, cfg) as plain:
        once = evaluate_model(model, plain, [r.test for r in results], options=options)
    for result, single in zip(results, once, strict=True):
        images = max(1, len(result.test.dicts))
        block = {
            "seconds": result.seconds / images,
            "seconds_once": single.seconds / images,
            "once": {
                kind: {name: single.metrics[kind][name]}
                for kind, name in HEADLINES
                if kind in single.metrics
            },
        }
        result.metrics["test_augmentation"] = block
        if result.folder is not None:
            outputs.write_metrics(result.metrics, result.folder)


def augmentation_lines(metrics: dict) -> list[str]:
    """What test-time augmentation gained and cost.

    Args:
        metrics: the content of ``metrics.json``.

    Returns:
        A line each; none where it was off.
    """
    block = metrics.get("test_augmentation")
    if not block:
        return []
    lines = []
    for kind, figures in block["once"].items():
        for name, before in figures.items():
            after = metrics[kind][name]
            gain = "" if None in (before, after) else f", {after - before:+.2f}"
            lines.append(f"{kind}/{name} {shown(after)}, seen once {shown(before)}{gain}")
    ratio = block["seconds"] / max(block["seconds_once"], 1e-9)
    seconds = f"{block['seconds']:.3g} s an image, seen once {block['seconds_once']:.3g} s"
    return [
        "",
        "test-time augmentation:",
        *(f"  {x}" for x in [*lines, f"{seconds}, {ratio:.1f}x"]),
    ]
