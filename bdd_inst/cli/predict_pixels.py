"""What ``predict`` writes of a pixel-wise model: label maps, probabilities, cut-outs, and the drawn image."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from bdd_inst.base.errors import ConfigError
from bdd_inst.data.sem_seg import BACKGROUND
from bdd_inst.drawing.draw import Style, draw_instances
from bdd_inst.formats.label_map import class_instances, write_gray
from bdd_inst.inference.frame_pngs import FramePngs
from bdd_inst.inference.label_maps import (
    as_bytes,
    cut_out,
    label_names,
    labels_of,
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
        self.pngs = {
            kind: FramePngs(Path(options.output, kind), source)
            for kind in ("labels", "probabilities", "cutouts")
        }
        self.folder = self.pngs["labels"].folder

    def draw(self, frame: Frame, output: dict) -> np.ndarray | None:
        """Write the frame's label map and what else is asked for; H,W,3 uint8 BGR drawn, None with --no-overlays."""
        logits = output["sem_seg"]
        labels, _ = labels_of(logits, frame.name, self.options.threshold, self.ignore)
        write_labels(self.pngs["labels"](frame), labels, self.classes)
        if self.options.probabilities or self.options.cutouts:
            probability = probability_of(logits)
            if self.options.probabilities:
                write_gray(self.pngs["probabilities"](frame), as_bytes(probability))
            if self.options.cutouts:
                save_image(self.pngs["cutouts"](frame), cut_out(frame.image, probability))
        return None if self.options.no_overlays else self.overlay(frame.image, labels)

    def overlay(self, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The image, H,W,3 uint8 BGR, with the classes of ``labels`` H,W laid over it, by name; the background stays as it is."""
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
