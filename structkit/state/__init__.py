"""Trees in files and as state dicts: what is saved by name, checked, and found again when classes have changed.

`save` writes one file, which safetensors can open too; `load` reads it into a tree, an abstract tree or a class;
`inspect` says what is in it, as does `python -m structkit.state FILE`. `to_state_dict` and `from_state_dict` do it with
dicts in the place of files, `schema` and `match` with what another library, such as Orbax, writes and restores.
`register_export` makes structs known to `jax.export`, which serializes compiled functions.

    >>> import tempfile, pathlib, jax.numpy as jnp
    >>> from structkit import Struct, state
    >>> class Model(Struct):
    ...     weight: jnp.ndarray
    ...     step: int
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> state.save(file, Model(jnp.ones(3), 7))
    ()
    >>> state.load(file, Model)
    Model(weight=f32[3], step=7)
"""

from structkit.state._checkpoints import Match, match, schema
from structkit.state._dicts import from_state_dict, to_state_dict
from structkit.state._export import register_export
from structkit.state._inspecting import Contents, Entry, inspect
from structkit.state._matching import Difference
from structkit.state._reading import load
from structkit.state._writing import save

__all__ = [
    "Contents",
    "Difference",
    "Entry",
    "Match",
    "from_state_dict",
    "inspect",
    "load",
    "match",
    "register_export",
    "save",
    "schema",
    "to_state_dict",
]
