"""What works on any pytree, structs among its nodes: places in it (`paths.py`, `at.py`), and a table (`summary.py`).

`paths.py` alone reads and writes the nodes on the way to a place; the other modules ask it.
"""
