"""The documentation as pages: every page has its place, every name is there, nothing comes from the network."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys

import pytest
import yaml


def nav_pages(tree) -> list[str]:
    """Every page of mkdocs.yml's nav."""
    if isinstance(tree, str):
        return [tree]
    return [
        page
        for part in (tree.values() if isinstance(tree, dict) else tree)
        for page in nav_pages(part)
    ]


def test_every_document_has_its_place(project_root):
    nav = nav_pages(
        yaml.safe_load((project_root / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    )
    docs = project_root / "docs"
    there = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    made = set(
        re.findall(r'^    "([\w-]+\.md)": "', (docs / "hooks.py").read_text(encoding="utf-8"), re.M)
    )
    assert made
    assert len(nav) == len(set(nav))
    assert set(nav) == there | made


def test_names_of_the_reference_are_there(project_root):
    names = [
        name
        for path in sorted((project_root / "docs" / "api").glob("*.md"))
        for name in re.findall(r"^::: ([\w.]+)", path.read_text(encoding="utf-8"), re.M)
    ]
    assert len(names) > 40
    for name in names:
        module, _, last = name.rpartition(".")
        assert getattr(importlib.import_module(module), last).__doc__, name


@pytest.mark.slow
def test_the_pages_are_built_strictly_and_stand_alone(project_root, tmp_path):
    for package in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(package, reason=f"make docs installs {package}")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=project_root, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    fetched = re.compile(
        r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//"""
    )
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        found = fetched.search(page.read_text(encoding="utf-8"))
        assert not found, f"{page.name}: {found[0]}"
    for sheet in tmp_path.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet
