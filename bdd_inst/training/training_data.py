"""The training data of a run's stages: read once, batched by stage."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import numpy as np

from bdd_inst.base import distributed
from bdd_inst.data.loader import build_train_loader
from bdd_inst.data.loading import load_datasets
from bdd_inst.data.mapper import DatasetMapper, Mapper
from bdd_inst.datasets.catalog import unreported
from bdd_inst.training.stages import Stage

log = logging.getLogger(__name__)


def key_of(stage: Stage) -> tuple:
    """What decides on a stage's dicts: the names of the data sets first, then how they are read."""
    spec = stage.cfg.DATASETS
    return (
        tuple(spec.TRAIN),
        tuple(spec.CLASSES),
        tuple(spec.CLASS_MAP),
        spec.RASTER,
        spec.INSTANCES,
        spec.SOURCE,
        stage.cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS,
    )


class TrainingData:
    """Dataset dicts by list of data sets. Each stage may name its own, and read them in its own way."""

    def __init__(self, stages: list[Stage], mapper: Mapper | None = None) -> None:
        """``mapper``: a user's, in place of :class:`DatasetMapper` for training."""
        self.mapper = mapper
        self.dicts: dict[tuple, list[dict]] = {}
        for stage in stages:
            key = key_of(stage)
            names = key[0]
            if key not in self.dicts:
                self.dicts[key], _, problems = load_datasets(stage.cfg, names, True)
                for line in unreported(problems, names).lines():
                    log.warning("%s: %s", ", ".join(names), line)

    def of(self, stage: Stage) -> list[dict]:
        """The dataset dicts of a stage."""
        return self.dicts[key_of(stage)]

    def by_name(self) -> dict[str, list[dict]]:
        """Dataset dicts under their joined names, for the record of the run."""
        first: dict[str, list[dict]] = {}
        for (names, *_), dicts in self.dicts.items():
            first.setdefault("+".join(names), dicts)
        return first

    def batches(self, stage: Stage, start: int) -> Iterable[list[dict]]:
        """The endless batches of a stage from number ``start`` on."""
        rank, world_size = distributed.world()
        return build_train_loader(
            stage.cfg,
            self.of(stage),
            rank=rank,
            world_size=world_size,
            start_iteration=start,
            mapper=self.mapper,
        )

    def heaviest(self, stage: Stage, number: int = 4) -> list[dict]:
        """Model inputs of the images with most objects, at the largest size the stage trains at, for measuring memory."""
        chosen = sorted(
            self.of(stage), key=lambda item: len(item.get("annotations", ())), reverse=True
        )[:number]
        cfg = stage.cfg.clone()
        cfg.defrost()
        cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MIN_SIZE_TRAIN_SAMPLING = (
            # The largest of the sizes, always: the trial must not be lucky.
            [max(cfg.INPUT.MIN_SIZE_TRAIN)],
            "choice",
        )
        mapper = DatasetMapper(cfg, True)
        return [mapper(item, np.random.default_rng([0, i])) for i, item in enumerate(chosen)]
