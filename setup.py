"""What pyproject.toml cannot say: every room of the package, and the top-level configs/ as the data of bdd_inst.configs."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["bdd_inst", "bdd_inst.*"]), "bdd_inst.configs"],
    package_dir={"bdd_inst.configs": "configs"},
)
