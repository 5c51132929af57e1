"""Writes the rendered data set: images, ``ins_seg`` JSON and ``pan_seg`` bitmasks in the tree of a real BDD100K download, whole or not at all."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np

from bdd_inst.base.errors import DataError
from bdd_inst.formats.bitmask import to_bitmask, write_bitmask
from bdd_inst.synthetic.labels import frame_of, segments_of
from bdd_inst.synthetic.paint import paint
from bdd_inst.synthetic.scene import compose

FOLDER = "synthetic_bdd"
# Goes into the folder's stamp: a change of the renderer renders anew instead of training on old images.
VERSION = 4
SPLITS = {"train": 240, "val": 60}

log = logging.getLogger(__name__)


def render(
    root: str | os.PathLike,
    *,
    counts: dict[str, int] | None = None,
    size: tuple[int, int] = (480, 270),
    seed: int = 2018,
    progress: Callable[[Iterable], Iterable] | None = None,
) -> Path:
    """Render the data set to ``root/synthetic_bdd`` unless it is there already, and return that folder.

    The tree is BDD100K's: ``images/10k/{split}/*.jpg``, ``labels/ins_seg/polygons/ins_seg_{split}.json`` and
    ``labels/pan_seg/bitmasks/{split}/*.png``. The same arguments give the
    same labels and images. Everything is written beside the target and renamed into place.

    Args:
        counts: images a split; 240 train and 60 val by default.
        size: width and height of an image in pixels.
        progress: wraps the loop over images, for a progress bar.

    Raises:
        DataError: the root cannot be written to.
    """
    counts = SPLITS if counts is None else counts
    target = Path(root) / FOLDER
    stamp = {"version": VERSION, "counts": counts, "size": list(size), "seed": seed}
    if read_stamp(target) == stamp:
        return target
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{FOLDER}.", suffix=".part", dir=root))
    except OSError as error:
        reason = f"cannot render the synthetic set here ({error.strerror})"
        raise DataError(f"{root}: {reason}; set DETECTRON2_DATASETS to a writable folder") from None
    log.info("rendering %d street scenes to %s", sum(counts.values()), target)
    try:
        jobs = [(split, i) for split, count in counts.items() for i in range(count)]
        frames: dict[str, list[dict]] = {split: [] for split in counts}
        for split, i in progress(jobs) if progress else jobs:
            frames[split].append(render_image(scratch, split, index=i, size=size, seed=seed))
        for split, content in frames.items():
            path = scratch / "labels" / "ins_seg" / "polygons" / f"ins_seg_{split}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
        (scratch / "rendered.json").write_text(json.dumps(stamp), encoding="utf-8")
        scratch.chmod(0o755)
        move_into_place(scratch, target, stamp)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def render_image(folder: Path, split: str, index: int, size: tuple[int, int], seed: int) -> dict:
    """Paint and write image ``index`` of a split and its panoptic bitmask; returns its Scalabel frame."""
    rng = np.random.default_rng([seed, sum(split.encode()), index])
    scene = compose(rng, *size)
    image, painted, stuff = paint(scene, rng)
    name = "{:08x}-{:08x}.jpg".format(*rng.integers(0, 2**32, 2))
    path = folder / "images" / "10k" / split / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92]):
        raise DataError(f"{path}: cannot be written; is the disk full?")
    mask = folder / "labels" / "pan_seg" / "bitmasks" / split / Path(name).with_suffix(".png").name
    mask.parent.mkdir(parents=True, exist_ok=True)
    write_bitmask(mask, to_bitmask(segments_of(painted, stuff), size[1], size[0]))
    return frame_of(name, scene, painted)


def read_stamp(target: Path) -> dict | None:
    """What the folder was rendered with, or None."""
    try:
        return json.loads((target / "rendered.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def move_into_place(scratch: Path, target: Path, stamp: dict) -> None:
    """Rename the finished folder; an older rendering gives way, and a process that was faster wins."""
    if target.exists() and read_stamp(target) is None and any(target.iterdir()):
        raise DataError(
            f"{target}: exists and was not rendered by this project; move it away or set DETECTRON2_DATASETS elsewhere"
        )
    if target.exists() and read_stamp(target) != stamp:
        shutil.rmtree(target)
    try:
        os.rename(scratch, target)
    except OSError:
        if read_stamp(target) != stamp:
            raise
