"""Every idea has one home: what tells that it lives twice, code that only tests call, long positional calls, class names used twice."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_architecture import PACKAGE, PACKAGE_FILES, ROOT, module_of, name_of, tree_of

# An idea -> the words of code that nobody needs outside its home, and its home: files, or folders that end with a slash.
HOMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "which class a word means": (r"ALIASES\.get\(|ALIASES\[|aliases\.get\(", ("base/vocabulary.py",)),
    "image files opened": (r"\bImage\.open\(|\bcv2\.imread\(", ("images/opening.py",)),
    "image bytes decoded": (r"\bcv2\.imdecode\(", ("images/read.py", "live/browser_camera.py")),
    "EXIF": (r"exif_transpose|getexif|Transpose\.ROTATE", ("images/read.py", "images/size.py")),
    "what image files are called": (r"\.jpeg\"|\.webp\"", ("images/names.py",)),
    "PNG headers": (r"IHDR", ("images/png_kinds.py",)),
    "video files": (r"\bcv2\.VideoWriter\(", ("images/video.py",)),
    "the cache folder": (r"environ\.get\(\"(BDD_INST_CACHE|XDG_CACHE_HOME)", ("base/cache_folder.py", "weights/files.py")),
    "COCO's images and annotations read": (r"get\(\"categories\"\)\) or|type=Category|Decoder\(Annotation\)", ("formats/coco.py", "formats/coco_entries.py", "formats/panoptic.py")),
    "JSON of labels parsed": (r"\bjson\.loads\(", ("formats/json_files.py", "base/locks.py", "live/page_server.py", "datasets/cache.py", "synthetic/render.py", "training/provenance.py", "report/html.py", "cli/benchmarks/")),
    "COCO results read": (r"Decoder\(Result\)", ("formats/coco_entries.py",)),
    "label files parsed": (r"msgspec\.json\.Decoder\(", ("formats/",)),
    "hotcoco run": (r"StreamingEval\(|COCOeval\(", ("evaluation/coco.py", "cli/benchmarks/")),
    "models evaluated": (r"\bbuild_evaluator\(", ("evaluation/", "training/metric_names.py")),
    "the text of run lengths": (r"np\.uint8\(48\)|\+ 48\b", ("masks/rle_text.py",)),
    "COCO's fill": (r"frPyObjects", ("masks/coco_fill.py", "structures/polygon_masks.py", "evaluation/ground_truth.py", "cli/benchmarks/")),
    "the official fill": (r"\boutline_cells\(", ("masks/",)),
    "label maps cut into objects": (r"cv2\.connectedComponents", ("formats/label_map.py", "images/png_kinds.py", "live/tidying.py", "synthetic/labels.py")),
    "names of files of problems": (r"\bProblemCode\(", ("base/problems.py",)),
    "BDD100K's size": (r"BDD_SIZE\s*=", ("formats/records.py",)),
    "the size of an image's labels": (r"def size_of\b", ("formats/records.py",)),
    "colors by hue": (r"hls_to_rgb|hsv_to_rgb", ("drawing/colors.py", "synthetic/")),
    "rules on config keys": (r"rules\.(NUMBERS|VALUES)\b", ("config/", "masks/rasterize.py")),
    "signal handlers": (r"\bsignal\.signal\(", ("base/signal_handlers.py",)),
    "errors as one line and an exit code": (r"print\(f?\"error: ", ("cli/common.py",)),
    "command lines": (r"\bArgumentParser\(", ("cli/common.py",)),
    "images in pages": (r"base64,", ("report/data_uri.py",)),
    "metrics.json written": (r"json\.dump\(metrics", ("evaluation/outputs.py",)),
    "the names of JSON files": (r"removesuffix\(\"\.gz\"\)", ("formats/json_files.py",)),
}  # fmt: skip


def code_of(path: Path) -> ast.Module:
    """A file without its comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
            body[0] = ast.Pass()
    return tree


TREES = {path.relative_to(ROOT / PACKAGE).as_posix(): code_of(path) for path in PACKAGE_FILES}
CODE = {name: ast.unparse(tree).replace("'", '"') for name, tree in TREES.items()}


@pytest.mark.parametrize("idea", HOMES)
def test_an_idea_has_one_home(idea):
    words, homes = HOMES[idea]
    found = {name for name, code in CODE.items() if re.search(words, code)}
    assert found, f"{idea}: nothing has {words} any more; put the row right"
    elsewhere = sorted(name for name in found if not name.startswith(homes))
    assert not elsewhere, f"{idea} has a home, {', '.join(homes)}; it lives in {elsewhere} too"


