"""The dicts of data sets as a run needs them: joined, held against the model's classes, and what cannot train left out, counted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

import numpy as np
from fvcore.common.config import CfgNode

from bdd_inst.base.errors import ConfigError, DataError, ProblemLog
from bdd_inst.data.ground_truth import usable
from bdd_inst.data.panoptic import is_panoptic
from bdd_inst.data.sem_seg import BACKGROUND, class_names, is_pixelwise
from bdd_inst.data.validation import checked_dicts
from bdd_inst.datasets.catalog import DatasetCatalog, MetadataCatalog
from bdd_inst.datasets.class_view import ClassView, class_view
from bdd_inst.datasets.dict_array import DictArray

log = logging.getLogger(__name__)


def load_datasets(
    cfg: CfgNode, names: Sequence[str], is_train: bool
) -> tuple[Sequence[dict], dict, ProblemLog]:
    """The dicts of all named data sets, their metadata, and what was skipped and why.

    In training, images without a usable object are left out (DATALOADER.FILTER_EMPTY_ANNOTATIONS) and counted.

    Args:
        cfg: DATALOADER.FILTER_EMPTY_ANNOTATIONS, DATASETS.CLASSES and CLASS_MAP, and the classes that MODEL has.
        names: of the catalog.
        is_train: leave out what cannot train.

    Returns:
        Detectron2's standard dicts, the metadata that the sets share, and the counts.

    Raises:
        ConfigError: no names, names of sets with different classes or with some of DATASETS.CLASSES unlabeled, or a model with another
            number of classes.
        DataError: a data set that is not there, dicts that would train or score wrongly (see :mod:`bdd_inst.data.validation`), or nothing left to train or evaluate on.
    """
    if not names:
        raise ConfigError(
            f"DATASETS.{'TRAIN' if is_train else 'TEST'} is empty; name a data set, e.g. synthetic_bdd_train"
        )
    problems = ProblemLog()
    parts: list[Sequence[dict]] = []
    seen: list[dict] = []
    for name in names:
        dicts, known = _one(name, cfg, is_train, problems)
        parts.append(dicts)
        seen.append(known)
    metadata = common_metadata(names, seen)
    check_classes(cfg, metadata, names)
    dicts = parts[0] if len(parts) == 1 else [d for part in parts for d in part]
    # A label map of stuff trains a pixel-wise model without any object.
    stuff = is_pixelwise(cfg) and metadata.get("stuff_classes")
    if is_train and cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS and not stuff:
        dicts = without_empty(dicts, problems)
    if not len(dicts):
        reasons = "; ".join(problems.lines()) or "the label files list no images"
        raise DataError(
            f"{', '.join(names)}: nothing left to {'train' if is_train else 'evaluate'} on: {reasons}"
        )
    if len(names) > 1:  # each of them has been announced by the catalog
        log.info("%s: %d images in all", ", ".join(names), len(dicts))
    return dicts, metadata, problems


def _one(
    name: str, cfg: CfgNode, is_train: bool, problems: ProblemLog
) -> tuple[Sequence[dict], dict]:
    """One data set's dicts and metadata, checked, in the model's classes."""
    loaded = DatasetCatalog.get(
        name,
        raster=cfg.DATASETS.RASTER,
        instances=cfg.DATASETS.INSTANCES,
        source=cfg.DATASETS.SOURCE,
    )
    known = MetadataCatalog.get(name).as_dict()
    if known.get("problems") is not None:
        problems.merge(known["problems"])
    checked = partial(checked_dicts, metadata=known, cfg=cfg, is_train=is_train, problems=problems)
    view = class_view(name, known, cfg.DATASETS)
    if view is None:
        return checked(name, loaded), known
    if is_train and view.unlabeled:
        refuse_unlabeled(name, view)
    # Arrays are checked as they are seen; a user's list with its own class numbers, which the checks name.
    arrays = isinstance(loaded, DictArray)
    if arrays:
        loaded = view.dicts(name, loaded, problems)
    dicts = checked(name, loaded)
    return (dicts if arrays else view.dicts(name, dicts, problems)), view.metadata(known)


def refuse_unlabeled(name: str, view: ClassView) -> None:
    """Raise ConfigError: objects that stand in the images without a label would be trained as background."""
    missing = ", ".join(view.unlabeled)
    raise ConfigError(
        f"{name} does not label {missing}, which DATASETS.CLASSES has: its objects of them would be trained as background. "
        f"Say in DATASETS.CLASS_MAP which of its classes ({', '.join(view.words)}) they are, or leave {missing} out"
    )


def common_metadata(names: Sequence[str], known: Sequence[dict]) -> dict:
    """The metadata of the first data set (``known``: one for each name); the others must have the same classes."""
    first = known[0]
    for name, other in zip(names[1:], known[1:], strict=True):
        for mine, theirs in zip(vocabularies(first), vocabularies(other), strict=True):
            if mine == theirs:
                continue
            raise ConfigError(
                f"{names[0]} and {name} have different classes, {mine} and {theirs}; to join them, "
                "choose with DATASETS.CLASSES and say in DATASETS.CLASS_MAP which are the same"
            )
    return first


def vocabularies(metadata: dict) -> tuple[list[str], list[str]]:
    """The classes of objects and those of label maps."""
    return list(metadata.get("thing_classes") or ()), class_names(metadata)


def check_classes(cfg: CfgNode, metadata: dict, names: Sequence[str]) -> None:
    """Raise ConfigError where the model has another number of classes than the data."""
    if is_panoptic(cfg) and not metadata.get("stuff_classes"):
        raise ConfigError(
            f"{', '.join(names)}: its labels know no stuff, which MODEL.META_ARCHITECTURE PanopticFPN needs; "
            "name a panoptic data set, e.g. synthetic_bdd_pan_seg_train"
        )
    if is_pixelwise(cfg) or is_panoptic(cfg):
        check_label_classes(cfg, metadata, names)
    if is_pixelwise(cfg):
        return
    there, wanted = len(metadata["thing_classes"]), cfg.MODEL.ROI_HEADS.NUM_CLASSES
    if there != wanted:
        raise ConfigError(
            f"MODEL.ROI_HEADS.NUM_CLASSES is {wanted}, but {', '.join(names)} has {there} classes: set it to {there}"
        )


def check_label_classes(cfg: CfgNode, metadata: dict, names: Sequence[str]) -> None:
    """As :func:`check_classes` of label maps: as many classes as values, or 1 where they are background and one class."""
    there, wanted = class_names(metadata), cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES
    fits = {len(there), 1} if len(there) == 2 and there[0] == BACKGROUND else {len(there)}
    if wanted not in fits:
        raise ConfigError(
            f"MODEL.SEM_SEG_HEAD.NUM_CLASSES is {wanted}, but the label maps of {', '.join(names)} have {len(there)} values "
            f"({', '.join(there[:4])}{', ...' if len(there) > 4 else ''}): set it to {' or '.join(map(str, sorted(fits)))}"
        )


def without_empty(dicts: Sequence[dict], problems: ProblemLog) -> Sequence[dict]:
    """Images with at least one object that is no crowd; the others are counted."""
    if isinstance(dicts, DictArray):
        keep = dicts.object_counts(crowds=False) > 0
    else:
        keep = np.array(
            ["sem_seg_file_name" in d or bool(usable(d.get("annotations", ()))) for d in dicts],
            bool,
        )
    if not keep.all():
        example = dicts[int(np.flatnonzero(~keep)[0])]["file_name"]
        message = "no object to train on (none labeled, or only crowds); left out of training"
        problems.add("no-usable-object", example, message, count=int((~keep).sum()))
    return (
        dicts.select(keep)
        if isinstance(dicts, DictArray)
        else [d for d, k in zip(dicts, keep) if k]
    )
