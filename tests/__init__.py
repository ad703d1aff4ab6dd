"""The tests, a folder for each wing of the package; `models.py` has what they share."""
