"""Detections as COCO results, written to a file image by image."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TypeVar

from fvcore.common.config import CfgNode

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write, write_all
from bdd_inst.base.vocabulary import COCO_INSTANCES
from bdd_inst.datasets import catalog
from bdd_inst.datasets.class_view import seen_metadata
from bdd_inst.inference.sources import ImageSource
from bdd_inst.structures import Instances

log = logging.getLogger(__name__)


class OutputClasses:
    """What class indices mean. Attributes by index: ``names``; ``ids`` (of the data set, or index + 1); ``colors`` (RGB) or None."""

    def __init__(self, names: list[str], ids: list[int], colors: list | None = None):
        self.names, self.ids, self.colors = names, ids, colors

    @classmethod
    def of(cls, cfg: CfgNode, metadata: Mapping) -> OutputClasses:
        """Those that the weights name (``Predictor.metadata``), where they are as many as the model has; else :meth:`from_cfg`'s."""
        found = cls.from_metadata(metadata)
        if len(found.names) == cfg.MODEL.ROI_HEADS.NUM_CLASSES:
            return found
        return cls.from_cfg(cfg)

    @classmethod
    def from_metadata(cls, metadata: Mapping) -> OutputClasses:
        """Those of a data set's metadata; ids are index + 1 where it has none."""
        names = list(metadata.get("thing_classes") or ())
        table = metadata.get("thing_dataset_id_to_contiguous_id") or {}
        ids = sorted(table, key=table.get)
        if len(ids) != len(names):
            ids = list(range(1, len(names) + 1))
        return cls(names, ids, metadata.get("thing_colors"))

    @classmethod
    def from_cfg(cls, cfg: CfgNode) -> OutputClasses:
        """Those of the first data set in DATASETS.TEST or DATASETS.TRAIN that is known and has as many classes as the model;
        else ``class 1``, ``class 2``, ... with ids from 1. Known are the catalog's, and COCO's own by Detectron2's names."""
        number = cfg.MODEL.ROI_HEADS.NUM_CLASSES
        for name in (*cfg.DATASETS.TEST, *cfg.DATASETS.TRAIN):
            if name in catalog.DatasetCatalog:
                found = cls.from_metadata(seen_metadata(name, cfg.DATASETS))
            else:
                coco = COCO_INSTANCES if name.startswith(("coco_2014_", "coco_2017_")) else {}
                found = cls(list(coco.values()), list(coco))
            if len(found.names) == number:
                return found
        return cls([f"class {i + 1}" for i in range(number)], list(range(1, number + 1)))


def image_ids(cfg: CfgNode, source: ImageSource) -> dict[str, int | str]:
    """Frame name -> image id, where the images are those of a data set in DATASETS.TEST: predictions can then be scored against it.

    Only data sets below the data root are looked at, and only if the images lie there too; nothing is rendered or fetched for it.

    Args:
        cfg: names the data sets.
        source: the images that are predicted on.

    Returns:
        empty where the images are no data set's.
    """
    root = Path(os.path.realpath(catalog.data_root()))
    names = {name: Path(os.path.realpath(path)) for name, path in source.images.items()}
    if source.videos or not all(path.is_relative_to(root) for path in names.values()):
        return {}
    found = {}
    for name in cfg.DATASETS.TEST:
        if name in catalog.DatasetCatalog:
            with contextlib.suppress(DataError):
                found.update(
                    {
                        Path(os.path.realpath(r["file_name"])): r["image_id"]
                        for r in catalog.DatasetCatalog.get(name)
                    }
                )
    return {name: found[path] for name, path in names.items() if path in found}


def to_results(instances: Instances, categories: OutputClasses, **common: object) -> list[dict]:
    """One dict a detection: ``common`` (``image_id``, ``file_name``, ...), ``category_id``, ``category_name``,
    ``bbox`` x,y,w,h, ``score``, and ``segmentation`` (compressed RLE) where there are masks (RLEMasks).

    Args:
        instances: N detections of one image: ``pred_boxes`` x1,y1,x2,y2, ``scores``, ``pred_classes``, perhaps ``pred_masks``.
        categories: names and ids by class index.
        common: entries of every dict.

    Returns:
        N dicts.
    """
    boxes = instances.pred_boxes.tensor.clone()
    boxes[:, 2:] -= boxes[:, :2]
    masks = instances.pred_masks.rles if instances.has("pred_masks") else [None] * len(instances)
    out = []
    for box, score, index, mask in zip(
        boxes.tolist(),
        instances.scores.tolist(),
        instances.pred_classes.tolist(),
        masks,
        strict=True,
    ):
        entry = {
            **common,
            "category_id": categories.ids[index],
            "category_name": categories.names[index],
            "bbox": box,
            "score": score,
        }
        out.append(entry if mask is None else {**entry, "segmentation": mask})
    return out


class ResultsFile:
    """A JSON list that grows image by image. Attributes: ``number`` of results in it."""

    def __init__(self, stream: IO[bytes], head: bytes = b"["):
        """``head`` opens the list; what closes more than the list is :meth:`tail`'s."""
        self.stream, self.number, self._whole = stream, 0, len(head)
        write_all(stream.fileno(), head)

    def add(self, entries: list[dict]) -> None:
        """Append the results of one image."""
        texts = (json.dumps(entry, ensure_ascii=False, allow_nan=False) for entry in entries)
        data = b"".join(
            # Bytes of a name that are no UTF-8 become the escapes that Python's json writes for them.
            (b",\n" if self.number or place else b"\n") + text.encode(errors="backslashreplace")
            for place, text in enumerate(texts)
        )
        write_all(self.stream.fileno(), data)
        self._whole, self.number = self._whole + len(data), self.number + len(entries)

    def close(self) -> None:
        """End the list; what is half there of a last image goes."""
        number = self.stream.fileno()
        os.ftruncate(number, self._whole)
        os.lseek(number, self._whole, os.SEEK_SET)
        write_all(number, b"\n]" if self.number else b"]")
        for block in (*self.tail(), b"\n"):
            write_all(number, block)

    def tail(self) -> Iterable[bytes]:
        """What follows the list."""
        return ()


File = TypeVar("File", bound=ResultsFile)


@contextlib.contextmanager
def results_file(
    path: str | os.PathLike, make: Callable[[IO[bytes]], File] = ResultsFile
) -> Iterator[File]:
    """Open a results file; it appears whole at the end of the block.

    An interruption (Ctrl-C, SIGTERM) closes the list with the images that it has. After an error, such as a full disk, a file
    of that name stays as it was, and the list so far goes beside it as ``NAME.partial.json``. Both are said.

    Args:
        path: of the JSON file.
        make: what is made of the open stream.

    Yields:
        the file, open for :meth:`ResultsFile.add`.
    """
    path = Path(path)
    results: File | None = None

    def keep(_: IO, error: BaseException) -> Path | None:
        if results is None or not results.number:
            return None
        interrupted = isinstance(error, KeyboardInterrupt)
        place = path if interrupted else path.with_suffix(".partial.json")
        try:
            results.close()
        except OSError:  # there is no room even for the end of the list
            return None
        what = "interruption" if interrupted else "error"
        log.warning("%s holds the %d results of before the %s", place, results.number, what)
        return place

    with atomic_write(path, "wb", keep) as stream:
        results = make(stream)
        yield results
        results.close()
