"""The house rules that a machine can hold: the order of rooms, quiet rooms, docstrings, lengths."""

from __future__ import annotations

import ast
import functools
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "bdd_inst"

# Each room imports only from rooms to its left; ``cli`` may import anything, and nothing imports it.
ROOMS = (
    "base",
    "config",
    "structures",
    "masks",
    "images",
    "formats",
    "drawing",
    "synthetic",
    "datasets",
    "checks",
    "data",
    "modeling",
    "weights",
    "engines",
    "inference",
    "evaluation",
    "report",
    "live",
    "training",
    "cli",
)

LONGEST_FILE, LONGEST_TOOL, LONGEST_FUNCTION = 350, 20, 60

PACKAGE_FILES = sorted((ROOT / PACKAGE).rglob("*.py"))
TOOL_FILES = sorted((ROOT / "tools").rglob("*.py"))
SOURCES = PACKAGE_FILES + TOOL_FILES


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> str:
    """The room of a file of the package: its first folder, or its own name where it lies at the top."""
    return path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py")


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported_rooms(path: Path) -> list[tuple[int, str]]:
    """Line and room of every import from the package, lazy ones inside functions included."""
    found = []
    for node in ast.walk(tree_of(path)):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [absolute(path, node)]
            if modules == [PACKAGE]:
                modules = [f"{PACKAGE}.{alias.name}" for alias in node.names]
        found += [
            (node.lineno, m.split(".")[1])
            for m in modules
            if m.startswith(f"{PACKAGE}.") and m != f"{PACKAGE}.__version__"
        ]
    return found


def absolute(path: Path, node: ast.ImportFrom) -> str:
    """The dotted module that ``from ... import`` names, relative ones resolved."""
    if not node.level:
        return node.module or ""
    package = path.relative_to(ROOT).parent.parts
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=name_of)
def test_a_room_imports_only_from_rooms_before_it(path):
    room = room_of(path)
    if room in ("__init__", "__main__"):
        return
    assert room in ROOMS, (
        f"{name_of(path)}: room {room!r} has no place in the order; add it to ROOMS"
    )
    for line, other in imported_rooms(path):
        assert other in ROOMS, (
            f"{name_of(path)}:{line} imports {other!r}, which has no place in the order"
        )
        assert other == room or ROOMS.index(other) < ROOMS.index(room), (
            f"{name_of(path)}:{line}: {room} may not import {other}"
        )


def test_the_order_names_the_rooms_that_there_are():
    folders = {path.parent.name for path in (ROOT / PACKAGE).glob("*/__init__.py")}
    assert set(ROOMS) == folders


def module_of(path: Path) -> str:
    """``bdd_inst.training.state`` of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def top_level_imports(path: Path, modules: set[str]) -> set[str]:
    """Modules of the package that a file imports when it is loaded, or that its types need."""
    found, nodes = set(), list(tree_of(path).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If | ast.Try):
            nodes += ast.iter_child_nodes(node)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = absolute(path, node)
            names = {f"{base}.{alias.name}" for alias in node.names}
            found |= (names & modules) or {base}
    return found & modules


def test_no_module_needs_itself():
    files = {module_of(path): path for path in PACKAGE_FILES}
    needs = {name: top_level_imports(path, set(files)) for name, path in files.items()}
    while True:
        # What needs nothing that is left is no part of a circle.
        free = {name for name, others in needs.items() if not others & needs.keys()}
        if not free:
            break
        needs = {name: others for name, others in needs.items() if name not in free}
    assert not needs, f"a circle of imports among {', '.join(sorted(needs))}"


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=name_of)
def test_nothing_in_the_package_imports_the_tools(path):
    for node in ast.walk(tree_of(path)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        assert not [n for n in names if n.split(".")[0] in ("tools", "tests")], (
            f"{name_of(path)}:{node.lineno}"
        )


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=name_of)
def test_rooms_do_not_print(path):
    if room_of(path) in ("cli", "__main__"):
        return
    calls = [
        n
        for n in ast.walk(tree_of(path))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "print"
    ]
    assert not calls, (
        f"{name_of(path)}:{calls[0].lineno} prints; use logging, or return the text to the tool"
    )


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_file_says_in_its_first_line_what_it_holds(path):
    text = path.read_text(encoding="utf-8")
    if text.startswith("#!"):
        text = text.split("\n", 1)[1]
    if path.name == "__init__.py" and not text.strip():
        return
    assert text.startswith('"""'), f"{name_of(path)} does not start with a docstring"
    assert len(text.splitlines()[0].strip('"').strip()) >= 15, (
        f"{name_of(path)}: the first line says too little"
    )


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_and_functions_stay_short(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    limit = LONGEST_TOOL if path.parent == ROOT / "tools" else LONGEST_FILE
    assert lines <= limit, f"{name_of(path)} has {lines} lines (limit {limit}); split it by idea"
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length <= LONGEST_FUNCTION, (
                f"{name_of(path)}:{node.lineno} {node.name} has {length} lines"
            )


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=name_of)
def test_public_things_have_docstrings(path):
    for node in tree_of(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), (
                f"{name_of(path)}:{node.lineno} {node.name} has no docstring"
            )


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_is_left_for_later(path):
    marks = re.findall(r"\b(TODO|FIXME|XXX)\b", path.read_text(encoding="utf-8"))
    assert not marks, f"{name_of(path)} still says {marks}"


