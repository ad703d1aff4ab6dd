"""What works on any pytree, structs among its nodes.

`nodes.py` knows each kind of node: its children, their keys, and how a copy with others is made. `paths.py` finds,
reads and writes one place, `patterns.py` all that match a path with wildcards; `standins.py` is what a function given
to `at.py` sees. `editing.py` is a mutable copy, `summary.py` a table, `diagram.py` a picture, `partition.py` takes a
tree apart, `vectors.py` is arithmetic, and `unlike.py` says how two trees differ.
"""
