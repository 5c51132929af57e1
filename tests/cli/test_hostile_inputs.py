"""Files made to hurt, at every door of every command: one line or a counted skip, within bounded time and memory, nothing outside the output."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import zlib
from pathlib import Path

import pytest

from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.weights.checkpoint import save_weights
from tests.images.test_opening import bomb
from tests.product.tiny import MODEL, SHORT, coco_data
from tests.signaled import Run, runs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no fork")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "cases" / "hostile"
SECONDS = 60  # of a process' own time: what hangs takes for ever
# Of a process that starts with half a gigabyte of libraries; a plain run of each command stays below 900.
MEGABYTES = 1500
CLASSES = ["MODEL.ROI_HEADS.NUM_CLASSES", "2"]
# What is tried at every door, also where time is short.
FEW = (
    "pipe",
    "deep",
    "half in a name",
    "long class",
    "many parts",
    "bytes",
    "strip",
    "list",
    "formula",
)
DEEP = b"[" * 100_000


def nowhere(folder: Path) -> dict[str, str]:
    """What is no regular file; each would be waited for, or read, for ever."""
    os.mkfifo(folder / "pipe")
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "loop").symlink_to("loop")
    named = {name: str(folder / name) for name in ("pipe", "zero", "loop", "absent", "n" * 300)}
    return named | {"device": "/dev/full"}


def broken(folder: Path, whole: bytes, ending: str) -> dict[str, str]:
    """A whole file damaged, each kind in a file of its own."""
    out = {}
    kinds = {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "deep": DEEP,
        "one line": b'["' + b"x" * 10_000_000 + b'"]',
        "zeros": bytes(100_000),
        "sixteen": whole.decode("latin-1").encode("utf-16"),
        "gzip bomb": gzip.compress(b"[" + b" " * 100_000_000 + b"]"),
        "program": b"#!/bin/sh\ntouch ran\n",
    }
    for kind, data in kinds.items():
        out[kind] = str(folder / f"{kind}{ending}")
        Path(out[kind]).write_bytes(data)
    return out


def changed(folder: Path, labels: Path) -> dict[str, str]:
    """Labels with a word replaced: what JSON allows and nobody expects."""
    text = labels.read_text()
    kinds = {
        "infinite": ('"area": 600.0', '"area": 1e400'),
        "long number": ('"image_id": 1', f'"image_id": {"9" * 5000}'),
        "wide": ('"width": 80', '"width": 1000000000'),
        "no number": ("[[5.0", "[[NaN"),
        "twice": ('"categories":', '"categories": [], "images": [], "categories":'),
        "half a character": ('"cat"', '"c\\ud800t"'),
        "half in a name": ('"0.png"', '"\\udcff0.png"'),
        "nul": ('"0.png"', '"\\u00000.png"'),
        "escape": ('"cat"', '"c\\u001b[31mt"'),
        "up": ('"0.png"', '"../../../etc/passwd"'),
        "device": ('"0.png"', '"/dev/zero"'),
        "long name": ('"0.png"', f'"{"n" * 5000}.png"'),
        "long class": ('"cat"', f'"{"c" * 100_000}"'),
        "formula": ('"cat"', '"$x^{2$"'),
        "page": ('"cat"', '"<script>alert(1)</script>"'),
        "dots": ('"cat"', '".."'),
    }
    out = {}
    for kind, (old, new) in kinds.items():
        assert old in text
        out[kind] = str(folder / f"changed {kind}.json")
        Path(out[kind]).write_text(text.replace(old, new))
    many = {"part": [[1, 1, 5, 1, 5, 5]] * 3000}
    tree = json.loads(text)
    tree["annotations"][0]["segmentation"] = many["part"]
    out["many parts"] = str(folder / "many parts.json")
    Path(out["many parts"]).write_text(json.dumps(tree))
    return out


def images(folder: Path, whole: bytes) -> dict[str, str]:
    """Images that are none, or more than any."""
    text = zlib.compress(bytes(100_000_000))
    head = whole[:33]  # signature and header
    chunk = b"zTXta\0\0" + text
    chunk = len(chunk[4:]).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
    kinds = {
        "wall": bomb(60_000, 60_000),
        "strip": bomb(1, 80_000_000),
        "beyond": bomb(2**31 - 1, 2**31 - 1),
        "words": head + chunk + whole[33:],
        "script": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n{} loop\n",
    }
    out = {}
    for kind, data in kinds.items():
        out[kind] = str(folder / f"{kind}.png")
        Path(out[kind]).write_bytes(data)
    return out


class World:
    """Good data, hostile files, and the commands that meet them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = coco_data(root / "data")
        save_weights(build_model(load_cfg("demo.yaml", [*MODEL, *CLASSES])), root / "w.pth")
        bad = root / "bad"
        bad.mkdir()
        labels, found = self.data / "labels.json", self.data / "results.json"
        self.none = nowhere(bad)
        self.labels = self.none | broken(bad, labels.read_bytes(), ".json") | changed(bad, labels)
        self.results = self.none | broken(bad, found.read_bytes(), ".res.json")
        image = (self.data / "images" / "1.png").read_bytes()
        self.images = self.none | broken(bad, image, ".png") | images(bad, image)
        self.weights = self.none | broken(bad, (root / "w.pth").read_bytes(), ".pth")
        config = (
            Path(__file__).resolve().parents[2] / "configs" / "Base-MaskRCNN-FPN.yaml"
        ).read_bytes()
        self.configs = self.none | broken(bad, config, ".yaml")
        self.videos = self.none | broken(bad, image, ".mp4")
        (bad / "list.mp4").write_bytes(b"ffconcat version 1.0\nfile whole.avi\n")
        self.videos["list"] = str(bad / "list.mp4")
        self.bytes = os.fsdecode(os.fsencode(bad) + b"/\xff\n\x1b[31m.json")
        shutil.copy(labels, self.bytes)
        self.labels["bytes"] = self.bytes

    def doors(self, every: bool) -> dict[str, tuple[dict[str, str], list[str]]]:
        """What each takes, and its words, ``X`` in the place of the file; without ``every`` a few of a kind."""
        truth, found, folder, weights = (
            str(self.data / "labels.json"), str(self.data / "results.json"), str(self.data / "images"), str(self.root / "w.pth"),
        )  # fmt: skip
        few = {kind: self.labels[kind] for kind in FEW if kind in self.labels}

        def some(files: dict[str, str]) -> dict[str, str]:
            return files if every else {kind: files[kind] for kind in FEW if kind in files}

        # Doors behind which pages are made take most of the time.
        fewer = {kind: few[kind] for kind in ("pipe", "half in a name", "long class")}
        paged = self.labels if every else fewer
        scored = ["evaluate", "--ground-truth", truth, "--predictions"]
        seen = ["predict", "--config", "demo.yaml", "--workers", "1", "--input"]
        model = ["MODEL.WEIGHTS", weights, *MODEL, *CLASSES]
        train = ["train", "--config", "demo.yaml", *MODEL, *SHORT, "--train"]
        return {
            "convert": (self.labels, ["convert", "--input", "X", "--to", "coco"]),
            "convert to yolo": (few, ["convert", "--input", "X", "--to", "yolo"]),
            "convert to bitmasks": (few, ["convert", "--input", "X", "--to", "bitmask"]),
            "convert to overlays": (paged, ["convert", "--input", "X", "--images", folder, "--to", "overlay"]),
            "make-masks": (few, ["make-masks", "--input", "X", "--category", "cat"]),
            "check": (paged, ["check", "--input", "X", "--images", folder, "--samples", "0"]),
            "truth": (paged, ["evaluate", "--ground-truth", "X", "--predictions", found]),
            "results": (some(self.results), [*scored, "X", "--no-report"]),
            "scores": (some(self.none), [*scored, found, "--scores", "X", "--no-report"]),
            "threshold": (some(self.none), [*scored, found, "--label-maps", "--label-threshold", "X"]),
            "run": (some(self.none), [*scored, found, "--run", "X"]),
            "visualize": (paged, ["visualize", "--ground-truth", "X", "--images", folder]),
            "images": (some(self.images), [*seen, "X", *model]),
            "videos": (some(self.videos), [*seen, "X", *model]),
            "configs": (some(self.configs), ["predict", "--config", "X", "--input", folder]),
            "weights": (some(self.weights), ["predict", "--weights", "X", "--input", folder]),
            "train": ({kind: few[kind] for kind in ("pipe", "half in a name")}, [*train, "X", "--train-images", folder]),
            "values": (some(self.none), ["convert", "--input", folder, "--to", "coco", "--values", "X"]),
            "live": (some(self.none), ["live", "--background", "none", "--input", "X"]),
            "background": (some(self.none), ["live", "--input", folder, "--background", "X"]),
        }  # fmt: skip


