"""A model's figures on DATASETS.TEST: quick ones while it trains, the full set with curves and pictures at the end."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from fvcore.common.config import CfgNode
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from bdd_inst.base import distributed
from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.data.loader import build_test_loader, load_datasets
from bdd_inst.data.sem_seg import is_pixelwise, label_map_of
from bdd_inst.datasets.own import folder_name
from bdd_inst.drawing.draw import DrawnObjects, side_by_side
from bdd_inst.drawing.objects import from_fields, from_record
from bdd_inst.evaluation.build import build_evaluator
from bdd_inst.evaluation.protocols import PROTOCOLS
from bdd_inst.evaluation.tables import pixel_lines
from bdd_inst.formats.label_map import overlay
from bdd_inst.images.read import read_bgr, read_image
from bdd_inst.inference.dataset import predict_outputs
from bdd_inst.inference.label_maps import labels_of
from bdd_inst.report.html import write_report
from bdd_inst.training.hooks.guards import plain_worker_errors
from bdd_inst.training.metric_names import sample_metrics
from bdd_inst.training.modes import mode
from bdd_inst.training.validation_loss import validation_losses

log = logging.getLogger(__name__)

DRAWN_SCORE = 0.5  # predictions below it are left out of the pictures, not of the figures


@dataclass
class TestSet:
    """One data set of DATASETS.TEST."""

    __test__ = False  # not a test case, whatever its name looks like to pytest

    name: str
    dicts: Sequence[dict]
    metadata: dict


class Scorer:
    """Scores models on every data set of ``cfg.DATASETS.TEST``; every process takes its share and all get the same figures."""

    def __init__(self, cfg: CfgNode) -> None:
        if cfg.TEST.PROTOCOL not in PROTOCOLS:
            raise ConfigError(
                f"TEST.PROTOCOL {cfg.TEST.PROTOCOL!r} is none of {', '.join(PROTOCOLS)}"
            )
        self.cfg = cfg
        self.sets: list[TestSet] = []
        self.last: dict[str, float | None] = {}
        for name in cfg.DATASETS.TEST:
            dicts, metadata, problems = load_datasets(cfg, [name], False)
            for line in problems.lines():
                log.warning("%s: %s", name, line)
            self.sets.append(TestSet(name, dicts, metadata))

    def figure_names(self) -> list[str]:
        """The names of the figures that :meth:`score` will give, losses left out."""
        names: list[str] = []
        for i, test in enumerate(self.sets):
            metrics = sample_metrics(self.cfg, test.name, test.dicts, test.metadata)
            names += flat(metrics, f"{test.name}/" if i else "")
        return names

    def score(self, model: nn.Module) -> dict[str, float | None]:
        """Flat figures, ``segm/AP`` and the like; of the second and later data sets under ``<name>/segm/AP``."""
        values: dict[str, float | None] = {}
        for i, test in enumerate(self.sets):
            prefix = f"{test.name}/" if i else ""
            values |= flat(self._evaluate(model, test, None, []), prefix)
        values |= self.losses(model)
        self.last = values
        return values

    def losses(self, model: nn.Module) -> dict[str, float]:
        """The losses on TEST.VAL_LOSS_PICTURES pictures of each data set, ``val/total_loss`` and the like."""
        values = {}
        for i, test in enumerate(self.sets):
            losses = validation_losses(model, self.cfg, test.dicts, self.cfg.TEST.VAL_LOSS_PICTURES)
            values |= {
                f"{test.name}/val/{name}" if i else f"val/{name}": value
                for name, value in losses.items()
            }
        return values

    def report(self, model: nn.Module, folder: Path) -> dict:
        """Full figures into ``folder``: metrics.json, report.html, PR curves, results and pictures.

        Where there are several data sets, each has a folder of its own in it.

        Returns:
            data set's name to the content of its metrics.json.
        """
        results = {}
        self.last = {}
        for i, test in enumerate(self.sets):
            place = folder / folder_name(test.name) if len(self.sets) > 1 else folder
            drawn: list[tuple[dict, object]] = []
            results[test.name] = self._evaluate(model, test, place, drawn)
            names = picture_names(self.wanted(test).values())
            if is_pixelwise(self.cfg):
                ignore = self.cfg.MODEL.SEM_SEG_HEAD.IGNORE_VALUE
                draw_maps(drawn, ignore, place / "pictures", names)
            else:
                draw(drawn, test.metadata, place / "pictures", names)
            self.last |= flat(results[test.name], f"{test.name}/" if i else "")
        if len(results) > 1 and distributed.world()[0] == 0:
            with atomic_write(folder / "metrics.json") as stream:
                json.dump(next(iter(results.values())) | {"datasets": results}, stream, indent=1)
        return results

    def wanted(self, test: TestSet) -> dict[object, dict]:
        """The pictures of a data set to draw, by image id."""
        return picked(test.dicts, self.cfg.TEST.PICTURES)

    def _evaluate(self, model: nn.Module, test: TestSet, folder: Path | None, drawn: list) -> dict:
        rank, world_size = distributed.world()
        evaluator = build_evaluator(self.cfg, test.name, test.dicts, test.metadata, folder)
        loader = build_test_loader(self.cfg, test.dicts, rank=rank, world_size=world_size)
        wanted = self.wanted(test) if folder else {}
        with undisturbed(), mode(model, evaluate=True), plain_worker_errors():
            for given, output in watch(
                predict_outputs(model, loader), loader, rank, f"evaluating {test.name}"
            ):
                evaluator.process([given], [output])
                if given["image_id"] in wanted:
                    shown = output.get("instances")
                    if shown is None:
                        shown = labels_of(output["sem_seg"])[0]
                    drawn.append((wanted[given["image_id"]], shown))
        metrics = evaluator.evaluate()
        if folder is not None and evaluator.outcome is not None:
            evaluator.outcome.results.source = "the trained model"
            run = next(
                (
                    place
                    for place in (folder, *list(folder.parents)[:2])
                    if (place / "training.csv").exists()
                ),
                None,
            )
            write_report(evaluator.outcome, folder, title=test.name, run_folder=run)
        return metrics


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Leave the global random state as it was: starting data workers draws from it."""
    with torch.random.fork_rng(devices=[]):
        yield


