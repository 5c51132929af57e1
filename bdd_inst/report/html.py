"""``report.html``: one file, offline, that shows what a model can do and where it fails."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Sequence
from importlib import metadata, resources
from pathlib import Path

import jinja2

from bdd_inst import __version__
from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write
from bdd_inst.evaluation.compare import Difference
from bdd_inst.evaluation.evaluation_result import EvaluationResult
from bdd_inst.images.finder import ImageFinder
from bdd_inst.report import report_data
from bdd_inst.report.gallery import build_gallery, drawn_images

MOST_pictures = 60
MOST_BYTES = 9_000_000
PACKAGES = ("torch", "torchvision", "numpy", "opencv-python-headless", "pycocotools", "hotcoco")


def write_report(
    outcome: EvaluationResult,
    folder: str | Path,
    *,
    title: str = "Evaluation",
    images: str | Path | None = None,
    run_folder: str | Path | None = None,
    comparison: tuple[Sequence[Difference], str, str, str] | None = None,
    most_images: int = MOST_pictures,
    drawn: Sequence[Path] = (),
) -> Path:
    """Write ``report.html`` (and ``analysis.json``) into ``folder``.

    Args:
        outcome: figures and what they were made from.
        folder: made where it is not there.
        title: of the page.
        images: the folder of images, where the ground truth's file names are not paths to them.
        run_folder: a training run's folder, for its curves, config and ``run.json``.
        comparison: differences, the two runs' names, and the kind (``bbox`` or ``segm``).
        most_images: how many the gallery shows at most; the file stays under 10 MB in any case.
        drawn: images with labels and predictions that are drawn already, shown as they are.

    Returns:
        the page's path.
    """
    outcome.analyze()
    outcome.write_analysis(folder)
    tree = report_data.report_tree(outcome)
    if comparison is not None:
        rows, first, second, kind = comparison
        tree["comparison"] = report_data.comparison_tree(rows, first, second, kind)
    run = Path(run_folder) if run_folder is not None else None
    tree["training"] = report_data.training_tree(run) if run else None
    tree["config"] = read_text(run / "config.yaml") if run else None
    tree["provenance"] = provenance(outcome, run)
    kind = report_data.first_kind(outcome)
    tree["drawn"] = drawn_images(drawn, max(0, MOST_BYTES - len(json.dumps(tree))))
    spent = len(json.dumps(tree))
    if kind in outcome.analyses:
        find = image_finder(outcome, images)
        args = outcome.truth, outcome.results, outcome.analyses[kind], find
        tree["gallery"] = build_gallery(*args, most=most_images, budget=max(0, MOST_BYTES - spent))
    path = Path(folder) / "report.html"
    with atomic_write(path) as stream:
        stream.write(render(title, subtitle(outcome), tree))
    return path


def render(title: str, subtitle: str, tree: dict) -> str:
    """The page as text; the tree travels as JSON inside it."""
    # In a script element only "<" could end it early.
    data = json.dumps(tree, allow_nan=False, separators=(",", ":"), ensure_ascii=False).replace(
        "<", "\\u003c"
    )
    script = "\n".join(
        asset(name) for name in ("tables.js", "charts.js", "gallery.js", "report.js")
    )
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        asset("report.html")
    )
    safe = {
        name: jinja2.utils.markupsafe.Markup(text)
        for name, text in (("data", data), ("css", asset("report.css")), ("script", script))
    }
    return template.render(title=title, subtitle=subtitle, **safe)


def asset(name: str) -> str:
    """A file of the package's templates."""
    return (
        resources.files("bdd_inst.report").joinpath("templates", name).read_text(encoding="utf-8")
    )


def subtitle(outcome: EvaluationResult) -> str:
    """What was scored against what, by which protocol."""
    named = report_data.protocol_text(outcome.metrics["protocol"])
    return f"{outcome.results.source} against {outcome.truth.source}; {named}"


def image_finder(outcome: EvaluationResult, images: str | Path | None):
    """``find(position)``: the image's file, by its own path, else by its name below ``images``."""
    names = outcome.truth.file_names
    folder = ImageFinder(Path(images)) if images is not None else None

    def find(position: int) -> Path | None:
        own = Path(names[position]) if names[position] else None
        if own is not None and os.path.isfile(own):  # false for what no file can be called
            return own
        try:
            return folder.find(names[position]) if folder is not None and names[position] else None
        except DataError:  # several could be meant: none is shown
            return None

    return find


def provenance(outcome: EvaluationResult, run: Path | None) -> list[tuple[str, str]]:
    """Rows of name and value: data and its hash, masks' rule, versions; of a run its seed, command and source state."""
    truth = outcome.truth
    rows = [
        ("made", datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")),
        ("ground truth", f"{truth.source} ({len(truth.image_ids)} images, {len(truth)} objects)"),
        ("ground truth hash", truth.fingerprint()),
        ("predictions", f"{outcome.results.source} ({len(outcome.results)} detections)"),
        ("predictions hash", outcome.results.fingerprint()),
    ]
    rows += (
        [("masks drawn by", f"the {truth.rule} rule")]
        if truth.rule and truth.rule != "pixels"
        else []
    )
    installed = {name: version(name) for name in PACKAGES}
    versions = [
        f"bdd_inst {__version__}",
        f"Python {platform.python_version()}",
        *(f"{n} {v}" for n, v in installed.items() if v),
    ]
    rows += run_rows(run) if run else []
    return [*rows, ("versions", ", ".join(versions)), ("platform", platform.platform())]


def run_rows(run: Path) -> list[tuple[str, str]]:
    """What a run's ``run.json`` says of its seed, command, source and data; nothing where it is none of ours."""
    try:
        record = json.loads(read_text(run / "run.json") or "{}")
        if not record:
            return []
        git = record.get("git") or {}
        changed = " with changes" if git.get("changed") else ""
        return [
            ("seed", str(record.get("seed"))),
            ("training command", " ".join(map(str, record.get("command", ())))),
            *([("source", f"{git['commit']}{changed}")] if git.get("commit") else []),
            *(
                (f"training data {n}", f"{d['pictures']} images, {d['hash']}")
                for n, d in (record.get("data") or {}).items()
            ),
        ]
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
        return []


def version(package: str) -> str | None:
    """The installed version, None where it is not."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def read_text(path: Path) -> str | None:
    """A file's text, None where there is none."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
