"""Tests of `structkit.sharding`."""
