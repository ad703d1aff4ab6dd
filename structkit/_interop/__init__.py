"""What other packages ask of structs: so far `flax.serialization` (`flax.py`).

Nothing here imports the other package: `registry.py` tells of each new class, and what is loaded by then hears of it.
"""