def test_the_order_test_sees_relative_and_lazy_imports(tmp_path, monkeypatch):
    folder = tmp_path / PACKAGE / "formats"
    folder.mkdir(parents=True)
    file = folder / "late.py"
    lazy = "def f():\n    import bdd_inst.evaluation.coco\n    from bdd_inst import training\n"
    file.write_text(f"from ..report import draw\nfrom . import records\n\n{lazy}", encoding="utf-8")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert sorted(imported_rooms(file)) == [
        (1, "report"),
        (2, "formats"),
        (5, "evaluation"),
        (6, "training"),
    ]


def users() -> dict[str, set[str]]:
    """Dotted name of everything in the package -> the rooms that import it, by ``from`` or as an attribute of its module."""
    out: dict[str, set[str]] = defaultdict(set)
    for path in PACKAGE_FILES:
        tree, aliases = tree_of(path), {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bdd_inst"):
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"
                    aliases[alias.asname or alias.name] = name
                    out[name].add(room_of(path))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                out[f"{aliases.get(node.value.id)}.{node.attr}"].add(room_of(path))
    return out


USERS = users()


def faces() -> list[tuple[Path, ast.FunctionDef]]:
    """The public functions with arguments that another room imports."""
    found = []
    for path in PACKAGE_FILES:
        for node in tree_of(path).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                outside = USERS[f"{module_of(path)}.{node.name}"] - {room_of(path)}
                if outside and arguments(node):
                    found.append((path, node))
    return found


def arguments(node: ast.FunctionDef) -> list[str]:
    given = node.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return names if given.vararg is None else [*names, given.vararg.arg]


@pytest.mark.parametrize(
    ("path", "node"), faces(), ids=lambda v: v.name if isinstance(v, ast.FunctionDef) else v.stem
)
def test_the_face_of_a_room_is_documented(path, node):
    text, where = ast.get_docstring(node), f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
    assert "Args:" in text, where
    nothing = node.returns is None or ast.unparse(node.returns) == "None"
    assert nothing or re.search("^(Returns|Yields):", text, re.MULTILINE), where
    missing = [name for name in arguments(node) if not re.search(rf"\b{name}\b", text)]
    assert not missing, f"{where} does not speak of {', '.join(missing)}"
    if any(isinstance(inner, ast.Raise) for inner in ast.walk(node)):
        assert "Raises" in text, where


# A shape, ``N,3,H,W`` or one capital letter, a scalar, or a structure that says its own.
SHAPE = re.compile(
    r"(?<![\w.])(?:[A-Za-z]|\d+|height|width|[A-Z][+/']\S*), ?(?:[A-Za-z]|\d+|height|width)(?![\w.])"
    r"|(?<![\w.])[A-Z](?![\w'.])|[Ss]calar|[Ff]lat|any shape|Boxes|RLE|image_size"
)


# A dtype, in the words of the function, of its class or of its file.
DTYPE = re.compile(
    r"\b(?:u?int(?:8|16|32|64)|float(?:16|32|64)?|bool|dtypes?|precision of (?:the|``x|x)|maps' precision)\b"
)


def functions_on_tensors() -> list[tuple[Path, ast.AST, ast.FunctionDef]]:
    """Public functions and methods that take or give arrays, with what holds them, but for overridden ones without words."""
    found = []
    for path in PACKAGE_FILES:
        scopes = [tree_of(path), *(n for n in tree_of(path).body if isinstance(n, ast.ClassDef))]
        for scope in (s for s in scopes if not getattr(s, "name", "").startswith("_")):
            for node in scope.body:
                if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                    continue
                given = [a.annotation for a in (*node.args.args, *node.args.kwonlyargs)]
                types = " ".join(ast.unparse(a) for a in (*given, node.returns) if a)
                overrides = isinstance(scope, ast.ClassDef) and scope.bases
                if re.search(r"\bTensor\b|ndarray", types) and not (
                    overrides and ast.get_docstring(node) is None
                ):
                    found.append((path, scope, node))
    return found


def test_functions_on_tensors_say_their_shapes_and_dtypes():
    found = functions_on_tensors()
    assert len(found) > 400
    silent = []
    for path, scope, node in found:
        own, *around = (ast.get_docstring(n) or "" for n in (node, scope, tree_of(path)))
        if not SHAPE.search(own) or not DTYPE.search(" ".join([own, *around])):
            silent.append(f"{name_of(path)}:{node.lineno} {node.name}")
    assert not silent, silent


def test_the_faces_are_found():
    names = {node.name for _, node in faces()}
    assert {"read_bgr", "to_bbox", "object_masks", "build_train_loader"} <= names
