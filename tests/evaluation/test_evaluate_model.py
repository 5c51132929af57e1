"""A model on data sets: what an interruption keeps, what stays as it was, and where a label threshold comes from."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from bdd_inst.config.loading import get_cfg
from bdd_inst.evaluation.evaluate_model import TestSet, evaluate_model, images_to_show
from bdd_inst.structures import Boxes, Instances

SIZE = (9, 12)


class Spotter(nn.Module):
    """Finds the same square everywhere; from image number ``stop`` on it is interrupted."""

    def __init__(self, stop: int = 99):
        super().__init__()
        self.part = nn.BatchNorm2d(3)
        self.stop = stop

    def forward(self, batch):
        if batch[0]["image_id"] >= self.stop:
            raise KeyboardInterrupt
        masks = torch.zeros((1, *SIZE), dtype=torch.bool)
        masks[:, 2:6, 2:6] = True
        found = Instances(
            SIZE,
            pred_boxes=Boxes([[2, 2, 6, 6]]),
            scores=torch.tensor([0.5]),
            pred_classes=torch.tensor([0]),
            pred_masks=masks,
        )
        return [{"instances": found} for _ in batch]


@pytest.fixture
def cfg():
    cfg = get_cfg()
    cfg.MODEL.DEVICE, cfg.DATALOADER.NUM_WORKERS = "cpu", 0
    cfg.INPUT.MIN_SIZE_TEST = 0
    return cfg


def squares(folder, name: str, first: int, *, corner: int = 2) -> TestSet:
    """Two images with one labeled square, and label maps of it."""
    dicts = []
    for number in (first, first + 1):
        file, labels = folder / f"{number}.png", folder / f"{number}_person.png"
        values = np.zeros(SIZE, np.uint8)
        values[corner : corner + 4, corner : corner + 4] = 1
        cv2.imwrite(str(file), np.zeros((*SIZE, 3), np.uint8))
        cv2.imwrite(str(labels), values)
        square = [corner, corner, corner + 4, corner, corner + 4, corner + 4, corner, corner + 4]
        annotation = {
            "bbox": [corner, corner, corner + 4, corner + 4],
            "bbox_mode": 0,
            "category_id": 0,
            "segmentation": [square],
        }
        dicts.append(
            {
                "file_name": str(file),
                "height": SIZE[0],
                "width": SIZE[1],
                "image_id": number,
                "annotations": [annotation],
                "label_file": str(labels),
            }
        )
    return TestSet(name, dicts, {"thing_classes": ["person"]})


def test_an_interrupted_evaluation_keeps_its_detections(cfg, tmp_path, caplog):
    with pytest.raises(KeyboardInterrupt):
        evaluate_model(Spotter(2), cfg, [squares(tmp_path, "a", 1)], tmp_path / "out")
    file = tmp_path / "out" / "coco_instances_results.partial.json"
    assert [row["bbox"] for row in json.loads(file.read_text())] == [[2, 2, 4, 4]]
    assert "1 images so far" in caplog.text
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_modes_and_random_numbers_stay_as_they_were(cfg, tmp_path):
    model = Spotter().train()
    model.part.eval()
    state = torch.random.get_rng_state()
    evaluate_model(model, cfg, [squares(tmp_path, "a", 1)])
    assert (model.training, model.part.training) == (True, False)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_later_data_sets_take_the_label_threshold_of_the_first(cfg, tmp_path):
    # On the first set any threshold up to the score is right, on the second only one above it.
    sets = [squares(tmp_path, "a", 1), squares(tmp_path, "b", 3, corner=5)]
    first, second = (r.metrics["label_map"] for r in evaluate_model(Spotter(), cfg, sets))
    assert second["threshold"] == first["threshold"] <= 0.5
    assert second["threshold_chosen_on"] == "a"


def test_images_to_show_are_spread_over_those_with_objects():
    dicts = [{"image_id": n, "annotations": [0] * (n % 2)} for n in range(12)]
    assert list(images_to_show(dicts, 3)) == [1, 5, 9]
    assert images_to_show(dicts, 0) == {}
