"""A user's own data: any label file or folder named in DATASETS.TRAIN and DATASETS.TEST becomes a data set of the catalog."""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fvcore.common.config import CfgNode

from bdd_inst import formats
from bdd_inst.base.errors import ConfigError, DataError, ProblemLog
from bdd_inst.datasets.cache import cached
from bdd_inst.datasets.catalog import DatasetCatalog, MetadataCatalog
from bdd_inst.datasets.class_view import check_map_words
from bdd_inst.datasets.dataset import DatasetRecords
from bdd_inst.datasets.image_folder import images_beside
from bdd_inst.datasets.own_panoptic import load_panoptic_labels, panoptic_classes_of
from bdd_inst.datasets.panoptic_classes import ARCHITECTURE, PanopticClasses
from bdd_inst.datasets.to_dicts import ClassVocabulary, Options, to_dicts
from bdd_inst.formats.plan import make_plan
from bdd_inst.formats.value_names import ValueNames, parse_values
from bdd_inst.images.finder import ImageFinder

log = logging.getLogger(__name__)

LABEL_SUFFIXES = (".json", ".jsonl", ".gz", ".zip", ".png")


def prepare(cfg: CfgNode) -> None:
    """Import the user's modules, register the label files that ``cfg`` names, and fit the model to their classes; in place.

    Label files in DATASETS.TRAIN and DATASETS.TEST, and in a stage's own DATASETS.TRAIN, become data sets under their absolute paths.
    DATASETS.CLASSES is filled with their classes where it is empty, so that a run's config and checkpoint keep them, and the NUM_CLASSES
    of the heads follow it. Configs that name data sets of the catalog alone, and no classes, are left as they are.

    Args:
        cfg: changed in place.

    Raises:
        ConfigError: a module that cannot be imported, lists of unequal length, a class of CLASS_MAP that no data set has.
        DataError: files that are missing or cannot be read.
    """
    import_modules(cfg.DATASETS.IMPORTS)
    _register_labels(cfg)
    check_map_words(cfg)


def _register_labels(cfg: CfgNode) -> None:
    """What :func:`prepare` does once the user's modules are there."""
    places: dict[str, str] = {}
    for key, folders in (("TRAIN", "TRAIN_IMAGES"), ("TEST", "TEST_IMAGES")):
        places |= _resolve(cfg.DATASETS, key, folders, "DATASETS.")
    shared = list(cfg.DATASETS.TRAIN_IMAGES) if len(cfg.DATASETS.TRAIN_IMAGES) == 1 else []
    cfg.STAGES = [_resolved_stage(stage, shared, places) for stage in cfg.STAGES]
    if not places:
        if len(cfg.DATASETS.CLASSES) and cfg.MODEL.META_ARCHITECTURE != ARCHITECTURE:
            _fit_heads(cfg, cfg.DATASETS.CLASSES)
        return
    values = parse_values(cfg.DATASETS.VALUES) if cfg.DATASETS.VALUES else None
    if cfg.MODEL.META_ARCHITECTURE == ARCHITECTURE:
        _prepare_panoptic(cfg, places)
        return
    if not len(cfg.DATASETS.CLASSES):
        cfg.DATASETS.CLASSES = list(_training_classes(cfg, places, values))
    classes = tuple(cfg.DATASETS.CLASSES)
    # Where names are given anew a file keeps its own; they are chosen from when it is loaded, as those of the catalog's sets are.
    kept = None if len(cfg.DATASETS.CLASS_MAP) else classes
    for name, images in places.items():
        register(name, images or None, kept, masks=_needs_masks(cfg), values=values)
    _fit_heads(cfg, classes)


def _prepare_panoptic(cfg: CfgNode, places: Mapping[str, str]) -> None:
    """Register panoptic label files; things go to DATASETS.CLASSES, stuff to DATASETS.STUFF_CLASSES."""
    if not len(cfg.DATASETS.CLASSES):
        tested = set(cfg.DATASETS.TEST) - set(cfg.DATASETS.TRAIN)
        trained = [name for name in places if name not in tested] or list(places)
        things, stuff = panoptic_classes_of(trained)
        cfg.DATASETS.CLASSES, cfg.DATASETS.STUFF_CLASSES = list(things), list(stuff)
    things, stuff = tuple(cfg.DATASETS.CLASSES), tuple(cfg.DATASETS.STUFF_CLASSES)
    DatasetCatalog.ensure_registered()
    for name, images in places.items():
        DatasetCatalog.remove(name)
        loader = partial(load_panoptic_labels, name, images or None, things=things, stuff=stuff)
        DatasetCatalog.register(name, loader)
        MetadataCatalog.get(name).set(**PanopticClasses(things, stuff).metadata())
    _fit_heads(cfg, things)


