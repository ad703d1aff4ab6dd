"""Measures structkit beside its peers on the same trees, in one process: `python -m benchmarks`, or `make bench`."""
