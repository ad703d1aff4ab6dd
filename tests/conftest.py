"""What every file of these tests begins with."""

import gc
import warnings

import pytest


@pytest.fixture(scope="module", autouse=True)
def _collector_sees_this_file_alone():
    """JAX and what other files left need no looking through: in a process of many tests that took most of `collect`."""
    with warnings.catch_warnings():
        # Orbax leaves some behind.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited")
        gc.collect()
    gc.freeze()
