"""The wheel holds the whole product: built from this checkout, installed into a fresh environment, used in an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("setuptools", minversion="77")
pytest.importorskip("pip")

SHORT = [
    "STAGES.heads.MAX_ITER",
    "2",
    "STAGES.full.MAX_ITER",
    "2",
    "STAGES.full.WARMUP_ITERS",
    "1",
    "STAGES.heads.WARMUP_ITERS",
    "1",
    "SOLVER.IMS_PER_BATCH",
    "2",
    "DATALOADER.NUM_WORKERS",
    "0",
    "TEST.PICTURES",
    "1",
    "TEST.EVAL_PERIOD",
    "0",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, project_root) -> Path:
    """The wheel of a copy of the checkout: building leaves files beside the sources."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("bdd_inst", "configs"):
        shutil.copytree(project_root / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(project_root / name, source)
    build = "from setuptools.build_meta import build_wheel; import sys; build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", build, str(target)], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return next(target.glob("*.whl"))


def test_the_wheel_holds_every_source_every_config_and_the_command(wheel, project_root):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        entry = next(name for name in names if name.endswith("entry_points.txt"))
        assert "bdd-inst = bdd_inst.cli.main:main" in file.read(entry).decode()
    package = project_root / "bdd_inst"
    sources = {
        path.relative_to(project_root).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    configs = {
        f"bdd_inst/configs/{path.name}" for path in (project_root / "configs").glob("*.yaml")
    }
    assert configs
    assert not (sources | configs) - names
    assert {name.split("/")[0] for name in names} <= {
        "bdd_inst",
        entry.split("/")[0],
    }, "nothing beside the package goes into site-packages"


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The folder of the commands of a fresh environment that has the wheel, and the rest from the running one."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False)
    scripts = place / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / ("python.exe" if sys.platform == "win32" else "python")
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    others = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    Path(site.stdout.strip(), "others.pth").write_text("\n".join(others) + "\n")
    command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, capture_output=True, env=alone())
    return scripts


def alone() -> dict[str, str]:
    """The environment without this checkout's place in it."""
    out = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return out | {"OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def call(installed: Path, folder: Path, *words: object, expect: int = 0, **env: str) -> str:
    """What the installed command says, run in ``folder``."""
    done = subprocess.run(
        [installed / "bdd-inst", *map(str, words)],
        cwd=folder,
        env=alone() | env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_installed_in_an_empty_folder_it_trains_evaluates_and_predicts(
    installed, tmp_path, small_streets
):
    """``small_streets`` stands where the demo would render its images."""
    assert "train" in call(installed, tmp_path, "--help")
    assert "bdd-inst train --config demo.yaml" in call(installed, tmp_path, "train", "--help")
    env = {"DETECTRON2_DATASETS": str(small_streets), "BDD_INST_CACHE": ""}
    # Two processes: they start themselves again as they were started.
    words = ["--num-gpus", 2, "--output", "run", *SHORT]
    said = call(installed, tmp_path, "demo", *words, **env)
    assert "COCO masks" in said
    assert "results in run" in said
    assert json.loads((tmp_path / "run" / "run.json").read_text())["command"][:2] == [
        "bdd-inst",
        "demo",
    ]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["git"] is None
    image = next((small_streets / "synthetic_bdd").rglob("*.jpg"))
    words = ["--weights", "run/model_final.pth", "--input", image, "--output", "out"]
    call(installed, tmp_path, "predict", *words, **env)
    assert (tmp_path / "out" / "predictions.json").is_file()
