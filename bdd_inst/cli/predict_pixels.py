"""What ``predict`` writes of a pixel-wise model: label maps, probabilities, cut-outs, and the drawn picture."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from bdd_inst.base.errors import ConfigError
from bdd_inst.base.output_paths import OutputPaths, output_name
from bdd_inst.data.sem_seg import BACKGROUND
from bdd_inst.drawing.draw import Style, draw_instances
from bdd_inst.formats.label_map import class_instances, write_gray
from bdd_inst.inference.label_maps import (
    as_bytes,
    cut_out,
    label_names,
    labels_of,
    png_names,
    probability_of,
    write_labels,
)
from bdd_inst.inference.sources import Frame, ImageSource
from bdd_inst.report.album import save_image

STYLE = Style(show_boxes=False, show_scores=False)


class PixelWriter:
    """Writes a frame's files as it draws it; frames may come from several threads.

    Attributes: ``folder``, where the label maps go.
    """

    def __init__(self, options: argparse.Namespace, predictor, source: ImageSource):
        head = predictor.cfg.MODEL.SEM_SEG_HEAD
        if options.cutouts and head.NUM_CLASSES > 2:
            raise ConfigError(
                f"--cutouts needs a model of one class, this one has {head.NUM_CLASSES}; --probabilities writes how sure it is"
            )
        self.options, self.ignore = options, head.IGNORE_VALUE
        self.classes, self.names = head.NUM_CLASSES, label_names(predictor.cfg, predictor.metadata)
        self.output = Path(options.output)
        self.folder = self.output / "labels"
        self.places = {
            kind: OutputPaths(Path(options.output, kind))
            for kind in ("labels", "probabilities", "cutouts")
        }
        self.files = png_names(source.pictures)

    def draw(self, frame: Frame, output: dict) -> np.ndarray | None:
        """Write the frame's label map and what else is asked for; H,W,3 uint8 BGR drawn, None with --no-overlays."""
        logits = output["sem_seg"]
        labels, _ = labels_of(logits, frame.name, self.options.threshold, self.ignore)
        write_labels(self.path("labels", frame), labels, self.classes)
        if self.options.probabilities or self.options.cutouts:
            probability = probability_of(logits)
            if self.options.probabilities:
                write_gray(self.path("probabilities", frame), as_bytes(probability))
            if self.options.cutouts:
                save_image(self.path("cutouts", frame), cut_out(frame.image, probability))
        return None if self.options.no_overlays else self.overlay(frame.image, labels)

    def path(self, folder: str, frame: Frame) -> Path:
        """Where a frame's PNG goes, its folder made."""
        name = self.files.get(frame.name) or Path(frame.name).with_suffix(".png").as_posix()
        # Frames of a video have names of their own; keeping a list of them would grow as a stream goes on.
        of_video = frame.video is not None
        path = self.output / folder / output_name(name) if of_video else self.places[folder](name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def overlay(self, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The picture with the classes laid over it, by name; the background stays as it is."""
        background = 0 if self.names.names[0] == BACKGROUND else -1
        values = labels.astype(np.uint16 if labels.max(initial=0) > 255 else np.uint8)
        found = class_instances(values, background, self.ignore)
        if not found:
            return image
        return draw_instances(
            image,
            masks=[mask for _, mask in found],
            classes=[label for label, _ in found],
            names=self.names.names,
            colors=self.names.colors,
            style=STYLE,
        )
