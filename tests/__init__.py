"""The tests, a folder for each wing of the package; `models.py` has what they share."""

import pytest

# Its assertions then say what differs, and hold under `python -O` too.
pytest.register_assert_rewrite("tests.models")
