"""What ``import bdd_inst`` gives, and how little it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import bdd_inst


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
