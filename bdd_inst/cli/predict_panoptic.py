"""What ``predict`` writes of a panoptic model beside its objects: ``panoptic.json``, ``panoptic/NAME.png``, and the drawn segments."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bdd_inst.datasets.panoptic_classes import PanopticClasses
from bdd_inst.drawing.panoptic import draw_segments
from bdd_inst.formats.panoptic_png import write_ids
from bdd_inst.inference.frame_pngs import FramePngs
from bdd_inst.inference.panoptic_results import PanopticFile, segments_on_cpu
from bdd_inst.inference.sources import Frame, ImageSource


class PanopticWriter:
    """Writes frames in order (:meth:`record`), so that every entry of the JSON has its PNG, and draws them in any thread (:meth:`draw`).

    Args:
        file: open.
        folder: of the PNGs.
        classes: what segments are.
        source: the images.
    """

    def __init__(
        self, file: PanopticFile, folder: Path, classes: PanopticClasses, source: ImageSource
    ):
        self.file, self.folder, self.classes = file, folder, classes
        self.pngs = FramePngs(folder, source)

    def record(self, frame: Frame, output: dict, image_id: int | str) -> None:
        """Write the PNG of a frame's segments, and enter them into the JSON."""
        ids, segments = segments_on_cpu(output, frame.name)
        path = self.pngs(frame)
        write_ids(path, ids)
        png = path.relative_to(self.folder).as_posix()
        self.file.add_image(image_id, frame.name, png=png, ids=ids, segments=segments)

    def draw(self, frame: Frame, output: dict) -> np.ndarray:
        """H,W,3 uint8 BGR: the frame with its segments, by name."""
        ids, segments = segments_on_cpu(output, frame.name)
        numbers = {one["id"]: self.classes.number(one) for one in segments}
        return draw_segments(frame.image, ids, numbers, self.classes.names)
