"""Tests of `structkit/_interop`."""
