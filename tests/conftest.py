"""What every file of these tests begins with."""

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def _collector_sees_this_file_alone():
    """JAX and what other files left need no looking through: in a process of many tests that took most of `collect`."""
    gc.collect()
    gc.freeze()
