"""One table of problem codes: everything that is counted anywhere in the package stands in it, and nothing else does."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bdd_inst.base.problems import ERROR, PROBLEMS, SEVERITIES, problem

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "bdd_inst").rglob("*.py"))
COUNTERS = ("add", "_add", "_fault", "_unreadable")  # log.add(code, where, message), and helpers


def texts(node: ast.AST) -> set[str]:
    return {
        n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }


def chosen(node: ast.expr, scope: ast.AST) -> set[str]:
    """The codes that an argument may be: a text, one of two, or what its name was given in the function around it."""
    if isinstance(node, ast.IfExp):
        return chosen(node.body, scope) | chosen(node.orelse, scope)
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    if not isinstance(node, ast.Name):
        return set()
    out: set[str] = set()
    for given in ast.walk(scope):
        if isinstance(given, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == node.id for t in given.targets
        ):
            out |= chosen(given.value, scope)
    return out


def counted(tree: ast.Module) -> list[tuple[int, str]]:
    """Line and code of every problem that a file counts."""
    found = []
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.FunctionDef):
            continue
        for call in ast.walk(scope):
            if not isinstance(call, ast.Call):
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            if name in COUNTERS and len(call.args) >= 3:
                found += [(call.lineno, code) for code in chosen(call.args[0], scope)]
            found += [
                (call.lineno, code)
                for keyword in call.keywords
                if keyword.arg == "fault"
                for code in chosen(keyword.value, scope)
            ]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_counted_code_is_in_the_table(path):
    for line, code in counted(ast.parse(path.read_text(encoding="utf-8"))):
        assert code in PROBLEMS, f"{path.name}:{line} counts {code!r}; add it to base/problems.py"


def test_every_code_of_the_table_is_counted_somewhere():
    table = ROOT / "bdd_inst/base/problems.py"
    used = set().union(*(texts(ast.parse(p.read_text())) for p in FILES if p != table))
    assert set(PROBLEMS) <= used
    assert (
        len(set().union(*({c for _, c in counted(ast.parse(p.read_text()))} for p in FILES))) > 70
    )


def test_rows_are_whole_and_no_two_say_the_same():
    for code, row in PROBLEMS.items():
        assert row.severity in SEVERITIES, code
        assert row.description, code
        assert row.advice, code
    assert len({row.description for row in PROBLEMS.values()}) == len(PROBLEMS)


def test_a_code_of_a_users_module_is_an_error():
    assert problem("my-own-code").severity == ERROR


def test_the_document_has_the_table():
    head = ["| code | severity | says | what to do |", "| --- | --- | --- | --- |"]
    rows = [
        f"| `{code}` | {row.severity} | {row.description} | {row.advice} |"
        for code, row in PROBLEMS.items()
    ]
    table = "\n".join([*head, *rows])
    document = (ROOT / "docs/problem-codes.md").read_text(encoding="utf-8")
    assert table in document, f"docs/problem-codes.md is behind base/problems.py; put in:\n{table}"
