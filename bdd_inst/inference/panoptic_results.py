"""A panoptic model's segments as COCO panoptic files: PNGs whose colors number them, and the JSON that says what they are."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np
from fvcore.common.config import CfgNode

from bdd_inst.base.errors import DataError
from bdd_inst.datasets import catalog
from bdd_inst.datasets.panoptic_classes import PanopticClasses
from bdd_inst.formats.write_panoptic import category_rows, segment_rows
from bdd_inst.inference.results import ResultsFile, results_file


def panoptic_classes(cfg: CfgNode, metadata: Mapping) -> PanopticClasses:
    """What segments' class numbers mean: as the weights say, else the first data set of the config that has as many classes.

    Args:
        cfg: of a panoptic model.
        metadata: what the weights say of themselves; may be empty.

    Returns:
        names of things and stuff, and the data set's own numbers.
    """
    number = cfg.MODEL.ROI_HEADS.NUM_CLASSES, cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES - 1
    known = (
        catalog.MetadataCatalog.get(name).as_dict()
        for name in (*cfg.DATASETS.TEST, *cfg.DATASETS.TRAIN)
        if name in catalog.DatasetCatalog
    )
    for found in (metadata, *known):
        if found.get("thing_classes") and found.get("stuff_classes"):
            classes = PanopticClasses.of(found)
            if (len(classes.things), len(classes.stuff)) == number:
                return classes
    things = tuple(f"thing {i}" for i in range(1, number[0] + 1))
    return PanopticClasses(things, tuple(f"stuff {i}" for i in range(1, number[1] + 1)))


class PanopticFile(ResultsFile):
    """A COCO panoptic JSON that grows image by image; memory does not grow with it."""

    def __init__(self, stream: IO[bytes], images: IO[bytes], classes: PanopticClasses):
        """``images`` holds the second of its lists until the first is whole."""
        super().__init__(stream, b'{"annotations": [')
        self.images, self.classes, self.ids = images, classes, classes.own_ids()

    def add_image(
        self, image_id: int | str, name: str, png: str, ids: np.ndarray, segments: list[dict]
    ) -> None:
        """Enter one image.

        Args:
            image_id: of the image.
            name: its file name.
            png: of its segments, relative to their folder.
            ids: H,W int32 segment ids.
            segments: as the model gives them: ``id``, ``category_id``, ``isthing``.
        """
        own = [
            {
                "id": one["id"],
                "category_id": self.ids[self.classes.names[self.classes.number(one)]],
            }
            for one in segments
        ]
        rows = segment_rows(ids, own)
        self.add([{"image_id": image_id, "file_name": png, "segments_info": rows}])
        height, width = ids.shape
        image = {"id": image_id, "file_name": name, "width": width, "height": height}
        text = json.dumps(image, ensure_ascii=False)
        self.images.write(
            (",\n" if self.images.tell() else "\n").encode()
            + text.encode(errors="backslashreplace")
        )

    def tail(self) -> Iterator[bytes]:
        """Images and categories."""
        yield b',\n"images": ['
        end = self.images.tell()
        self.images.seek(0)
        while block := self.images.read(1 << 20):
            yield block
        self.images.seek(end)
        yield b'\n],\n"categories": '
        yield json.dumps(category_rows(self.ids, self.classes.things)).encode()
        yield b"}"


@contextlib.contextmanager
def panoptic_file(path: str | os.PathLike, classes: PanopticClasses) -> Iterator[PanopticFile]:
    """Open a COCO panoptic JSON; it appears whole at the end of the block, as :func:`results_file` has it.

    Args:
        path: of the JSON; the PNGs go to the folder of its name.
        classes: what class numbers mean.

    Yields:
        the file, open for :meth:`PanopticFile.add_image`.
    """
    with (
        tempfile.SpooledTemporaryFile(1 << 20) as images,
        results_file(Path(path), lambda stream: PanopticFile(stream, images, classes)) as file,
    ):
        yield file


def segments_on_cpu(output: dict, name: str) -> tuple[np.ndarray, list[dict]]:
    """What a panoptic model found in an image.

    Args:
        output: with ``panoptic_seg``.
        name: of the image, for the message.

    Returns:
        Segment ids H,W int32, 0 where there is none, and the segments.

    Raises:
        DataError: the model gave none.
    """
    if "panoptic_seg" not in output:
        raise DataError(f"{name}: the model gave no panoptic_seg; is it a panoptic one?")
    ids, segments = output["panoptic_seg"]
    return np.asarray(ids.cpu(), np.int32), segments
