"""The evaluator's contract: any mask type, any order, images that come twice or never, and the files it leaves."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.evaluation import evaluator as module
from bdd_inst.evaluation import files
from bdd_inst.evaluation.evaluator import Evaluator
from bdd_inst.structures import BitMasks, Boxes, Instances, RLEMasks
from tests.waiting import LAST_RESORT

NAMES = ["car", "bus", "train"]


def data_set(images=6, side=64, seed=0):
    """Dicts with rectangular objects, and predictions that repeat them with small shifts."""
    rng = np.random.default_rng(seed)
    dicts, outputs = [], []
    for i in range(images):
        annotations, boxes, masks, classes = [], [], [], []
        for _ in range(rng.integers(0, 5)):
            x, y, w, h = (int(v) for v in (*rng.integers(0, 30, 2), *rng.integers(6, 30, 2)))
            k = int(rng.integers(2))
            polygon = [float(v) for v in (x, y, x + w, y, x + w, y + h, x, y + h)]
            annotations.append(
                {
                    "bbox": [x, y, x + w, y + h],
                    "bbox_mode": 0,
                    "category_id": k,
                    "segmentation": [polygon],
                    "iscrowd": 0,
                }
            )
            shift = int(rng.integers(0, 3))
            mask = np.zeros((side, side), bool)
            mask[y : y + h, x + shift : x + w] = True
            boxes.append([x + shift, y, x + w, y + h])
            masks.append(mask)
            classes.append(k)
        dicts.append(
            {
                "file_name": f"{i}.png",
                "image_id": f"id{i}",
                "height": side,
                "width": side,
                "annotations": annotations,
            }
        )
        instances = Instances((side, side))
        instances.pred_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4))
        instances.scores = torch.tensor(rng.random(len(boxes)), dtype=torch.float32)
        instances.pred_classes = torch.tensor(classes, dtype=torch.int64)
        instances.pred_masks = torch.tensor(np.array(masks).reshape(-1, side, side))
        outputs.append({"instances": instances})
    return dicts, outputs


def as_kind(outputs, kind):
    """The same outputs with their masks in another type."""
    out = []
    for output in outputs:
        copied = Instances(output["instances"].image_size, **output["instances"].get_fields())
        masks = copied.pred_masks
        if kind == "rle":
            copied.pred_masks = RLEMasks(module.to_rles(masks), copied.image_size)
        elif kind == "bitmasks":
            copied.pred_masks = BitMasks(masks)
        out.append({"instances": copied})
    return out


def figures(dicts, outputs, **options):
    evaluator = Evaluator(dicts, {"thing_classes": NAMES}, **options)
    evaluator.process(dicts, outputs)
    return evaluator.evaluate()


def test_every_mask_type_gives_the_same_figures():
    dicts, outputs = data_set()
    expected = figures(dicts, outputs)
    assert 0 < expected["segm"]["AP"] < 100
    assert expected["segm"]["AP-train"] is None
    for kind in ("rle", "bitmasks"):
        assert figures(dicts, as_kind(outputs, kind)) == expected


def test_order_and_repetition_of_images_do_not_matter():
    dicts, outputs = data_set()
    evaluator = Evaluator(dicts, {"thing_classes": NAMES})
    for i in (3, 1, 0, 5, 4, 2, 1, 3):
        evaluator.process([dicts[i]], [outputs[i]])
    assert evaluator.evaluate() == figures(dicts, outputs)
    evaluator.reset()
    assert evaluator.evaluate()["bbox"]["AP"] == 0.0


def test_images_never_predicted_count_as_missed(caplog):
    dicts, outputs = data_set()
    evaluator = Evaluator(dicts, {"thing_classes": NAMES})
    evaluator.process(dicts[:3], outputs[:3])
    assert evaluator.evaluate()["bbox"]["AR100"] < figures(dicts, outputs)["bbox"]["AR100"]
    assert "3 of 6 images" in caplog.text


@pytest.mark.parametrize("protocol", ["coco", "bdd", "both"])
def test_files_and_a_second_reading_of_the_results(tmp_path, protocol):
    dicts, outputs = data_set()
    metrics = figures(dicts, outputs, output_dir=tmp_path, protocol=protocol)
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    rows = list(csv.DictReader((tmp_path / "pr_curves.csv").open()))
    assert {row["kind"] for row in rows} == {"bbox", "segm"}
    assert (
        len([r for r in rows if r["kind"] == "segm" and r["class"] == "car" and r["iou"] == "0.50"])
        == 101
    )
    assert (tmp_path / "pr_curves.png").read_bytes().startswith(b"\x89PNG")
    # The results file scores the same against the same labels as a COCO file.
    images = [
        {
            "id": d["image_id"],
            "file_name": d["file_name"],
            "height": d["height"],
            "width": d["width"],
        }
        for d in dicts
    ]
    annotations = []
    for d in dicts:
        for a in d["annotations"]:
            x1, y1, x2, y2 = a["bbox"]
            row = {
                "image_id": d["image_id"],
                "category_id": a["category_id"] + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "iscrowd": 0,
            }
            annotations.append(
                row | {"segmentation": a["segmentation"], "id": len(annotations) + 1}
            )
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(NAMES)]
    (tmp_path / "gt.json").write_text(
        json.dumps({"images": images, "categories": categories, "annotations": annotations})
    )
    again = files.evaluate_files(
        tmp_path / "gt.json", tmp_path / "coco_instances_results.json", protocol
    )
    assert again["segm"] == metrics["segm"]
    assert again["bbox"] == metrics["bbox"]


def test_both_protocols_stand_side_by_side():
    dicts, outputs = data_set()
    metrics = figures(dicts, outputs, protocol="both")
    assert (
        metrics["segm"]
        == metrics["coco"]["segm"]
        == figures(dicts, outputs, protocol="coco")["segm"]
    )
    assert metrics["bdd"]["segm"] == figures(dicts, outputs, protocol="bdd")["segm"]
    assert metrics["mended"]


def test_what_cannot_be_scored_is_refused():
    dicts, outputs = data_set()
    evaluator = Evaluator(dicts, {"thing_classes": NAMES})
    with pytest.raises(DataError, match="'elsewhere'"):
        evaluator.process([{"image_id": "elsewhere"}], outputs[:1])
    full = next(o for o in outputs if len(o["instances"]))
    full["instances"].scores[0] = float("nan")
    with pytest.raises(DataError, match="not finite"):
        evaluator.process([dicts[0]], [full])
    full["instances"].scores[0] = 0.5
    full["instances"].pred_classes[0] = 7
    with pytest.raises(DataError, match="class 7"):
        evaluator.process([dicts[0]], [full])
    with pytest.raises(ConfigError, match="TEST.PROTOCOL 'voc' is not supported"):
        figures(dicts, data_set()[1], protocol="voc")
    with pytest.raises(DataError, match="two images"):
        Evaluator([dicts[0], dicts[0]], {"thing_classes": NAMES})


def test_ground_truth_without_masks_is_scored_on_boxes():
    dicts, outputs = data_set()
    for d in dicts:
        for a in d["annotations"]:
            del a["segmentation"]
    metrics = figures(dicts, outputs)
    assert "segm" not in metrics
    assert metrics["bbox"]["AP"] > 0


def worker(rank, world, port, queue):
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world
    )
    dicts, outputs = data_set()
    evaluator = Evaluator(dicts, {"thing_classes": NAMES})
    share = [*range(rank, len(dicts), world), 0]  # a sampler that pads: image 0 comes twice
    evaluator.process([dicts[i] for i in share], [outputs[i] for i in share])
    queue.put((rank, evaluator.evaluate()))
    torch.distributed.destroy_process_group()


def test_two_processes_give_what_one_gives():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = torch.multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=worker, args=(rank, 2, port, queue)) for rank in range(2)]
    for process in processes:
        process.start()
    found = dict(queue.get(timeout=LAST_RESORT) for _ in processes)
    for process in processes:
        process.join(LAST_RESORT)
    assert found[0] == found[1] == figures(*data_set())
