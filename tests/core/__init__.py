"""Tests of `structkit/_core`."""
