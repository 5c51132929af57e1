"""One verdict on each label file: what one of the five tools takes or refuses, all do, with the same objects and for the same reason."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bdd_inst import formats
from bdd_inst.base.errors import DataError
from bdd_inst.checks.run import check
from bdd_inst.cli import check as check_tool
from bdd_inst.cli import convert, make_masks
from bdd_inst.config.loading import load_cfg
from bdd_inst.data.loading import load_datasets
from bdd_inst.datasets import own
from bdd_inst.evaluation import files
from bdd_inst.formats.plan import make_plan
from bdd_inst.images.names import SUFFIXES

CASES = Path(__file__).resolve().parents[1] / "fixtures" / "cases"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "cases"
PATTERNS = (
    "36_cityscapes/gtFine/aachen/*_instanceIds.png",
    "36_cityscapes/gtFine/aachen/*_labelIds.png",
)


def sources(root: Path) -> list[str]:
    """Every file and folder below the cases but the photographs, and patterns of PNGs that lie with others."""
    found = [p for p in sorted(root.rglob("*")) if "yaml" not in p.parts or p.stem < "f"]
    picked = [p for p in found if p.suffix.lower() not in SUFFIXES or p.parent.name == "hostile"]
    picked = [p for p in picked if not p.name.startswith(".")]
    return [p.relative_to(root).as_posix() for p in picked] + list(PATTERNS)


@dataclass
class Verdict:
    """The objects that a tool takes, by class, or why it refuses the file; ``counted`` are the reasons that it tells beside."""

    objects: dict[str, int] | None
    refused: str = ""
    counted: str = ""


class Tools:
    """The five tools on one source. ``images``: a folder where every image lies that the labels name."""

    def __init__(self, source: Path, images: Path, folder: Path) -> None:
        self.source, self.images, self.folder = source, images, folder

    def __call__(self, tool: str) -> Verdict:
        try:
            return getattr(self, tool)()
        except DataError as error:
            return Verdict(None, str(error))

    def check(self) -> Verdict:
        arguments = ["--input", str(self.source), "--images", str(self.images), "--no-decode"]
        result = check(check_tool.splits_of(check_tool.parse(arguments)), decode=False)
        classes = result.splits[0].statistics.classes
        objects = {name: counts.objects for name, counts in classes.items()}
        for finding in result.findings.kept.get("no-shape", ()):
            objects[finding.instance.rpartition(" ")[0] or finding.instance] -= 1
        return Verdict(objects, counted=str(dict(result.findings.counts)))

    def convert(self) -> Verdict:
        out = self.folder / "out.json"
        arguments = ["--input", str(self.source), "--images", str(self.images)]
        said = self.run(convert.main, [*arguments, "--to", "coco", "--output", str(out)])
        tree = json.loads(out.read_text())
        names = {c["id"]: c["name"] for c in tree["categories"]}
        return Verdict(Counter(names[a["category_id"]] for a in tree["annotations"]), counted=said)

    def make_masks(self) -> Verdict:
        """The pixels of each class stand for its objects: none where no object has a mask."""
        labels = formats.read(self.source, images=self.images)
        names = make_plan(labels, "coco").categories
        if not names:
            return Verdict({})
        out = self.folder / "masks"
        arguments = ["--input", str(self.source), "--images", str(self.images)]
        arguments += [word for name in names for word in ("--category", name)]
        said = self.run(make_masks.main, [*arguments, "--output", str(out)])
        values = {v for png in out.rglob("*.png") for v in np.unique(np.asarray(Image.open(png)))}
        return Verdict({name: 1 for k, name in enumerate(names, 1) if k in values}, counted=said)

    def run(self, main, arguments: list[str]) -> str:
        """A tool's words where it ends well; its refusal as an error."""
        with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(said):
            code = main(arguments)
        assert "Traceback" not in said.getvalue()
        if code:
            lines = said.getvalue().strip().splitlines()
            assert code == 1
            assert lines[-1].startswith("error: ")
            raise DataError(lines[-1].removeprefix("error: "))
        return said.getvalue()

    def train(self) -> Verdict:
        words = [
            "DATASETS.TRAIN",
            [str(self.source)],
            "DATASETS.TRAIN_IMAGES",
            [str(self.images)],
        ]
        cfg = load_cfg(
            "Base-MaskRCNN-FPN.yaml", [*words, "DATASETS.TEST", [], "MODEL.MASK_ON", False]
        )
        try:
            own.prepare(cfg)
            dicts, metadata, problems = load_datasets(cfg, list(cfg.DATASETS.TRAIN), False)
        except DataError as error:
            if not re.search("nothing left to train on|no labeled object in it", str(error)):
                raise
            return Verdict({}, counted=str(error))
        names = metadata["thing_classes"]
        objects = Counter(names[a["category_id"]] for d in dicts for a in d["annotations"])
        return Verdict(objects, counted=str(dict(problems.counts)))

    def evaluate(self) -> Verdict:
        truth = files.read_truth(self.source, self.images)
        objects = Counter(truth.class_names[k] for k in truth.category)
        return Verdict(objects, counted=str(dict(truth.problems.counts)))


