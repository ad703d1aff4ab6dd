"""What every file of these tests begins with."""

import gc
import pathlib
import warnings
from contextlib import nullcontext

import pytest

from tests.models import defaults_of_jax

FOLDER = pathlib.Path(__file__).parent
# They show dtypes, bytes and texts, add what is of different dtypes and ranks, donate, or hold NaNs: each as in a run
# with JAX's defaults, whatever the environment says.
WITH_DEFAULTS = {
    *[
        f"state/test_{name}.py"
        for name in ("checkpoints", "dicts", "export", "files", "inspecting", "mistakes", "targets")
    ],
    *[f"trees/test_{name}.py" for name in ("diff", "diff_assertions", "diff_retraces", "diff_values")],
    *[f"trees/test_{name}.py" for name in ("shared_buffers", "summary", "vectors")],
    "sharding/test_meshes.py",
    "test_errors.py",
}


def _settings(path):
    is_one = path.is_relative_to(FOLDER) and path.relative_to(FOLDER).as_posix() in WITH_DEFAULTS
    return defaults_of_jax() if is_one else nullcontext()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    with _settings(collector.path):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    with _settings(item.path):
        return (yield)


@pytest.fixture(scope="module", autouse=True)
def _collector_sees_this_file_alone():
    """JAX and what other files left need no looking through: in a process of many tests that took most of `collect`."""
    with warnings.catch_warnings():
        # Orbax leaves some behind.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited")
        gc.collect()
    gc.freeze()
