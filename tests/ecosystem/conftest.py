"""What the ecosystem's tests share: the trees they use, and the warnings that are not ours."""

import warnings

import pytest


@pytest.fixture(autouse=True)
def third_party_warnings():
    """Warnings of other packages about each other are no failures here; ours are."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, UserWarning, FutureWarning, ImportWarning, ResourceWarning):
            warnings.filterwarnings("ignore", category=category, module=r"(?!structkit)")
        yield
