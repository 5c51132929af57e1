"""Where the PNG of a frame goes, below a folder: beside other images of its stem, and for frames of videos without a growing list."""

from __future__ import annotations

import os
from pathlib import Path

from bdd_inst.base.output_paths import OutputPaths, output_name
from bdd_inst.inference.label_maps import png_names
from bdd_inst.inference.sources import Frame, ImageSource


class FramePngs:
    """A PNG for each frame. Threads may use it together.

    Args:
        folder: below which they go.
        source: the frames.
    """

    def __init__(self, folder: str | os.PathLike, source: ImageSource):
        self.folder = Path(folder)
        self.names, self.places = png_names(source.images), OutputPaths(folder)

    def __call__(self, frame: Frame) -> Path:
        """The frame's file; the folder that it lies in is made."""
        name = self.names.get(frame.name) or Path(frame.name).with_suffix(".png").as_posix()
        # Frames of a video have names of their own; keeping a list of them would grow as a stream goes on.
        of_video = frame.video is not None
        path = self.folder / output_name(name) if of_video else self.places(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
