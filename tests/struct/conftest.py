"""Both modules as one fixture."""

import pytest

from structkit import struct as ours


@pytest.fixture(params=["structkit", "flax"])
def struct(request):
    """The module under test, and flax's as the measure of what its behaviour is."""
    if request.param == "structkit":
        return ours
    return pytest.importorskip("flax.struct", reason="flax is not installed: there is nothing to compare with")