@pytest.fixture(
    scope="module",
    params=[False, pytest.param(True, marks=pytest.mark.slow)],
    ids=["a few", "every one"],
)
def ended(tmp_path_factory, request):
    """Every run of this file by one program, each in a folder of its own."""
    world = World(tmp_path_factory.mktemp("hostile"))
    asked, wanted = [], []
    for door, (files, words) in world.doors(request.param).items():
        for kind, file in files.items():
            place = world.root / "work" / str(len(asked))
            out = str(place / "out") + (".json" if door == "convert" else "")
            asked.append((door, kind, place))
            given = [file if word == "X" else word for word in words]
            wanted.append(Run([*given, "--output", out], seconds=SECONDS))
    before = {p for p in world.root.rglob("*") if p.is_file()}
    # What a library warns of must end nothing either.
    env = {"BDD_INST_CACHE": str(world.root / "work" / "cache"), "PYTHONWARNINGS": "error"}
    done = runs(wanted, env)
    after = {p for p in world.root.rglob("*") if p.is_file()}
    beside = {p for p in after - before if p.relative_to(world.root).parts[0] != "work"}
    return list(zip(asked, done, strict=True)), beside


def test_every_end_is_one_line_or_a_counted_skip(ended):
    for (door, kind, place), end in ended[0]:
        said = door, kind, end
        assert end.code in (0, 1, 2), said
        assert "Traceback" not in end.err, said
        assert end.megabytes < MEGABYTES, said
        assert len(end.err) < 8000, said
        assert all(c.isprintable() or c in "\n\t\r" for c in end.err + end.out), said
        lines = [line for line in end.err.splitlines() if line.startswith("error:")]
        assert len(lines) == (end.code == 1 and door != "check") or door == "check", said
        if lines:
            assert end.err.splitlines()[-1] == lines[0], said
        left = [p.name for p in place.rglob(".*")] if place.is_dir() else []
        assert set(left) <= {".conversion.json"}, (said, left)


