"""Errors of data workers as their one line: torch wraps them in the worker's traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bdd_inst.base.errors import DataError


@contextlib.contextmanager
def plain_worker_errors() -> Iterator[None]:
    """Bad data found by a data worker arrives wrapped in that worker's traceback; take its one line out again.

    Raises:
        DataError: with the line that the worker raised, or saying that a worker was killed.
    """
    try:
        yield
    except DataError as error:
        text = str(error)
        if "Original Traceback" not in text:
            raise
        # Torch raises the same type with the worker's whole traceback as its text; the message is the last line.
        line = text.strip().splitlines()[-1]
        raise DataError(line.partition("Error: ")[2] or line) from None
    except RuntimeError as error:
        if "DataLoader worker" not in str(error) or "Original Traceback" in str(error):
            raise
        raise DataError(
            f"a data worker died ({' '.join(str(error).split())[:160]}); if memory ran out, lower DATALOADER.NUM_WORKERS"
        ) from None