def import_modules(names: Sequence[str]) -> None:
    """Import modules that register data sets, backbones and the like: by dotted name, from the working folder too, or a ``.py`` file.

    Args:
        names: dotted names or ``.py`` files.

    Raises:
        ConfigError: one that cannot be found or imported.
    """
    for name in names:
        path = Path(name)
        folder = str(Path(os.path.realpath(path)).parent if path.suffix == ".py" else Path.cwd())
        if folder not in sys.path:
            sys.path.insert(0, folder)
        try:
            importlib.import_module(path.stem if path.suffix == ".py" else name)
        except ImportError as error:
            raise ConfigError(
                f"DATASETS.IMPORTS {name}: cannot be imported ({error}); it is looked for in {folder} and among what is installed"
            ) from None


def register(
    path: str | os.PathLike,
    images: str | os.PathLike | None = None,
    classes: Sequence[str] | None = None,
    *,
    masks: bool = True,
    values: ValueNames | None = None,
) -> str:
    """Enter a label file or folder into the catalog, anew where it is there already; its name there is its absolute path.

    Args:
        path: labels in any format that ``formats.read`` reads; a pattern of PNGs too.
        images: the folder of their images; None looks beside the labels.
        classes: names in the order of class numbers; None takes the file's.
        masks: objects without a mask are left out, counted; False takes boxes alone.
        values: what the values of a label map mean, where its files' names do not say it.
    """
    name = os.path.abspath(path)
    DatasetCatalog.ensure_registered()
    DatasetCatalog.remove(name)
    names = tuple(classes or classes_of([name], values))
    loader = partial(load_labels, name, images, names, masks=masks, values=values)
    DatasetCatalog.register(name, loader)
    MetadataCatalog.get(name).set(thing_classes=list(names))
    return name


def get_dataset(
    name: str | os.PathLike, images: str | os.PathLike | None = None, **options: Any
) -> Sequence[dict]:
    """Detectron2's standard dicts of a data set; ``MetadataCatalog.get(name)`` then knows its classes.

    Args:
        name: of the catalog, e.g. ``synthetic_bdd_val`` (``DatasetCatalog.list()`` names all), or a label file or folder of any format.
        images: the folder of a label file's images, where they do not lie beside it.
        options: of the loader, e.g. ``raster="coco"``.

    Returns:
        a sequence of dicts: ``file_name``, ``height``, ``width``, ``image_id``, and ``annotations`` with ``bbox`` x1,y1,x2,y2 (exclusive),
        ``category_id`` from 0, ``segmentation``.

    Raises:
        ConfigError: an unknown name.
        DataError: data that are missing or cannot be read.
    """
    if isinstance(name, str) and name in DatasetCatalog and not images:
        return DatasetCatalog.get(name, **options)
    if not _is_path(os.fspath(name)):
        return DatasetCatalog.get(os.fspath(name), **options)  # says which names there are
    return DatasetCatalog.get(register(name, images), **options)


def load_labels(
    path: str,
    images: str | os.PathLike | None,
    classes: tuple[str, ...],
    *,
    masks: bool = True,
    raster: str = "official",
    values: ValueNames | None = None,
) -> DatasetRecords:
    """A label file or folder of any format as Detectron2's standard dicts.

    Args:
        raster: how outlines become masks where the labels are BDD100K's; others go by COCO's rule, or have masks already.

    Raises:
        DataError: labels or images that are not there or cannot be read.
    """

    def build() -> DatasetRecords:
        return _parse(path, images, classes=classes, masks=masks, raster=raster, values=values)

    sources = [Path(path), *([Path(images)] if images else [])]
    if not all(source.exists() for source in sources):
        return build()  # a pattern has no one file whose changes could be noticed
    options = {"loader": "own", "classes": list(classes), "masks": masks, "raster": raster}
    options |= {"values": sorted(values.items())} if values else {}
    return cached(sources, options, build)


def classes_of(paths: Sequence[str], values: ValueNames | None = None) -> tuple[str, ...]:
    """The classes of label files, in the first file's order, then those that only later ones have."""
    names: dict[str, None] = {}
    for path in paths:
        labels = formats.read_truth(path, values=values)
        names |= dict.fromkeys(make_plan(labels, "coco").categories)
    if not names:
        raise DataError(f"{', '.join(paths)}: no labeled object in it, so there are no classes")
    return tuple(names)


def folder_name(name: str) -> str:
    """A data set's name as the name of one folder: that of a label file is a path.

    Args:
        name: of a data set.

    Returns:
        Letters, digits, ``_``, ``.`` and ``-`` alone.
    """
    return re.sub(r"[^\w.-]+", "_", name).strip("_")


