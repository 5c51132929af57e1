"""The predictor prepares images as Detectron2 does and hands back what the model found, whatever the mask's form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.config.loading import get_cfg
from bdd_inst.inference.dataset import encode_masks, predict_dataset
from bdd_inst.inference.predictor import Predictor, load_model
from bdd_inst.masks import run_lengths
from bdd_inst.structures import Boxes, Instances, RLEMasks


class Spotter(nn.Module):
    """Contract 3 without weights: finds, in each image, the box around what is brighter than half."""

    def __init__(self):
        super().__init__()
        self.seen: list[dict] = []

    def forward(self, batch):
        return self.found(batch, "bitmask")

    def found(self, batch, mask_format):
        self.seen += batch
        assert not self.training
        return [{"instances": self.find(entry, mask_format)} for entry in batch]

    def find(self, entry, mask_format):
        size = (entry["height"], entry["width"])
        bright = entry["image"].float().mean(0) > 127
        ys, xs = np.nonzero(bright.numpy())
        number = int(len(ys) > 0)
        scale = torch.tensor([size[1] / bright.shape[1], size[0] / bright.shape[0]] * 2)
        box = (
            torch.tensor([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]]) * scale
            if number
            else torch.zeros(0, 4)
        )
        masks = torch.zeros(number, *size, dtype=torch.bool)
        for mask, (x1, y1, x2, y2) in zip(masks, box.round().int().tolist(), strict=True):
            mask[y1:y2, x1:x2] = True
        kept = (
            RLEMasks(run_lengths.encode_batch(masks.numpy()), size)
            if mask_format == "rle"
            else masks
        )
        classes = torch.zeros(number, dtype=torch.int64)
        return Instances(
            size,
            pred_boxes=Boxes(box),
            scores=torch.full((number,), 0.9),
            pred_classes=classes,
            pred_masks=kept,
        )


class RunLengthSpotter(Spotter):
    """The same, and it can make run lengths, as our own models can."""

    mask_formats = ("bitmask", "rle")

    def forward(self, batch, mask_format="bitmask"):
        assert mask_format == "rle"  # asked for by whoever keeps masks
        return self.found(batch, mask_format)


def config(format_="BGR", short=40, long=80):
    cfg = get_cfg()
    cfg.INPUT.FORMAT, cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = format_, short, long
    return cfg


def bright_image(height=60, width=100):
    image = np.random.default_rng(0).integers(0, 100, (height, width, 3), dtype=np.uint8)
    image[20:40, 30:70] = 255
    return image


@pytest.mark.parametrize(
    ("size", "expected"),
    [((60, 100), (40, 67)), ((100, 60), (67, 40)), ((20, 100), (16, 80)), ((40, 40), (40, 40))],
)
@pytest.mark.parametrize("channels", ["BGR", "RGB"])
def test_the_model_sees_pils_pixels(size, expected, channels):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    model = Spotter()
    Predictor(config(channels), model)(image)
    seen = model.seen[0]
    assert (seen["height"], seen["width"]) == size
    ordered = image if channels == "BGR" else image[:, :, ::-1]
    planes = [
        Image.fromarray(np.ascontiguousarray(ordered[..., i])).resize(
            expected[::-1], Image.BILINEAR
        )
        for i in range(3)
    ]
    np.testing.assert_array_equal(seen["image"].numpy(), np.stack(planes))
    assert seen["image"].dtype == torch.uint8


@pytest.mark.parametrize("kind", [Spotter, RunLengthSpotter])
def test_instances_come_back_on_the_images_own_size(kind):
    instances = Predictor(config(), kind())(bright_image())["instances"]
    assert instances.image_size == (60, 100)
    assert isinstance(instances.pred_masks, RLEMasks)
    assert np.abs(instances.pred_boxes.tensor.numpy() - [[30, 20, 70, 40]]).max() <= 2
    mask = instances.pred_masks.decode()[0].numpy()
    assert mask[25:35, 35:65].all()
    assert not mask[:15].any()


def test_a_batch_may_mix_sizes_and_may_be_empty():
    predictor = Predictor(config(), Spotter())
    outputs = predictor.predict(
        [bright_image(), np.zeros((30, 30, 3), np.uint8), bright_image(90, 80)]
    )
    found = [output["instances"] for output in outputs]
    assert [len(i) for i in found] == [1, 0, 1]
    assert [i.image_size for i in found] == [(60, 100), (30, 30), (90, 80)]
    assert len(found[1].pred_masks) == 0
    assert predictor.predict([]) == []


def test_a_path_and_pils_image_give_what_the_array_gives(tmp_path):
    predictor = Predictor(config(), Spotter())
    rgb = Image.fromarray(bright_image()[:, :, ::-1])
    rgb.save(tmp_path / "a.png")
    turned = rgb.transpose(Image.ROTATE_90)  # stored turned, said so: the same image to a viewer
    exif = turned.getexif()
    exif[274] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    wanted = predictor(bright_image())["instances"].pred_boxes.tensor
    sources = [tmp_path / "a.png", str(tmp_path / "a.png"), rgb]
    sources += [tmp_path / "turned.png", Image.open(tmp_path / "turned.png"), rgb.convert("RGBA")]
    for given in sources:
        torch.testing.assert_close(predictor(given)["instances"].pred_boxes.tensor, wanted)


@pytest.mark.parametrize("source", [None, 3, {}])
def test_what_is_no_model_gets_one_line(source):
    with pytest.raises(ConfigError, match="a config, a config file or a weight file"):
        Predictor(source)


def test_no_image_gets_one_line(tmp_path):
    predictor = Predictor(config(), Spotter())
    with pytest.raises(DataError, match=r"not found by cv2\.imread"):
        predictor(None)
    with pytest.raises(DataError, match=r"nothing\.jpg"):
        predictor(tmp_path / "nothing.jpg")


def test_label_maps_come_through(monkeypatch):
    model = Spotter()
    maps = torch.rand(3, 60, 100)
    model.forward = lambda batch: [{"sem_seg": maps} for _ in batch]
    assert Predictor(config(), model)(bright_image()) == {"sem_seg": maps}


def test_supervision_takes_the_output():
    supervision = pytest.importorskip("supervision")
    found = supervision.Detections.from_detectron2(Predictor(config(), Spotter())(bright_image()))
    assert len(found) == 1
    assert found.mask.shape == (1, 60, 100)
    assert found.mask.dtype == bool
    assert found.class_id.tolist() == [0]


@pytest.mark.parametrize(
    "image",
    [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8)],
)
def test_what_is_no_image_is_refused(image):
    with pytest.raises(DataError, match="H,W,3 uint8"):
        Predictor(config(), Spotter())(image)


def test_a_model_without_weights_is_refused():
    with pytest.raises(ConfigError, match=r"MODEL\.WEIGHTS is empty"):
        load_model(get_cfg())


def test_a_data_set_streams_and_the_model_keeps_its_mode():
    model = Spotter().train()
    predictor = Predictor(config(), Spotter())
    batches = [
        [
            {**predictor.prepare(bright_image()), "image_id": i},
            {**predictor.prepare(bright_image()), "image_id": i + 1},
        ]
        for i in (0, 2)
    ]
    drawn = []

    def loader():
        for batch in batches:
            drawn.append(len(drawn))
            yield batch

    stream = predict_dataset(model, loader())
    entry, instances = next(stream)
    assert drawn == [0]  # nothing is read ahead of need
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    assert (entry["image_id"], len(instances)) == (0, 1)
    assert isinstance(instances.pred_masks, RLEMasks)
    assert [entry["image_id"] for entry, _ in stream] == [1, 2, 3]
    assert model.training


def test_the_mode_comes_back_when_the_consumer_stops_early():
    model = Spotter().train()
    stream = predict_dataset(model, [[Predictor(config(), Spotter()).prepare(bright_image())] * 2])
    next(stream)
    stream.close()
    assert model.training


def test_masks_that_leave_their_boxes_are_kept_whole():
    masks = torch.zeros(3, 50, 60, dtype=torch.bool)
    masks[0, 10:20, 10:20] = True
    masks[1, :, ::2] = True
    boxes = torch.tensor([[10.0, 10, 20, 20], [5, 5, 10, 10], [-100, -100, -50, -50]])
    for code, mask in zip(encode_masks(masks, boxes, (50, 60)), masks, strict=True):
        np.testing.assert_array_equal(run_lengths.decode(code), mask.numpy())
