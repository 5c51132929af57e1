"""Every door that files and words of others come in by: a few small valid inputs, how one is made wrong, and what is done with it."""

from __future__ import annotations

import contextlib
import io
import json
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from bdd_inst import formats
from bdd_inst.base.errors import DataError, ProblemLog
from bdd_inst.base.output_paths import OutputPaths
from bdd_inst.config.loading import get_cfg, load_cfg
from bdd_inst.data.validation import checked_dicts
from bdd_inst.datasets.semantic import color_table
from bdd_inst.datasets.splits import listed
from bdd_inst.evaluation.files import evaluate_files
from bdd_inst.formats.value_names import parse_values
from bdd_inst.images.read import read_bgr
from bdd_inst.images.video import VideoReader
from bdd_inst.inference.sources import Frame, open_source
from bdd_inst.report.html import run_rows
from bdd_inst.report.report_data import training_tree
from bdd_inst.weights.reader import read_weights
from bdd_inst.weights.trained import read_identity
from tests.formats import examples
from tests.fuzz.mutate import WORDS, mutated_bytes, mutated_lines, mutated_name, mutated_value


class Door(ABC):
    """One door. ``make`` writes a wrong input into a folder, ``enter`` gives it to the package; the corpus holds such inputs."""

    ending = ""

    def __init__(self) -> None:
        self.seeds = self.valid()

    @abstractmethod
    def valid(self) -> list:
        """Inputs that are right, each of another kind."""

    @abstractmethod
    def wrong(self, seed: object, rng: random.Random) -> bytes:
        """One made wrong."""

    @abstractmethod
    def enter(self, file: Path) -> None:
        """What the package does with such a file."""

    def make(self, folder: Path, rng: random.Random) -> Path:
        """A wrong input as a file, the only thing in ``folder``."""
        file = folder / f"input{self.ending}"
        file.write_bytes(self.wrong(rng.choice(self.seeds), rng))
        return file


class JsonDoor(Door):
    """A door for JSON: its values and its bytes."""

    ending = ".json"

    def wrong(self, seed: object, rng: random.Random) -> bytes:
        if rng.random() < 0.3:
            return mutated_bytes(json.dumps(seed).encode(), rng)
        return json.dumps(mutated_value(seed, rng)).encode()


class Labels(JsonDoor):
    def valid(self) -> list:
        return [make() for make in examples.JSON_KINDS.values()]

    def enter(self, file: Path) -> None:
        formats.read(file).load()


class Truth(JsonDoor):
    """Labels to score against, and to convert."""

    def valid(self) -> list:
        return [examples.coco(), examples.scalabel()]

    def enter(self, file: Path) -> None:
        results = file.with_name("results.json")
        results.write_text(json.dumps(examples.coco_results()))
        evaluate_files(file, results)


class Results(JsonDoor):
    def valid(self) -> list:
        return [examples.coco_results(), examples.scalabel()]

    def enter(self, file: Path) -> None:
        truth = file.with_name("truth.json")
        truth.write_text(json.dumps(examples.coco()))
        evaluate_files(truth, file)


class Dicts(JsonDoor):
    """Detectron2's dicts as somebody's own loader gives them."""

    def valid(self) -> list:
        return [examples.dicts()]

    def enter(self, file: Path) -> None:
        try:
            dicts = json.loads(file.read_bytes())
        except (ValueError, RecursionError):
            return  # no Python object comes of it
        names = {"thing_classes": ["a", "b", "c"]}
        for train in (True, False):
            checked = checked_dicts("own", dicts, names, get_cfg(), train, ProblemLog())
            list(checked)


class Pngs(Door):
    """Masks."""

    ending = ".png"

    def valid(self) -> list:
        return [make() for make in examples.PNG_KINDS.values()]

    def wrong(self, seed: bytes, rng: random.Random) -> bytes:
        return mutated_bytes(seed, rng)

    def enter(self, file: Path) -> None:
        formats.read(file).load()


class Notes(JsonDoor):
    """What lies beside PNGs that we wrote, and scores of predicted bitmasks."""

    def valid(self) -> list:
        return [{"categories": ["a", "b"], "category_ids": [1, 2], "mask_rule": "pixels"}]

    def enter(self, file: Path) -> None:
        for kind, make in examples.PNG_KINDS.items():
            folder = file.parent / kind
            folder.mkdir()
            (folder / "a.png").write_bytes(make())
            for name in (".conversion.json", "scores.json"):
                (folder / name).write_bytes(file.read_bytes())
            with allowed():
                formats.read(folder).load()
            with allowed():
                formats.read(folder, kind=kind).load()