def images_for(source: Path, root: Path, folder: Path) -> Path:
    """A folder with the case's own images, and blank ones for the names that it lacks."""
    case = root / source.relative_to(root).parts[0]
    named = [
        d
        for d in sorted(case.rglob("*"))
        if d.name in ("img", "image", "images", "leftImg8bit", "train")
    ]
    here = next((d for d in named if d.is_dir()), case)
    folder.mkdir()
    for file in here.rglob("*") if case.name != "hostile" else ():
        if file.suffix.lower() in SUFFIXES and file.is_file():
            place = folder / file.relative_to(here)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(file)
    with contextlib.suppress(DataError):
        finder = formats.registry.ImageFinder(folder)
        for image in formats.read(source).load().images:
            with contextlib.suppress(DataError, OSError, ValueError):
                if finder.find(image) is None:
                    blank = Image.new("RGB", (image.width or 64, image.height or 48))
                    place = folder / Path(image.name).name
                    blank.save(place if place.suffix else place.with_suffix(".png"))
    return folder


RESULTS = "this is a list of COCO results, not labels"


def judge(root: Path, name: str, tmp_path: Path) -> None:
    source = root / name
    images = images_for(source, root, tmp_path / "images")
    tools = Tools(source, images, tmp_path)
    verdicts = {t: tools(t) for t in ("check", "train", "evaluate", "convert", "make_masks")}
    refusals = {t: v.refused for t, v in verdicts.items() if v.objects is None}
    if any(RESULTS in text for text in refusals.values()):
        # Predictions are no labels to learn from or to score against, but can be written as another kind.
        assert refusals.keys() >= {"check", "train", "evaluate"}, refusals
        return
    if refusals:
        unusable = "none of its objects can be used" in next(iter(refusals.values()))
        expected = verdicts.keys() - ({"check"} if unusable else set())
        assert refusals.keys() == expected, (refusals, verdicts)
        assert len(set(refusals.values())) == 1, refusals
        assert "\n" not in next(iter(refusals.values()))
        return
    problems = formats.read(source, images=images).load().problems.counts
    objects = {t: +Counter(v.objects) for t, v in verdicts.items() if t != "make_masks"}
    assert all(found == objects["check"] for found in objects.values()), objects
    assert verdicts["make_masks"].objects.keys() <= objects["check"].keys()
    for tool, verdict in verdicts.items():
        for code in problems:
            assert code in verdict.counted, (tool, code, verdict.counted)


@pytest.mark.parametrize("name", sources(CASES))
def test_all_tools_have_one_verdict(name, tmp_path, monkeypatch):
    monkeypatch.setenv("BDD_INST_CACHE", "")
    judge(CASES, name, tmp_path)


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="the folder shared does not lie beside the checkout"
)
@pytest.mark.parametrize("name", sources(SHARED) if SHARED.is_dir() else [])
def test_all_tools_have_one_verdict_on_the_shared_cases(name, tmp_path, monkeypatch):
    if (CASES / name).exists():
        pytest.skip("the same file is among the fixtures")
    monkeypatch.setenv("BDD_INST_CACHE", "")
    judge(SHARED, name, tmp_path)
