"""What every test shares: one thread, fixed seeds, no window system, and the folder of real data where there is one."""

from __future__ import annotations

import gc
import logging
import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

# Before torch, OpenCV or matplotlib are imported: small tests are slower on many threads, and sums differ with their number.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from tqdm import TMonitor  # noqa: E402

# A shell without job control starts what it puts in the background deaf to Ctrl-C, and so would be every process started here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]
SEED = 20180828

# The same few examples on every run and every machine; HYPOTHESIS_PROFILE=explore (make test-all) looks for new ones. The clock is
# no judge: no deadlines. Tests that generate cases in their own way take as many of them (settings().max_examples).
COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("fixed", derandomize=True, max_examples=40, **COMMON)
settings.register_profile("explore", max_examples=1000, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """Every test starts from the same random state, alone or in company."""
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002 (third-party code that uses the global generator)
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(SEED)
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """What a command says on standard error does not depend on the commands that ran before it in this process."""
    logger = logging.getLogger("bdd_inst")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """What a test starts ends with it: one thread that spins on makes every later test a hundred times slower."""
    before = set(threading.enumerate())
    yield
    left = set(threading.enumerate()) - before
    if left:
        gc.collect()  # a generator that an error has left in a cycle ends its threads when it is collected
    for thread in left:
        if isinstance(thread, TMonitor):  # tqdm's own, one a process
            continue
        thread.join(60)
        assert not thread.is_alive(), f"the test left a thread running: {thread}"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Parsed data sets are cached in a folder of the test run, not in the user's."""
    os.environ["BDD_INST_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder ``shared`` beside the project's root: real images and labels that may not be copied into the project."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data: {folder.name}/data is not beside the project's root")
    return folder


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The root of the checkout (holds ``tools/`` and ``configs/``)."""
    return ROOT


@pytest.fixture
def rng() -> np.random.Generator:
    """A NumPy generator of fixed seed."""
    return np.random.default_rng(SEED)