class Yolo(Door):
    ending = ".txt"

    def valid(self) -> list:
        return [
            "0 0.1 0.1 0.4 0.1 0.4 0.5\n1 0.5 0.5 0.2 0.2\n",
            "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8\n",
        ]

    def wrong(self, seed: str, rng: random.Random) -> bytes:
        if rng.random() < 0.5:
            return mutated_bytes(seed.encode(), rng)
        words = seed.split(" ")
        words[rng.randrange(len(words))] = rng.choice(WORDS)
        return " ".join(words).encode("utf-8", "surrogatepass")

    def enter(self, file: Path) -> None:
        labels, images = file.parent / "labels", file.parent / "images"
        labels.mkdir()
        images.mkdir()
        Image.new("RGB", (80, 60)).save(images / "a.png")
        (labels / "a.txt").write_bytes(file.read_bytes())
        (file.parent / "data.yaml").write_text("names: [cat, dog]\npath: .\ntrain: images\n")
        formats.read(file.parent, images=images).load()


class Configs(Door):
    ending = ".yaml"

    def valid(self) -> list:
        root = Path(__file__).resolve().parents[2] / "configs"
        names = ("demo.yaml", "bdd_maskrcnn.yaml", "people_unet.yaml", "bdd_panoptic.yaml")
        texts = [(root / name).read_text() for name in names]
        return [text.replace("_BASE_: ", f"_BASE_: {root}/") for text in texts]

    def wrong(self, seed: str, rng: random.Random) -> bytes:
        if rng.random() < 0.3:
            return mutated_bytes(seed.encode(), rng)
        return mutated_lines(seed, rng).encode("utf-8", "surrogatepass")

    def enter(self, file: Path) -> None:
        load_cfg(file)


class Overrides(Door):
    """``KEY VALUE`` words; ``--values`` too."""

    def valid(self) -> list:
        return [
            ["SOLVER.BASE_LR", "0.1"],
            ["INPUT.MIN_SIZE_TRAIN", "(64,)"],
            ["DATASETS.TRAIN", "['a']"],
        ]

    def wrong(self, seed: list[str], rng: random.Random) -> bytes:
        words = list(seed)
        place = rng.randrange(2)
        words[place] = rng.choice([rng.choice(WORDS), mutated_name(words[place], rng)])
        return "\n\n".join(words).encode("utf-8", "surrogatepass")

    def enter(self, file: Path) -> None:
        words = file.read_bytes().decode("utf-8", "surrogatepass").split("\n\n")
        with allowed():
            load_cfg("demo.yaml", words)
        parse_values(words[-1])


class Weights(Door):
    ending = ".pth"

    def valid(self) -> list:
        out = []
        for new in (True, False):
            stream = io.BytesIO()
            content = {
                "model": {"a.weight": torch.ones(2, 3)},
                "bdd_inst": {"config": "A: 1", "metadata": {}},
            }
            torch.save(content, stream, _use_new_zipfile_serialization=new)
            out.append(stream.getvalue())
        return out

    def wrong(self, seed: bytes, rng: random.Random) -> bytes:
        return mutated_bytes(seed, rng)

    def enter(self, file: Path) -> None:
        with allowed():
            read_weights(file)
        read_identity(file)


class Images(Door):
    ending = ".jpg"

    def valid(self) -> list:
        noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))
        out = []
        for kind in ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "PPM", "JPEG2000"):
            stream = io.BytesIO()
            noise.save(stream, kind)
            out.append(stream.getvalue())
        return out

    def wrong(self, seed: bytes, rng: random.Random) -> bytes:
        return mutated_bytes(seed, rng)

    def enter(self, file: Path) -> None:
        read_bgr(file)


class Videos(Door):
    ending = ".avi"

    def valid(self) -> list:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as folder:
            path = Path(folder, "a.avi")
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 24))
            for value in range(4):
                writer.write(np.full((24, 32, 3), 60 * value, np.uint8))
            writer.release()
            return [path.read_bytes()]

    def wrong(self, seed: bytes, rng: random.Random) -> bytes:
        return mutated_bytes(seed, rng)

    def enter(self, file: Path) -> None:
        for number, _ in enumerate(VideoReader(file)):
            if number > 100:  # a file may promise any number of frames
                break


class Names(JsonDoor):
    """Names of images, videos and classes: nothing may be written beside the output."""

    def valid(self) -> list:
        return [["a.jpg", "video", "car"]]

    def wrong(self, seed: list[str], rng: random.Random) -> bytes:
        return json.dumps([mutated_name(name, rng) for name in seed]).encode()

    def enter(self, file: Path) -> None:
        name, video, category = json.loads(file.read_bytes())
        frame = examples.scalabel()[0] | {"name": name, "videoName": video}
        frame["labels"][0]["category"] = category
        source = file.with_name("labels.json")
        source.write_text(json.dumps([frame]))
        before = set(file.parent.iterdir())
        for to in ("bitmask", "label-map", "yolo", "coco"):
            with allowed():
                formats.write(formats.read(source), file.parent / "out" / to, to=to)
        assert set(file.parent.iterdir()) <= before | {file.parent / "out"}
        out = file.parent / "out"
        written = [p.relative_to(out).parts[0] for p in out.rglob("*")]
        assert {part.strip(".").partition(".")[0] for part in written} <= {
            "bitmask",
            "label-map",
            "yolo",
            "coco",
        }


