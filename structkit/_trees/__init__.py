"""What works on any pytree, structs among its nodes: places in it (`paths.py`, `at.py`), and a table (`summary.py`).

`nodes.py` knows what is under a node. `paths.py` alone reads and writes the nodes on the way to a place; the other
modules ask these two.
"""
