"""A model's figures on DATASETS.TEST: quick ones while it trains, all that an evaluation leaves at the end."""

from __future__ import annotations

import logging
from pathlib import Path

from fvcore.common.config import CfgNode
from torch import nn

from bdd_inst.data.loader import build_test_loader
from bdd_inst.datasets.catalog import unreported
from bdd_inst.evaluation.evaluate_model import TestSet, evaluate_model, load_test_sets
from bdd_inst.evaluation.tables import summary_of_sets
from bdd_inst.report.evaluation_files import write_metrics_of_sets, write_test_files
from bdd_inst.training.metric_names import sample_metrics
from bdd_inst.training.validation_loss import validation_losses

log = logging.getLogger(__name__)


class Scorer:
    """Scores models on every data set of ``cfg.DATASETS.TEST``; every process takes its share and all get the same figures.

    Attributes:
        sets: the data sets.
        last: the flat figures of the last evaluation.
    """

    def __init__(self, cfg: CfgNode) -> None:
        self.cfg = cfg
        self.sets: list[TestSet] = load_test_sets(cfg)
        self.last: dict[str, float | None] = {}
        for test in self.sets:
            for line in unreported(test.problems, [test.name]).lines():
                log.warning("%s: %s", test.name, line)

    def figure_names(self) -> list[str]:
        """The names of the figures that :meth:`score` will give, losses left out."""
        names: list[str] = []
        for i, test in enumerate(self.sets):
            metrics = sample_metrics(self.cfg, test.name, test.dicts, test.metadata)
            names += flat(metrics, f"{test.name}/" if i else "")
        return names

    def score(self, model: nn.Module) -> dict[str, float | None]:
        """Flat figures, ``segm/AP`` and the like; of the second and later data sets under ``<name>/segm/AP``."""
        results = evaluate_model(model, self.cfg, self.sets)
        self.last = self._flat({result.test.name: result.metrics for result in results})
        self.last |= self.losses(model)
        return self.last

    def losses(self, model: nn.Module) -> dict[str, float]:
        """The losses on TEST.VAL_LOSS_PICTURES images of each data set, ``val/total_loss`` and the like."""
        values = {}
        for i, test in enumerate(self.sets):
            losses = validation_losses(model, self.cfg, test.dicts, self.cfg.TEST.VAL_LOSS_PICTURES)
            values |= {
                f"{test.name}/val/{name}" if i else f"val/{name}": value
                for name, value in losses.items()
            }
        return values

    def report(self, model: nn.Module, folder: Path, source: str) -> dict:
        """Full figures into ``folder``: metrics.json, report.html, PR curves, tables, results and images.

        Where there are several data sets, each has a folder of its own in it.

        Args:
            source: the weights, as the report calls them.

        Returns:
            data set's name to the content of its metrics.json.
        """
        results = evaluate_model(
            model, self.cfg, self.sets, folder, images_shown=self.cfg.TEST.PICTURES
        )
        for result in results:
            write_test_files(result, self.cfg, source)
        write_metrics_of_sets(results, folder)
        metrics = {result.test.name: result.metrics for result in results}
        self.last = self._flat(metrics)
        return metrics

    def sample(self) -> list[dict]:
        """The first image of the first data set as the model takes it, alone; nothing where there is none."""
        dicts = self.sets[0].dicts[:1] if self.sets else []
        return next(iter(build_test_loader(self.cfg, dicts)))[:1] if len(dicts) else []

    def _flat(self, metrics: dict[str, dict]) -> dict[str, float | None]:
        values: dict[str, float | None] = {}
        for i, (name, content) in enumerate(metrics.items()):
            values |= flat(content, f"{name}/" if i else "")
        return values


def flat(metrics: dict, prefix: str = "") -> dict[str, float | None]:
    """``{"segm": {"AP": 1.0}}`` to ``{"segm/AP": 1.0}``; notes and names are left out, as are figures a class."""
    values: dict[str, float | None] = {}
    for group, figures in metrics.items():
        if isinstance(figures, dict):
            values |= {
                f"{prefix}{group}/{name}": v
                for name, v in figures.items()
                if v is None or isinstance(v, (int, float))
            }
    return values


def result_text(results: dict[str, dict], folder: Path) -> str:
    """The tables of every data set, and the folder to open."""
    return "\n".join([*([summary_of_sets(results)] if results else []), f"results in {folder}"])
