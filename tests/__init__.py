"""The tests, a folder for each wing of the package; `models.py` has what they share."""

import pytest

# What the shared classes and helpers assert is explained when it fails, and checked under PYTHONOPTIMIZE.
pytest.register_assert_rewrite("tests.models")
