"""The drop-in for `flax.struct`: where flax is installed, most tests run on both modules."""
