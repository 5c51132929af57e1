"""``python -m bdd_inst VERB ...`` is ``bdd-inst VERB ...``."""

import sys

from bdd_inst.cli.main import main

sys.exit(main())
