"""Trees in files and as state dicts."""
