"""Tests of `structkit/_trees`."""
