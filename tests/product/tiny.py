"""What the tests of the product share: a model of milliseconds and data of a few images."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np


def words(text: str) -> list[str]:
    """Config words of several lines."""
    return text.split()


MODEL = words("""
    MODEL.FPN.OUT_CHANNELS 16 MODEL.RESNETS.RES2_OUT_CHANNELS 16 MODEL.RESNETS.STEM_OUT_CHANNELS 8
    MODEL.ROI_BOX_HEAD.FC_DIM 16 MODEL.ROI_MASK_HEAD.CONV_DIM 16 MODEL.ROI_MASK_HEAD.NUM_CONV 1
    MODEL.RPN.POST_NMS_TOPK_TRAIN 20 MODEL.RPN.POST_NMS_TOPK_TEST 20 MODEL.ROI_HEADS.SCORE_THRESH_TEST 0.0
    INPUT.MIN_SIZE_TRAIN (64,64) INPUT.MAX_SIZE_TRAIN 96 INPUT.MIN_SIZE_TEST 64 INPUT.MAX_SIZE_TEST 96
    DATALOADER.NUM_WORKERS 0 TEST.PICTURES 1
""")
SHORT = words("""
    STAGES.heads.MAX_ITER 1 STAGES.full.MAX_ITER 1 SOLVER.IMS_PER_BATCH 2 TEST.EVAL_PERIOD 0
""")


def coco_data(folder: Path, number: int = 3) -> Path:
    """``labels.json`` with a cat and a dog on each image, ``results.json`` that finds them, and ``images/``; the folder."""
    (folder / "images").mkdir(parents=True)
    images, labels, results = [], [], []
    for i in range(number):
        image = np.full((64, 80, 3), 60 * i, np.uint8)
        cv2.imwrite(str(folder / "images" / f"{i}.png"), image)
        images.append({"id": i + 1, "file_name": f"{i}.png", "width": 80, "height": 64})
        for k in range(2):
            x = 5.0 + 30 * k
            shape = {"bbox": [x, 10, 20, 30]}
            shape["segmentation"] = [[x, 10, x + 20, 10, x + 20, 40, x, 40]]
            entry = {"image_id": i + 1, "category_id": 7 + 10 * k} | shape
            labels.append(entry | {"id": len(labels) + 1, "iscrowd": 0, "area": 600.0})
            results.append(entry | {"score": 0.5 + 0.1 * k})
    categories = [{"id": 7, "name": "cat"}, {"id": 17, "name": "dog"}]
    content = {"images": images, "annotations": labels, "categories": categories}
    (folder / "labels.json").write_text(json.dumps(content))
    (folder / "results.json").write_text(json.dumps(results))
    return folder
