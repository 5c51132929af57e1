"""The training losses on test images, without augmentation and without leaving a trace in the model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from fvcore.common.config import CfgNode
from torch import nn

from bdd_inst.base import distributed
from bdd_inst.data.loader import TrainDataset, make_loader
from bdd_inst.data.mapper import DatasetMapper
from bdd_inst.data.worker_errors import plain_worker_errors
from bdd_inst.training.modes import loss_mode


def validation_losses(
    model: nn.Module, cfg: CfgNode, dicts: Sequence[dict], images: int
) -> dict[str, float]:
    """Mean losses an image over (up to) ``images`` labeled images spread over ``dicts``; -1 takes all, 0 gives {}.

    Norms run on their stored statistics; proposals are sampled with a seed that depends on the image alone, so that two
    evaluations differ by the weights only.
    """
    labeled = [item for item in dicts if item.get("annotations") or "sem_seg_file_name" in item]
    if images == 0 or not labeled:
        return {}
    step = 1 if images < 0 else max(1, len(labeled) // images)
    chosen = labeled[::step] if images < 0 else labeled[::step][:images]
    rank, world_size = distributed.world()
    plain = without_augmentation(cfg)
    dataset = TrainDataset(chosen, DatasetMapper(plain, True), 0)
    # One image a batch: losses are means over a batch, and images of unequal batches would not weigh the same.
    plan = [[(i, i)] for i in range(rank, len(chosen), world_size)]
    sums: dict[str, float] = {}
    with (
        # Evaluating must not move the generators that training draws from.
        torch.random.fork_rng(devices=[]),
        loss_mode(model),
        torch.no_grad(),
        plain_worker_errors(),
    ):
        for batch in make_loader(plain, dataset, plan):
            for name, value in model(batch).items():
                sums[name] = sums.get(name, 0.0) + float(value)
    shares = distributed.gather((sums, len(plan)))
    return distributed.broadcast(combine(shares) if shares is not None else None)


def combine(shares: Sequence[tuple[dict[str, float], int]]) -> dict[str, float]:
    """Means over all images of sums by process, with ``total_loss``."""
    count = sum(number for _, number in shares)
    names = sorted({name for sums, _ in shares for name in sums})
    means = {name: sum(sums.get(name, 0.0) for sums, _ in shares) / count for name in names}
    return means | {"total_loss": sum(means.values())}


def without_augmentation(cfg: CfgNode) -> CfgNode:
    """The config with test sizes and no random transforms in training."""
    plain = cfg.clone()
    plain.defrost()
    chosen = plain.INPUT
    chosen.MIN_SIZE_TRAIN, chosen.MIN_SIZE_TRAIN_SAMPLING = [chosen.MIN_SIZE_TEST], "choice"
    chosen.MAX_SIZE_TRAIN = chosen.MAX_SIZE_TEST
    chosen.AUGMENTATIONS = ["resize"]
    chosen.LARGE_SCALE_JITTER.ENABLED = chosen.COPY_PASTE.ENABLED = False
    return plain
