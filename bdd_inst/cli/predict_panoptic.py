"""What ``predict`` writes of a panoptic model beside its objects: ``panoptic.json``, ``panoptic/NAME.png``, and the drawn segments."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bdd_inst.base.output_paths import OutputPaths, output_name
from bdd_inst.datasets.panoptic_classes import PanopticClasses
from bdd_inst.drawing.panoptic import draw_segments
from bdd_inst.formats.panoptic_png import write_ids
from bdd_inst.inference.label_maps import png_names
from bdd_inst.inference.panoptic_results import PanopticFile, segments_on_cpu
from bdd_inst.inference.sources import Frame, ImageSource


class PanopticWriter:
    """Enters frames in order (:meth:`record`) and writes and draws them in any thread (:meth:`draw`).

    Args:
        file: open.
        folder: of the PNGs.
        classes: what segments are.
        source: the pictures.
    """

    def __init__(
        self, file: PanopticFile, folder: Path, classes: PanopticClasses, source: ImageSource
    ):
        self.file, self.folder, self.classes = file, folder, classes
        self.files, self.places = png_names(source.pictures), OutputPaths(folder)

    def record(self, frame: Frame, output: dict, image_id: int | str) -> None:
        """Enter a frame's segments into the JSON, and write their PNG."""
        ids, segments = segments_on_cpu(output, frame.name)
        path = self.path(frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_ids(path, ids)
        png = path.relative_to(self.folder).as_posix()
        self.file.add_image(image_id, frame.name, png, ids, segments)

    def path(self, frame: Frame) -> Path:
        """Where a frame's PNG goes."""
        name = self.files.get(frame.name) or Path(frame.name).with_suffix(".png").as_posix()
        # Frames of a video have names of their own; keeping a list of them would grow as a stream goes on.
        of_video = frame.video is not None
        return self.folder / output_name(name) if of_video else self.places(name)

    def draw(self, frame: Frame, output: dict) -> np.ndarray:
        """H,W,3 uint8 BGR: the frame with its segments, by name."""
        ids, segments = segments_on_cpu(output, frame.name)
        numbers = {one["id"]: self.classes.number(one) for one in segments}
        return draw_segments(frame.image, ids, numbers, self.classes.names)
