"""What one room imports from another says what it takes and gives: Args and Returns, every argument by name."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "bdd_inst").rglob("*.py"))
ROOMS = (
    "base",
    "structures",
    "masks",
    "images",
    "formats",
    "drawing",
    "synthetic",
    "datasets",
    "checks",
    "data",
)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "bdd_inst").parts[0]


def users() -> dict[str, set[str]]:
    """Dotted name of everything in the package -> the rooms that import it, by ``from`` or as an attribute of its module."""
    out: dict[str, set[str]] = defaultdict(set)
    for path in FILES:
        tree, aliases = ast.parse(path.read_text(encoding="utf-8")), {}
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
    for path in (p for p in FILES if room_of(p) in ROOMS):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
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


def test_the_faces_are_found():
    names = {node.name for _, node in faces()}
    assert {"read_bgr", "to_bbox", "object_masks", "build_train_loader"} <= names