def test_nothing_is_written_outside_the_output_and_nothing_runs(ended):
    runs_made, beside = ended
    assert not beside
    for (door, kind, place), _ in runs_made:
        made = {p.relative_to(place).parts[0].partition(".")[0] for p in place.rglob("*")}
        assert made <= {"out"}, (door, kind, made)


def test_the_doors_are_open(ended):
    """Labels that are only odd are read: else the other tests would show that nothing is."""
    done = {(door, kind): end.code for (door, kind, _), end in ended[0]}
    odd = ("half a character", "half in a name", "nul", "page", "formula", "bytes", "up", "sixteen")
    for kind in odd:
        assert done["convert", kind] == 0, kind
        assert done.get(("truth", kind), 0) == 0, kind
    assert done["visualize", "long class"] == 0
    assert done["truth", "long class"] == 0
    assert done["convert to yolo", "many parts"] == 0


# Every hostile file of the shared folder by its name: the words that meet it, and the exit code.
WEIGHTS = (
    "bytearray.pth",
    "legba.pth",
    "zipdiff.pth",
    "tuplekey.pth",
    "pkl_tuplekey.pkl",
    "pkl_dtype.pkl",
)
CONFIGS = ("bool", "date", "deep", "f0", "g0", "int", "laugh3", "mapbomb", "self", "selfmap")
SCORE = ["evaluate", "--ground-truth", "dollar_gt.json", "--predictions", "dollar_r.json"]
NAMED = {
    "street.jpg": (["live", "--background", "none", "--input", "street.jpg"], 1),
    "loop.jpg": (["live", "--background", "none", "--input", "loop.jpg"], 1),
    "1x3000.png": (["live", "--background", "none", "--input", "1x3000.png"], 0),
    "dotdot.json": (["convert", "--to", "bitmask", "--input", "dotdot.json"], 0),
    "nulvideo.json": (["convert", "--to", "bitmask", "--input", "nulvideo.json"], 0),
    "dollar_gt.json, dollar_r.json": (SCORE, 0),
    "threshold.json": ([*SCORE, "--label-maps", "--label-threshold", "threshold.json"], 1),
    "meta/bm": (["convert", "--to", "label-map", "--input", "meta/bm"], 1),
    "meta/bm2": (["convert", "--to", "label-map", "--input", "meta/bm2"], 1),
    "meta/bm3": (["convert", "--to", "label-map", "--input", "meta/bm3"], 1),
    "meta/d.json": (["convert", "--to", "bitmask", "--input", "meta/d.json"], 1),
}
NAMED |= {
    f"yaml/{name}.yaml": (["predict", "--input", ".", "--config", f"yaml/{name}.yaml"], 1)
    for name in CONFIGS
}
NAMED |= {name: (["predict", "--input", ".", "--weights", name], 1) for name in WEIGHTS}


def test_every_file_of_the_shared_folder(tmp_path):
    if not SHARED.is_dir():
        pytest.skip("the hostile files are not in a shared folder")
    copy = shutil.copytree(SHARED, tmp_path / "in")
    known = {name for key in NAMED for name in key.split(", ")}
    for file in copy.iterdir():
        inner = [f"{file.name}/{f.name}" for f in file.iterdir()] if file.is_dir() else [file.name]
        # d.meta.json goes with d.json; the other links of the two chains with their first.
        new = {
            n
            for n in inner
            if n not in known and not n.startswith(("yaml/f", "yaml/g", "meta/d.meta"))
        }
        assert not new
    wanted = []
    for number, (words, _) in enumerate(NAMED.values()):
        given = [str(copy / word) if (copy / word).exists() else word for word in words]
        wanted.append(
            Run([*given, "--output", str(tmp_path / str(number) / "out")], seconds=SECONDS)
        )
    before = {p for p in tmp_path.rglob("*") if p.is_file()}
    done = runs(wanted)
    for number, (name, (_, code)) in enumerate(NAMED.items()):
        end = done[number]
        said = name, end
        assert end.code == code, said
        assert "Traceback" not in end.err, said
        assert end.megabytes < 1000, said
        lines = [line for line in end.err.splitlines() if line.startswith("error:")]
        assert len(lines) == code, said
        if name in WEIGHTS:
            assert f"{name}: refused" in end.err, said
    made = {p for p in tmp_path.rglob("*") if p.is_file()} - before
    assert all(p.relative_to(tmp_path).parts[1] == "out" for p in made), made
