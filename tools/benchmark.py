#!/usr/bin/env python
"""``bdd-inst benchmark`` for a checkout that is not installed; ``--help`` says what it does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bdd_inst.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["benchmark", *sys.argv[1:]]))
