"""What ``import bdd_inst`` gives, and how little it costs."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

import bdd_inst


def missing_sections(function: Callable) -> list[str]:
    """What a docstring does not tell: parameters without a line under Args, a result without Returns."""
    text, signature = inspect.getdoc(function) or "", inspect.signature(function)
    under = re.search(r"^Args:\n((?:    .*\n?|\n)+)", text, re.M)
    lines = re.findall(r"^    ([*\w, ]+):", under[1], re.M) if under else []
    told = {name.strip(" *") for line in lines for name in line.split(",")}
    out = [name for name in signature.parameters if name not in told | {"self"}]
    silent = (None, "None", inspect.Signature.empty)
    if signature.return_annotation not in silent and not re.search(r"^Returns:", text, re.M):
        out.append("Returns")
    return out


@pytest.mark.parametrize("name", bdd_inst.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert name in dir(bdd_inst)
    assert f"``{name}(" in bdd_inst.__doc__
    assert getattr(bdd_inst, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        _ = bdd_inst.nothing


def test_importing_the_package_imports_no_library():
    code = "import sys, bdd_inst; print([m for m in ('torch', 'numpy', 'cv2', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", bdd_inst.__all__)
def test_the_public_surface_tells_arguments_results_and_errors(name):
    value = getattr(bdd_inst, name)
    methods = [value]
    if inspect.isclass(value):
        methods = [
            m for n, m in vars(value).items() if n in ("__init__", "__call__") or n[0] != "_"
        ]
        methods = [m for m in methods if inspect.isfunction(m)]
    for method in methods:
        assert not missing_sections(method), f"{name}.{method.__name__}"
        assert re.search(r"^Raises:", inspect.getdoc(method), re.M), f"{name}.{method.__name__}"


def test_a_silent_docstring_is_seen():
    def told(a: int, b: int, *, c: int) -> int:
        """Sum.

        Args:
            a, b: numbers.

        Returns:
            a number.
        """

    def untold(a: int) -> int:
        """Sum."""

    assert missing_sections(told) == ["c"]
    assert missing_sections(untold) == ["a", "Returns"]
