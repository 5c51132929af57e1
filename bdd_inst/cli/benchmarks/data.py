"""Data: label files read, from label file to first batch, memory of the workers, and the mapper, beside Detectron2's."""

from __future__ import annotations

import argparse

import cv2
import torch

from bdd_inst.cli.benchmarks._data_mapper import run_mapper
from bdd_inst.cli.benchmarks._data_readers import run_readers
from bdd_inst.cli.benchmarks._data_start import run_start

DESCRIPTION = "label files of 126 000 polygons, start on a COCO-sized set, memory a worker, mapper on 1280x720 images"


def run(options: argparse.Namespace) -> None:
    """Run all parts; the mapper on one thread, as in a worker."""
    run_readers(options)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        run_mapper(options)
    finally:
        torch.set_num_threads(threads)
    run_start(options)
