"""Labels and predictions of some images of a data set side by side, one PNG an image."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.data.panoptic import segments_of
from bdd_inst.data.sem_seg import label_map_of
from bdd_inst.datasets.panoptic_classes import PanopticClasses
from bdd_inst.drawing.draw import side_by_side
from bdd_inst.drawing.objects import from_fields, from_record
from bdd_inst.drawing.panoptic import draw_segments
from bdd_inst.evaluation.evaluate_model import Shown
from bdd_inst.formats.label_map import overlay
from bdd_inst.images.read import read_bgr, read_image
from bdd_inst.report.album import save_image
from bdd_inst.structures import Instances

log = logging.getLogger(__name__)

DRAWN_SCORE = 0.5  # predictions below it are left out of the images, not of the figures


def write_side_by_side(
    shown: Sequence[tuple[dict, Shown]],
    metadata: dict,
    folder: Path,
    names: dict[str, str],
    ignore: int = 255,
) -> None:
    """One PNG an image: labels left, predictions right; of label maps and segments the image itself first.

    Args:
        shown: dataset dict and prediction, as :class:`bdd_inst.evaluation.evaluate_model.TestResult` has them.
        metadata: of the data set: class names and colors.
        folder: where they go.
        names: file name to the drawing's name without suffix, see :func:`image_names`.
        ignore: the label of pixels that do not count.
    """
    for record, prediction in shown:
        name = str(record["file_name"])
        try:
            if isinstance(prediction, tuple):
                drawn = _segments(record, prediction, PanopticClasses.of(metadata), ignore)
            elif isinstance(prediction, np.ndarray):
                drawn = _label_maps(record, prediction, ignore)
            else:
                drawn = _objects(record, prediction, metadata)
        except DataError as error:
            log.warning("%s; not drawn", error)
            continue
        save_image(folder / f"{names[name]}.png", drawn)


def image_names(records: Iterable[dict]) -> dict[str, str]:
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


def _objects(record: dict, instances: Instances, metadata: dict) -> np.ndarray:
    """H,W,3 BGR of an image's labeled and predicted objects."""
    image = read_bgr(record["file_name"])
    size = {"height": image.shape[0], "width": image.shape[1]}
    return side_by_side(
        image,
        from_record({**record, **size}, metadata),
        from_fields(instances, metadata, DRAWN_SCORE),
        title=Path(record["file_name"]).name,
    )


def _segments(
    record: dict, predicted: tuple[np.ndarray, list[dict]], classes: PanopticClasses, ignore: int
) -> np.ndarray:
    """H,W,3 BGR of an image, its segments and the predicted ones."""
    image = read_bgr(record["file_name"])
    parts = [image]
    for ids, segments in (segments_of(record, ignore), predicted):
        numbers = {one["id"]: classes.number(one) for one in segments}
        parts.append(draw_segments(image, ids, numbers, classes.names))
    return np.concatenate(parts, axis=1)


def _label_maps(record: dict, predicted: np.ndarray, ignore: int) -> np.ndarray:
    """H,W,3 BGR of an image, its label map and the predicted one."""
    image = np.asarray(read_image(record["file_name"]))
    truth = label_map_of(record, ignore)
    parts = [image, *(overlay(image, values) for values in (truth, predicted))]
    return np.concatenate(parts, axis=1)[:, :, ::-1]