def test_no_two_classes_have_one_name():
    places = defaultdict(list)
    for path in PACKAGE_FILES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{name_of(path)}:{node.lineno}")
    assert not {name: where for name, where in places.items() if len(where) > 1}


def test_an_option_is_added_in_one_place():
    """Options that several verbs have with the same meaning come from ``cli/common.py``; the others may share a name only."""
    texts = defaultdict(set)
    for name, tree in TREES.items():
        if name.startswith("cli/"):
            for call in ast.walk(tree):
                if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("add_argument"):
                    words = {k.arg: ast.unparse(k.value) for k in call.keywords}
                    first = call.args[0] if call.args else None
                    if isinstance(first, ast.Constant) and "help" in words:
                        texts[first.value, words["help"]].add(name)
    twice = {option: where for option, where in texts.items() if len(where) > 1}
    assert not twice, twice


def names_used(tree: ast.Module) -> Iterator[str]:
    """Every name that code loads, takes as an attribute, or writes as a text (tables name what they import so)."""

    def walk(node: ast.AST, inside: tuple[str, ...]) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            here = inside
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                here = (*inside, child.name)
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
                yield from [child.id] if child.id not in inside else []
            elif isinstance(child, ast.Attribute) and child.attr not in inside:
                yield child.attr
            elif isinstance(child, ast.Constant) and isinstance(child.value, str):
                yield from (
                    re.findall(r"\w+", child.value) if re.fullmatch(r"[\w.]+", child.value) else []
                )
            yield from walk(child, here)

    return walk(tree, ())


def public_text() -> str:
    """What users are shown, and templates: a name that stands there is used."""
    files = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.py")]
    files += [p for p in (ROOT / PACKAGE).rglob("*.html") if p.is_file()]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


# Detectron2's own names of its structures, which code written for it calls.
DETECTRON2 = {"get_centers", "from_polygon_masks"}


def test_nothing_lives_for_the_tests_alone():
    used = Counter(name for tree in TREES.values() for name in names_used(tree)) + Counter(
        re.findall(r"\w+", public_text())
    )
    unused = []
    for path in PACKAGE_FILES:
        tree = tree_of(path)
        defined = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        # Methods of classes with bases may answer to another library.
        defined += [m for c in defined if isinstance(c, ast.ClassDef) and not c.bases for m in c.body if isinstance(m, ast.FunctionDef)]  # fmt: skip
        unused += [
            f"{name_of(path)}:{n.lineno} {n.name}"
            for n in defined
            if not used[n.name] and not n.name.startswith("_") and n.name not in DETECTRON2
        ]
    assert not unused, unused


MOST_POSITIONAL_ARGUMENTS, MOST_POSITIONAL_PARAMETERS = 4, 6


def positional(node: ast.FunctionDef | ast.ClassDef) -> list[str] | None:
    """The parameters of a function, or the fields of a dataclass, that a call may fill by place; None where there may be any number."""
    if isinstance(node, ast.FunctionDef):
        return (
            None if node.args.vararg else [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
        )
    inits = [m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"]
    if inits:
        return positional(inits[0])
    return [ast.unparse(f.target) for f in node.body if isinstance(f, ast.AnnAssign)]


def definitions(path: Path) -> dict[str, ast.FunctionDef | ast.ClassDef]:
    """What a file defines at its top, or imports by name from the package."""
    out = {}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            for alias in node.names:
                found = TOP.get(node.module, {}).get(alias.name)
                if found is not None:
                    out[alias.asname or alias.name] = found
    return out | TOP[module_of(path)]


TOP = {
    module_of(path): {
        n.name: n for n in tree_of(path).body if isinstance(n, ast.FunctionDef | ast.ClassDef)
    }
    for path in PACKAGE_FILES
}


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=name_of)
def test_long_calls_name_their_arguments(path):
    known = definitions(path)
    for call in ast.walk(tree_of(path)):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        target = known.get(call.func.id)
        given = [a for a in call.args if not isinstance(a, ast.Starred)]
        if target is not None and positional(target) is not None:
            assert len(given) <= MOST_POSITIONAL_ARGUMENTS, (
                f"{name_of(path)}:{call.lineno} {call.func.id} gets {len(given)} arguments by place; name them"
            )


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=name_of)
def test_signatures_do_not_ask_for_long_calls(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef):
            names = [n for n in positional(node) or () if n not in ("self", "cls")]
            assert len(names) <= MOST_POSITIONAL_PARAMETERS, (
                f"{name_of(path)}:{node.lineno} {node.name}: put a * before the later parameters"
            )