def _parse(
    path: str,
    images: str | os.PathLike | None,
    classes: tuple[str, ...],
    masks: bool,
    raster: str,
    values: ValueNames | None,
) -> DatasetRecords:
    finder = ImageFinder(images) if images else None
    labels = formats.read_truth(path, images=finder, values=values).load()
    finder = finder or ImageFinder(images_beside(path, labels))
    plan = make_plan(labels, "coco")
    rule = raster if labels.rule == "official" else "coco"
    words = ClassVocabulary(
        classes,
        {word: name for word, (name, ignored) in plan.words.items() if not ignored},
        {word: name for word, (name, ignored) in plan.words.items() if ignored and name in classes},
    )
    problems = ProblemLog()
    options = Options(masks, rule, box="mask" if rule == "official" else "file")
    dicts = to_dicts(labels.images, finder, categories=words, options=options, problems=problems)
    problems.merge(labels.problems)
    ids = {i: classes.index(name) for name, i in plan.number.items() if name in classes}
    if len(ids) != len(classes):
        ids = {i + 1: i for i in range(len(classes))}
    metadata = {
        "thing_classes": list(classes),
        "thing_dataset_id_to_contiguous_id": ids,
        "image_root": str(finder.folder),
        "json_file": str(path),
        "evaluator_type": "coco",
        "mask_rule": rule if labels.rule == "official" else labels.rule,
    }
    return DatasetRecords(dicts, metadata, problems)


def _resolve(section: dict, key: str, folders: str, where: str) -> dict[str, str]:
    """Make label files that ``section[key]`` names absolute, and the folders of their images; those files and their folders ("" none)."""
    names, images = list(section[key]), list(section.get(folders) or ())
    if images and len(images) not in (1, len(names)):
        raise ConfigError(
            f"{where}{folders} names {len(images)} folders for {len(names)} data sets; give one, or one for each"
        )
    images = images * len(names) if len(images) == 1 else images or [""] * len(names)
    own: dict[str, str] = {}
    every: dict[str, str] = {}
    for name, folder in zip(names, images, strict=True):
        folder = os.path.abspath(folder) if folder else ""
        if _is_path(name):
            name = os.path.abspath(name)
            own[name] = folder
        every[name] = folder
    section[key] = list(every)
    section[folders] = list(every.values()) if any(every.values()) else []
    return own


def _training_classes(
    cfg: CfgNode, places: Mapping[str, str], values: ValueNames | None
) -> Sequence[str]:
    """The classes of what is trained on: of the catalog's sets where stages add label files to one, else of the label files."""
    known = [MetadataCatalog.get(n).get("thing_classes") for n in cfg.DATASETS.TRAIN]
    tested = set(cfg.DATASETS.TEST) - set(cfg.DATASETS.TRAIN)
    trained = [name for name in places if name not in tested]
    if trained and not set(trained) & set(cfg.DATASETS.TRAIN) and known and known[0]:
        return known[0]
    return classes_of(trained or list(places), values)


def _resolved_stage(stage: object, shared: list[str], places: dict[str, str]) -> object:
    """A stage with the label files that it trains on made absolute; they and their folders are added to ``places``.

    A stage writes ``DATASETS: {TRAIN: [...]}`` or ``DATASETS.TRAIN: [...]``. Images of one folder are those of every stage (``shared``).
    """
    if not isinstance(stage, Mapping):
        return stage  # refused where stages are parsed, by name
    out = dict(stage)
    nested = isinstance(out.get("DATASETS"), Mapping)
    section, prefix = (dict(out["DATASETS"]), "") if nested else (out, "DATASETS.")
    key, folders = f"{prefix}TRAIN", f"{prefix}TRAIN_IMAGES"
    if not isinstance(section.get(key), (list, tuple)):
        return stage
    section.setdefault(folders, shared)
    found = _resolve(section, key, folders, "STAGES: ")
    if nested:
        out["DATASETS"] = section
    places |= {name: folder for name, folder in found.items() if name not in places}
    return out


def _is_path(name: str) -> bool:
    """Whether a data set's name is a path to labels: of what is there, or by its look."""
    if name in DatasetCatalog and not os.path.isabs(name):
        return False
    return os.path.exists(name) or os.sep in name or name.lower().endswith(LABEL_SUFFIXES)


def _needs_masks(cfg: CfgNode) -> bool:
    return bool(cfg.MODEL.MASK_ON) or cfg.MODEL.META_ARCHITECTURE != "GeneralizedRCNN"


def _fit_heads(cfg: CfgNode, classes: Sequence[str]) -> None:
    """NUM_CLASSES from the classes, logged where it changes; label maps have a background before the objects' classes."""
    wanted = {"ROI_HEADS": (len(classes),)}
    if cfg.MODEL.META_ARCHITECTURE == "SemanticSegmentor":
        number = len(classes) + 1
        wanted["SEM_SEG_HEAD"] = (number, 1) if number == 2 else (number,)
    names = {"ROI_HEADS": classes, "SEM_SEG_HEAD": classes}
    if cfg.MODEL.META_ARCHITECTURE == ARCHITECTURE:
        names["SEM_SEG_HEAD"] = cfg.DATASETS.STUFF_CLASSES
        wanted["SEM_SEG_HEAD"] = (len(cfg.DATASETS.STUFF_CLASSES) + 1,)
    for head, numbers in wanted.items():
        if cfg.MODEL[head].NUM_CLASSES not in numbers:
            log.info("MODEL.%s.NUM_CLASSES is %d: %s", head, numbers[0], ", ".join(names[head]))
            cfg.MODEL[head].NUM_CLASSES = numbers[0]
