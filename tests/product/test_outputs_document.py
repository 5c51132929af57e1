"""docs/outputs.md names every file that a command leaves and every key of metrics.json: small runs are held against it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bdd_inst.cli import check, convert, evaluate, make_masks, predict, train, visualize
from bdd_inst.cli.main import VERBS
from bdd_inst.config.loading import load_cfg
from bdd_inst.engines import build_model
from bdd_inst.formats.table import kinds
from bdd_inst.weights.checkpoint import save_weights
from bdd_inst.weights.trained import identity_of
from tests.product.tiny import MODEL, SHORT, coco_data

PLACES = {"NAME": r".+", "NNNNNNN": r"\d{7}", "*": r".+", "N": r"\d+"}


@pytest.fixture(scope="module")
def text(request) -> str:
    return (request.config.rootpath / "docs" / "outputs.md").read_text(encoding="utf-8")


def section(text: str, verb: str) -> str:
    found = re.search(rf"^## `{verb}`\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert found, f"docs/outputs.md says nothing of {verb}"
    return found[1]


def rows(text: str, head: str) -> list[tuple[list[str], str]]:
    """The names in the first column of the tables of that heading, and what the last column says."""
    out = []
    for table in re.findall(rf"^\| {head} \|.*\n\| --- .*\n((?:\|.*\n)+)", text, re.M):
        for line in table.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split(" |")]
            out.append((re.findall(r"`([^`]+)`", cells[0]), cells[-1].strip("| ")))
    assert out, head
    return out


def pattern(name: str) -> re.Pattern:
    parts = re.split(r"(NAME|NNNNNNN|\*|(?<=rank)N)", name)
    return re.compile("".join(PLACES.get(part, re.escape(part)) for part in parts))


def compare(named: list[tuple[list[str], str]], there: list[str], where: str) -> None:
    """Every file has a row, and every row without a condition a file."""
    for file in there:
        names = [name for some, _ in named for name in some]
        assert any(pattern(name).fullmatch(file) for name in names), (
            f"{where}: {file} is not in docs/outputs.md"
        )
    for names, condition in named:
        if not condition:
            for name in names:
                assert any(pattern(name).fullmatch(file) for file in there), (
                    f"{where}: {name} was not left"
                )


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def compare_metrics(text: str, metrics: dict) -> None:
    part = section(text, "evaluate")
    compare(rows(part, "key"), list(metrics), "metrics.json")
    tables = [rows(piece, "figure") for piece in re.split(r"^Of ", part, flags=re.M)[1:]]
    kinds = dict(zip(("bbox", "panoptic_seg", "sem_seg", "label_map"), tables, strict=True))
    for kind, named in kinds.items():
        known = [pattern(re.sub(r"<class>", "*", name)) for names, _ in named for name in names]
        for block in {"bbox": ("bbox", "segm", "segm_rle")}.get(kind, (kind,)):
            for key in metrics.get(block, ()):
                assert any(p.fullmatch(key) for p in known), f"{block}: {key}"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return coco_data(tmp_path_factory.mktemp("data") / "d")


def test_every_command_has_its_section(text):
    assert re.findall(r"^## `([\w-]+)`", text, re.M) == list(VERBS)


def test_links_to_parts_of_it(text):
    for anchor in re.findall(r"\]\(#([\w-]+)\)", text):
        assert re.search(rf"^#+ `?{anchor}`?$", text, re.M), anchor


def test_convert(text, data, tmp_path):
    for to in (*kinds("write"), "overlay"):
        words = ["--input", f"{data}/labels.json", "--images", f"{data}/images", "--to", to]
        assert convert.main([*words, "--output", str(tmp_path / to), "--workers", "1"]) == 0
        there = [
            re.sub(rf"^{to}(?=/)", "FOLDER", name)
            for name in files(tmp_path)
            if re.match(rf"{to}\b(?!-)", name)
        ]
        there = [re.sub(rf"^{to}(?=$|\.)", "FILE", name) for name in there]
        named = [(n, w) for n, w in rows(section(text, "convert"), "file") if f"`{to}`" in w]
        # A row whose condition is no more than its targets is of every conversion to them.
        compare([(n, re.sub(r"`[\w-]+`(, )?", "", w)) for n, w in named], there, to)
    words = ["--input", f"{data}/results.json", "--images", f"{data}/images", "--to", "bitmask"]
    assert convert.main([*words, "--output", str(tmp_path / "of_predictions")]) == 0
    assert (tmp_path / "of_predictions.json").is_file()


def test_check(text, data, tmp_path):
    words = ["--input", f"{data}/labels.json", "--images", f"{data}/images"]
    check.main([*words, "--output", str(tmp_path)])
    compare(rows(section(text, "check"), "file"), files(tmp_path), "check")
    head = (tmp_path / "problems.csv").read_text().splitlines()[0]
    assert f"`{head}`" in section(text, "check")


def test_make_masks(text, data, tmp_path):
    words = ["--input", f"{data}/labels.json", "--category", "cat,dog", "--output", str(tmp_path)]
    assert make_masks.main(words) == 0
    compare(rows(section(text, "make-masks"), "file"), files(tmp_path), "make-masks")


def test_visualize(text, data, tmp_path):
    words = ["--ground-truth", f"{data}/labels.json", "--images", f"{data}/images"]
    assert visualize.main([*words, "--output", str(tmp_path)]) == 0
    compare(rows(section(text, "visualize"), "file"), files(tmp_path), "visualize")


def test_evaluate_files(text, data, tmp_path):
    words = ["--ground-truth", f"{data}/labels.json", "--predictions", f"{data}/results.json"]
    words += ["--protocol", "both", "--label-maps", "--output", str(tmp_path)]
    assert evaluate.main(words) == 0
    compare(rows(section(text, "evaluate"), "file"), files(tmp_path), "evaluate")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert {"coco", "bdd", "segm_rle", "label_map", "sem_seg"} <= set(metrics)
    compare_metrics(text, metrics)
    analysis = json.loads((tmp_path / "analysis.json").read_text())["segm"]
    for key in set(analysis) - {"kind"}:
        assert f"`{key}`" in section(text, "evaluate")
    head = (tmp_path / "pr_curves.csv").read_text().splitlines()[0]
    assert f"`{head}`" in section(text, "evaluate")


@pytest.mark.slow
def test_predict_and_evaluate_a_model(text, data, tmp_path):
    cfg = load_cfg("demo.yaml", [*MODEL, "MODEL.ROI_HEADS.NUM_CLASSES", "2"])
    weights = tmp_path / "w.pth"
    identity = identity_of(cfg, {"thing_classes": ["cat", "dog"]}).entry()
    save_weights(build_model(cfg), weights, identity)
    words = ["--weights", str(weights), "--input", f"{data}/images", "--output", f"{tmp_path}/p"]
    assert predict.main(words) == 0
    compare(rows(section(text, "predict"), "file"), files(tmp_path / "p"), "predict")
    for key in json.loads((tmp_path / "p" / "predictions.json").read_text())[0]:
        assert f"`{key}`" in section(text, "predict")
    sets = [
        "DATASETS.TEST",
        f"['{data}/labels.json']",
        "DATASETS.TEST_IMAGES",
        f"['{data}/images']",
    ]
    words = ["--weights", str(weights), "--output", str(tmp_path / "e"), *sets]
    assert evaluate.main(words) == 0
    there = files(tmp_path / "e")
    compare(rows(section(text, "evaluate"), "file"), there, "evaluate")
    assert {"images/0.png", "coco_instances_results.json"} & set(there)


@pytest.mark.slow
def test_train(text, data, tmp_path):
    words = [
        "--config",
        "demo.yaml",
        "--output",
        str(tmp_path),
        *MODEL,
        *SHORT,
        "TEST.EVAL_PERIOD",
        "2",
        "SOLVER.EMA.ENABLED",
        "True",
    ]
    words += ["--train", f"{data}/labels.json", "--train-images", f"{data}/images"]
    words += ["--val", f"{data}/labels.json", "--val-images", f"{data}/images"]
    assert train.main(words) == 0
    part = section(text, "train")
    named = rows(part, "file")
    compare([*named, *rows(section(text, "evaluate"), "file")], files(tmp_path), "train")
    assert {"model_best.pth", "model_ema.pth", "ema/metrics.json", "training_curves.png"} <= set(
        files(tmp_path)
    )
    for key in json.loads((tmp_path / "run.json").read_text()):
        assert f"`{key}`" in part
    for column in (tmp_path / "training.csv").read_text().splitlines()[0].split(","):
        assert f"`{column}`" in part or column.startswith("loss_")
    compare_metrics(text, json.loads((tmp_path / "metrics.json").read_text()))


@pytest.mark.slow
def test_a_pixelwise_model(text, data, tmp_path, project_root):
    weights = project_root / "bdd_inst" / "live" / "person.pth"
    words = ["--weights", str(weights), "--input", f"{data}/images/0.png", "--probabilities"]
    assert predict.main([*words, "--cutouts", "--output", str(tmp_path / "p")]) == 0
    there = files(tmp_path / "p")
    compare(rows(section(text, "predict"), "file"), there, "predict")
    assert {name.split("/")[0] for name in there} == {
        "labels",
        "probabilities",
        "cutouts",
        "overlays",
    }
    sets = [
        "DATASETS.TEST",
        f"['{data}/labels.json']",
        "DATASETS.TEST_IMAGES",
        f"['{data}/images']",
    ]
    words = ["--weights", str(weights), "--output", str(tmp_path / "e"), *sets]
    assert evaluate.main([*words, "DATASETS.CLASSES", "['cat']"]) == 0
    compare(rows(section(text, "evaluate"), "file"), files(tmp_path / "e"), "evaluate")
    compare_metrics(text, json.loads((tmp_path / "e" / "metrics.json").read_text()))
