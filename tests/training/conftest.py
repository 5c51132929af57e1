"""A run small enough to be killed twenty times: a dozen 64-pixel images as COCO persons and a narrow ResNet-18-FPN."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.waiting import LAST_RESORT

TINY = """
_BASE_: {root}/configs/Base-MaskRCNN-FPN.yaml
SEED: 7
DATASETS: {{TRAIN: [coco_2017_person_train], TEST: [coco_2017_person_val]}}
MODEL:
  DEVICE: cpu
  WEIGHTS: ""
  PIXEL_STD: [57.375, 57.12, 58.395]
  BACKBONE: {{FREEZE_AT: 0}}
  RESNETS: {{DEPTH: 18, NORM: BN, STEM_OUT_CHANNELS: 8, RES2_OUT_CHANNELS: 8, STRIDE_IN_1X1: false}}
  FPN: {{OUT_CHANNELS: 32, NORM: GN}}
  ANCHOR_GENERATOR: {{SIZES: [[8], [16], [32], [64], [128]]}}
  RPN: {{PRE_NMS_TOPK_TRAIN: 50, PRE_NMS_TOPK_TEST: 20, POST_NMS_TOPK_TRAIN: 20, POST_NMS_TOPK_TEST: 10}}
  ROI_HEADS: {{NUM_CLASSES: 1, BATCH_SIZE_PER_IMAGE: 8, SCORE_THRESH_TEST: 0.0}}
  ROI_BOX_HEAD: {{FC_DIM: 16}}
  ROI_MASK_HEAD: {{CONV_DIM: 16, NUM_CONV: 1}}
INPUT: {{MASK_FORMAT: bitmask, MIN_SIZE_TRAIN: [56, 64], MAX_SIZE_TRAIN: 96, MIN_SIZE_TEST: 64, MAX_SIZE_TEST: 96}}
DATALOADER: {{NUM_WORKERS: 0}}
TEST: {{PICTURES: 2, DETECTIONS_PER_IMAGE: 5}}
LOGGERS: [csv]
SOLVER:
  IMS_PER_BATCH: 2
  CHECKPOINT_PERIOD: 4
  LOG_PERIOD: 3
  LR_SCHEDULER_NAME: WarmupCosineLR
  EMA: {{ENABLED: true, DECAY: 0.9}}
STAGES:
  - {{NAME: heads, TRAIN: heads, BASE_LR: 0.01, MAX_ITER: 5, WARMUP_ITERS: 2}}
  - {{NAME: full, TRAIN: all, BASE_LR: 0.02, MAX_ITER: 9, WARMUP_ITERS: 2, INPUT: {{RANDOM_FLIP: none}}}}
"""


def write_persons(root: Path, split: str, number: int, first_id: int) -> None:
    """Noise with bright ellipses called persons, as COCO files below ``root``."""
    rng = np.random.default_rng(first_id)
    folder = root / "coco" / f"{split}2017"
    folder.mkdir(parents=True)
    images, annotations = [], []
    for image_id in range(first_id, first_id + number):
        width, height = (72, 64) if image_id % 3 else (64, 80)
        image = rng.integers(0, 90, (height, width, 3), dtype=np.uint8)
        for _ in range(int(rng.integers(1, 4))):
            center, axes = rng.uniform(20, 45, 2), rng.uniform(6, 15, 2)
            angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
            outline = center + np.stack([np.cos(angles), np.sin(angles)], 1) * axes
            cv2.fillPoly(image, [outline.round().astype(np.int32)], (200, 220, 180))
            low, high = outline.min(0), outline.max(0)
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": image_id, "category_id": 1, "iscrowd": 0, "area": float(np.pi * axes.prod()),
                    "bbox": [*low.tolist(), *(high - low).tolist()], "segmentation": [outline.ravel().tolist()],
                }
            )  # fmt: skip
        images.append(
            {"id": image_id, "file_name": f"{image_id:012d}.jpg", "width": width, "height": height}
        )
        cv2.imwrite(str(folder / f"{image_id:012d}.jpg"), image)
    (root / "coco" / "annotations").mkdir(exist_ok=True)
    labels = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }
    (root / "coco" / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(labels))


@dataclass
class TinyRun:
    """Starts ``tools/train_net.py`` on the tiny data."""

    config: Path
    env: dict[str, str]
    root: Path

    def command(self, *arguments: object) -> list[str]:
        return [
            sys.executable,
            str(self.root / "tools" / "train_net.py"),
            "--config",
            str(self.config),
            *map(str, arguments),
        ]

    def start(self, *arguments: object, **options: object) -> subprocess.Popen:
        streams = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "env": self.env,
            "cwd": self.root,
        }
        return subprocess.Popen(self.command(*arguments), **(streams | options))

    def __call__(self, *arguments: object, expect: int = 0) -> str:
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            env=self.env,
            cwd=self.root,
            timeout=LAST_RESORT,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """A data set root with a dozen training and four validation images."""
    root = tmp_path_factory.mktemp("datasets")
    write_persons(root, "train", 12, 1)
    write_persons(root, "val", 4, 101)
    return root


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory, project_root) -> Path:
    """The tiny config as a file."""
    path = tmp_path_factory.mktemp("configs") / "tiny.yaml"
    path.write_text(TINY.format(root=project_root))
    return path


@pytest.fixture(scope="session")
def tiny(tiny_data, tiny_config, project_root) -> TinyRun:
    """Runs of the command line on the tiny data."""
    return TinyRun(
        tiny_config,
        os.environ | {"DETECTRON2_DATASETS": str(tiny_data), "OMP_NUM_THREADS": "1"},
        project_root,
    )


@pytest.fixture
def tiny_cfg(tiny_config, tiny_data, monkeypatch) -> Callable:
    """``tiny_cfg(KEY, VALUE, ...)`` -> the tiny config for runs inside the test's own process."""
    from bdd_inst.config.loading import load_cfg
    from bdd_inst.datasets.catalog import DatasetCatalog

    monkeypatch.setenv("DETECTRON2_DATASETS", str(tiny_data))
    for name in ("coco_2017_person_train", "coco_2017_person_val"):
        loader = DatasetCatalog._loaders.get(name)
        DatasetCatalog.remove(name)
        if loader:
            DatasetCatalog.register(name, loader)
    return lambda *overrides: load_cfg(tiny_config, [str(word) for word in overrides])
