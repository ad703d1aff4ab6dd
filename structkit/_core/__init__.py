"""One class, from its body to a pytree node.

A class statement passes through these modules as four stages, each one call in `StructMeta.__new__` (`struct.py`):
`plan.py` reads the body (`annotations.py`, `fields.py`) into a `ClassPlan`; `initgen.py` and `attributes.py` generate
the constructor and the fields' properties; `type.__new__` makes the class; `registry.py` registers it with JAX.
An object is its flat form (`flat.py`); `lifecycle.py` says when it may be written to. `compare.py`, `pretty.py`
and `replace.py` work on finished objects, `reload.py` on classes that a notebook has made anew.
"""
