"""What works on any pytree, structs among its nodes.

`nodes.py` knows each kind of node: its children, their keys, and how a copy with others is made. `paths.py` finds,
reads and writes one place, `patterns.py` all that match a path with wildcards; `standins.py` is what a function given
to `at.py` sees. `editing.py` is a mutable copy, `partition.py` takes a tree apart, `vectors.py` is arithmetic;
`unlike.py` says where two trees first differ, `diff.py` all that differs (`differences.py`, `values.py`), `buffers.py`
what shares memory. `summary.py` is a table, `diagram.py` a picture. `batches.py` serves `batch` with `axes.py` (which
lead), `indexing.py` and `arrays.py` (one leaf), `sharding` has `specs.py` and `processes.py`.
"""
