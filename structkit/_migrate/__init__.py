"""The command `structkit-migrate`: rewrites classes of other libraries to `Struct`. Needs libcst; nothing imports it.

`edits.py` changes spans of a text; `sources.py` has a table for each library; `code.py` reads one file, and
`project.py` resolves names across files. `classes.py` says what becomes of a class, `pytrees.py` of one that says
how JAX takes it apart, and `checks.py` what a person must look at. `fields.py`, `places.py` and `imports.py` write the
rest, `rewrite.py` does it all, and `command.py` is the program.
"""