def watch(items: Iterable, loader: DataLoader, rank: int, title: str) -> Iterable:
    """A progress bar over pictures on a terminal."""
    return tqdm(
        items,
        total=len(loader.dataset),
        desc=title,
        unit="img",
        leave=False,
        dynamic_ncols=True,
        disable=None if rank == 0 else True,
    )


def picked(dicts: Sequence[dict], number: int) -> dict[object, dict]:
    """Pictures to draw, by image id: evenly spread over the data set, those with objects first."""
    candidates = [item for item in dicts if item.get("annotations")] or list(dicts)
    step = max(1, len(candidates) // number) if number > 0 else 0
    return {item["image_id"]: item for item in candidates[::step][:number]} if step else {}


def picture_names(records: Iterable[dict]) -> dict[str, str]:
    """File name of each record -> name of its drawing, without suffix: the file's own stem, with as many of its folders in front as
    tell it from the others."""
    files = {str(record["file_name"]): Path(record["file_name"]) for record in records}
    names = {}
    for file, path in files.items():
        parts = [*path.parent.parts, path.stem]
        for count in range(1, len(parts) + 1):
            name = "_".join(part.strip("/\\") for part in parts[-count:])
            rivals = [
                other
                for other, its in files.items()
                if other != file and [*its.parent.parts, its.stem][-count:] == parts[-count:]
            ]
            if not rivals:
                break
        while name in names.values():  # a.jpg beside a.png, or a_b beside a/b
            name += path.suffix.replace(".", "_") or "_"
        names[file] = name
    return names


def draw(
    drawn: Sequence[tuple[dict, object]], metadata: dict, folder: Path, names: dict[str, str]
) -> None:
    """Labels and predictions of some pictures side by side, one PNG each, called by ``names``."""
    for record, instances in drawn:
        try:
            image = read_bgr(record["file_name"])
        except DataError as error:
            log.warning("%s; not drawn", error)
            continue
        labels: DrawnObjects = from_record(
            {**record, "height": image.shape[0], "width": image.shape[1]}, metadata
        )
        picture = side_by_side(
            image,
            labels,
            from_fields(instances, metadata, DRAWN_SCORE),
            title=Path(record["file_name"]).name,
        )
        with atomic_write(folder / f"{names[str(record['file_name'])]}.png", "wb") as stream:
            stream.write(cv2.imencode(".png", picture)[1].tobytes())


def draw_maps(
    drawn: Sequence[tuple[dict, np.ndarray]], ignore: int, folder: Path, names: dict[str, str]
) -> None:
    """Picture, label map and predicted map (H,W class numbers) side by side, one PNG each, called by ``names``."""
    for record, predicted in drawn:
        image = np.asarray(read_image(record["file_name"]))
        truth = label_map_of(record, ignore)
        parts = [image, *(overlay(image, values) for values in (truth, predicted))]
        picture = np.concatenate(parts, axis=1)[:, :, ::-1]
        with atomic_write(folder / f"{names[str(record['file_name'])]}.png", "wb") as stream:
            stream.write(cv2.imencode(".png", picture)[1].tobytes())


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
    """The AP table of every data set, IoU by class where it is label maps, and the folder to open."""
    lines = []
    columns = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")
    for name, metrics in results.items():
        lines.append(f"{name}, protocol {metrics.get('protocol', 'coco')}:")
        if "bbox" in metrics or "segm" in metrics:
            lines.append(" " * 6 + "".join(f"{column:>8}" for column in columns))
        for kind in ("bbox", "segm"):
            if kind in metrics:
                lines.append(
                    f"{kind:<6}"
                    + "".join(f"{cell(metrics[kind].get(column)):>8}" for column in columns)
                )
                classes = {
                    key[3:]: value for key, value in metrics[kind].items() if key.startswith("AP-")
                }
                lines += (
                    [
                        f"  {kind} AP of "
                        + ", ".join(f"{key} {cell(value)}" for key, value in classes.items())
                    ]
                    if classes
                    else []
                )
        lines += pixel_lines(metrics)
    return "\n".join([*lines, f"results in {folder}"])


def cell(value: float | None) -> str:
    """A figure, or a dash where it is undefined."""
    return "-" if value is None else f"{value:.1f}"
