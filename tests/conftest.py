"""What every file of these tests begins with."""

import gc
import pathlib
import warnings
from contextlib import ExitStack, contextmanager

import jax
import pytest

FOLDER = pathlib.Path(__file__).parent
# They show dtypes, bytes and texts of arrays as they are in an ordinary run, also under `JAX_ENABLE_X64=1`.
OF_32_BITS = {
    *[
        f"state/test_{name}.py"
        for name in ("checkpoints", "dicts", "export", "files", "inspecting", "mistakes", "targets")
    ],
    *[f"trees/test_{name}.py" for name in ("diff", "diff_assertions", "diff_retraces", "shared_buffers", "summary")],
    "sharding/test_meshes.py",
    "test_errors.py",
}
# They add what is of different dtypes and ranks, or an optimizer does, also under `JAX_NUMPY_DTYPE_PROMOTION=strict`
# and `JAX_NUMPY_RANK_PROMOTION=raise`.
PROMOTING = {"sharding/test_meshes.py", "trees/test_vectors.py"}


@contextmanager
def _with_its_settings(path):
    file = path.relative_to(FOLDER).as_posix() if path.is_relative_to(FOLDER) else ""
    with ExitStack() as stack:
        if file in OF_32_BITS:
            stack.enter_context(jax.enable_x64(False))
        if file in PROMOTING:
            stack.enter_context(jax.numpy_dtype_promotion("standard"))
            stack.enter_context(jax.numpy_rank_promotion("allow"))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    with _with_its_settings(collector.path):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    with _with_its_settings(item.path):
        return (yield)


@pytest.fixture(scope="module", autouse=True)
def _collector_sees_this_file_alone():
    """JAX and what other files left need no looking through: in a process of many tests that took most of `collect`."""
    with warnings.catch_warnings():
        # Orbax leaves some behind.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited")
        gc.collect()
    gc.freeze()