class Files(JsonDoor):
    """Images and masks whose file has such a name."""

    def valid(self) -> list:
        return [["a.png"], ["b/c.png"], ["image_1.png"]]

    def wrong(self, seed: list[str], rng: random.Random) -> bytes:
        name = mutated_name(seed[0], rng)
        if rng.random() < 0.3:
            place = rng.randrange(len(name) + 1)
            name = name[:place] + rng.choice(["\udcff", "\udc80\n", "\u0130", "ﬁ"]) + name[place:]
        return json.dumps([name]).encode()

    def enter(self, file: Path) -> None:
        folder = file.parent / "in"
        place = folder / json.loads(file.read_bytes())[0].strip("/").replace("..", "")
        try:
            place.parent.mkdir(parents=True)
            Image.fromarray(np.eye(8, dtype=np.uint8)).save(place, "PNG")
        except (OSError, ValueError):
            return  # no file can be called so
        for frame in self.frames(folder):
            assert OutputPaths(file.parent / "out")(frame.name).is_relative_to(file.parent / "out")
        for to in ("coco", "label-map"):
            with allowed():
                labels = formats.read(folder, kind="label-map", values={1: "cat"})
                formats.write(labels, file.parent / "out" / to, to=to)

    @staticmethod
    def frames(folder: Path) -> Iterator[Frame]:
        with contextlib.suppress(DataError):
            yield from open_source(folder)


class Panoptic(JsonDoor):
    """Segments beside a PNG of their ids."""

    def valid(self) -> list:
        segments = [
            {"id": 1, "category_id": 1, "area": 24, "bbox": [0, 0, 8, 3], "iscrowd": 0},
            {"id": 2, "category_id": 2, "area": 40, "bbox": [0, 3, 8, 5], "iscrowd": 0},
        ]
        image = {"id": 1, "file_name": "a.jpg", "width": 8, "height": 8}
        row = {"image_id": 1, "file_name": "a.png", "segments_info": segments}
        names = [{"id": 1, "name": "car", "isthing": 1}, {"id": 2, "name": "sky", "isthing": 0}]
        return [{"images": [image], "annotations": [row], "categories": names}]

    def enter(self, file: Path) -> None:
        ids = np.ones((8, 8, 3), np.uint8) * [1, 0, 0]
        ids[3:, :, 0] = 2
        (file.parent / "input").mkdir()
        Image.fromarray(ids.astype(np.uint8)).save(file.parent / "input" / "a.png")
        with allowed():
            formats.read(file).load()
        with allowed():
            formats.write(formats.read(file), file.parent / "out.json", to="panoptic")
        truth = file.with_name("truth.json")
        truth.write_text(json.dumps(self.seeds[0]))
        (file.parent / "truth").symlink_to("input")
        evaluate_files(truth, file)


class Runs(Door):
    """What lies in a training run's folder: its record, its logs."""

    ending = ".csv"

    def valid(self) -> list:
        record = {"seed": 1, "command": ["train"], "git": {"commit": "a"}, "data": {}}
        rows = "iteration,stage,total_loss,lr\n0,heads,1.5,0.1\n1,heads,1.25,0.1\n"
        return [json.dumps(record), rows, "iteration,segm/AP\n1,12.5\n"]

    def wrong(self, seed: str, rng: random.Random) -> bytes:
        if rng.random() < 0.5:
            return mutated_bytes(seed.encode(), rng)
        return mutated_lines(seed.replace(",", ": ,"), rng).encode("utf-8", "surrogatepass")

    def enter(self, file: Path) -> None:
        for name in ("run.json", "training.csv", "evaluations.csv", "config.yaml"):
            (file.parent / name).write_bytes(file.read_bytes())
        run_rows(file.parent)
        json.dumps(training_tree(file.parent), allow_nan=False)


class Lists(Door):
    """Lists of names, tables of colors, words for values."""

    ending = ".txt"

    def valid(self) -> list:
        return ["name, r, g, b\ncat, 1, 2, 3\ndog, 4, 5, 6\n", "1 cat\n2 dog\n", "a.jpg\nb.jpg\n"]

    def wrong(self, seed: str, rng: random.Random) -> bytes:
        if rng.random() < 0.5:
            return mutated_bytes(seed.encode(), rng)
        return mutated_lines(seed, rng).encode("utf-8", "surrogatepass")

    def enter(self, file: Path) -> None:
        with allowed():
            color_table(file)
        with allowed():
            listed(["a.jpg", "b.jpg"], file)
        parse_values(str(file))


@contextlib.contextmanager
def allowed() -> Iterator[None]:
    """One of our errors is an answer, in one line; the next step still follows."""
    try:
        yield
    except DataError as error:
        if "\n" in str(error):
            raise AssertionError(f"more than a line: {error}") from error


DOORS: dict[str, type[Door]] = {
    "labels": Labels,
    "truth": Truth,
    "results": Results,
    "dicts": Dicts,
    "pngs": Pngs,
    "notes": Notes,
    "yolo": Yolo,
    "configs": Configs,
    "overrides": Overrides,
    "weights": Weights,
    "images": Images,
    "videos": Videos,
    "names": Names,
    "files": Files,
    "panoptic": Panoptic,
    "runs": Runs,
    "lists": Lists,
}
