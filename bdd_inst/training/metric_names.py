"""The names of the figures, known before training: a TEST.BEST_METRIC that is none of them is refused then, not a day later."""

from __future__ import annotations

import difflib
import itertools
import logging
from collections.abc import Sequence

import numpy as np
import torch
from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError
from bdd_inst.config.loading import defaults
from bdd_inst.data.panoptic import is_panoptic
from bdd_inst.data.sem_seg import is_pixelwise
from bdd_inst.evaluation.build import build_evaluator
from bdd_inst.masks import run_lengths
from bdd_inst.structures import Boxes, Instances, RLEMasks

log = logging.getLogger(__name__)

LOSSES = "val/"  # which losses there are is the model's to say; total_loss is always among them
SEARCHED = 1000  # images, for one with a mask


def sample_metrics(cfg: CfgNode, name: str, dicts: Sequence[dict], metadata: dict) -> dict:
    """The figures of one image of a data set with a made-up output: their names are those of every evaluation."""
    sample = next(
        (
            record
            for record in itertools.islice(dicts, SEARCHED)
            if any("segmentation" in item for item in record.get("annotations", ()))
        ),
        dicts[0],
    )
    size = (sample["height"], sample["width"])
    evaluator = build_evaluator(
        cfg, name, dataset_dicts=[sample], metadata=metadata, output_dir=None
    )
    evaluator.process([sample], [fake_output(cfg, size)])
    return evaluator.evaluate()


def fake_output(cfg: CfgNode, size: tuple[int, int]) -> dict:
    """An output of the config's kind of model for an image of ``size`` (height, width)."""
    if is_pixelwise(cfg):
        return {"sem_seg": torch.zeros(cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES, *size)}
    # One detection, since with none a model with masks and one without look alike.
    one = Instances(
        size,
        pred_boxes=Boxes(torch.tensor([[0.0, 0.0, 1.0, 1.0]])),
        scores=torch.tensor([0.01]),
        pred_classes=torch.tensor([0]),
    )
    if cfg.MODEL.MASK_ON:
        one.pred_masks = RLEMasks(
            [run_lengths.encode_crop(np.ones((1, 1), bool), 0, 0, *size)], size
        )
    if is_panoptic(cfg):
        return {"instances": one, "panoptic_seg": (torch.zeros(size, dtype=torch.int32), [])}
    return {"instances": one}


def check_best_metric(cfg: CfgNode, names: Sequence[str]) -> None:
    """Hold TEST.BEST_METRIC against the figures of an evaluation.

    Args:
        names: those that an evaluation of DATASETS.TEST gives, without losses and moving average; none where there is no data set.

    Raises:
        ConfigError: a name that no figure will have. The default's absence (boxes alone) is only said.
    """
    wanted = cfg.TEST.BEST_METRIC
    if not names:
        return
    known = list(names)
    if cfg.TEST.VAL_LOSS_PICTURES:
        known.append(f"{LOSSES}total_loss")
    if cfg.SOLVER.EMA.ENABLED:
        known += [f"ema/{name}" for name in known]
    is_loss = f"{LOSSES}loss_" in wanted and bool(cfg.TEST.VAL_LOSS_PICTURES)
    if wanted in known or is_loss:
        return
    near = difflib.get_close_matches(wanted, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known[:12])}"
    if LOSSES in wanted and not cfg.TEST.VAL_LOSS_PICTURES:
        hint = "losses are measured where TEST.VAL_LOSS_PICTURES is not 0"
    elif wanted.startswith("ema/") and not cfg.SOLVER.EMA.ENABLED:
        hint = "the moving average is off (SOLVER.EMA.ENABLED)"
    message = f"TEST.BEST_METRIC {wanted} is not among the figures; {hint}"
    if wanted != defaults().TEST.BEST_METRIC:
        raise ConfigError(message)
    log.warning("%s (without it no best checkpoint, early stopping or plateau)", message)
