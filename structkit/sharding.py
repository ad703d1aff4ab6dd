"""Sharding by field: each leaf goes to the devices of a mesh as the field that holds it says.

A spec holds for each leaf below its field that has none of its own, the nearest field's first; leaves that no field
says anything about are replicated. Its names are axes of the mesh, or logical ones that `rules` maps to them.
`PartitionSpec("layers", ...)`, with `...` at its end, is for stacked layers: the axis comes before those that the
fields below name. A field without the option `spec` (one of the standard library's, in a struct or in a dataclass of
`structkit.struct`) says the same as `metadata={"spec": PartitionSpec(...)}`.

Example:
    >>> import jax
    >>> from jax.sharding import PartitionSpec as P
    >>> from structkit import Struct, field, sharding
    >>> class Linear(Struct):
    ...     weight: jax.Array = field(spec=P("embed", "mlp"))
    ...     bias: jax.Array = field(spec=P("mlp"))
    >>> class Model(Struct):
    ...     layers: Linear = field(spec=P("layers", ...))
    >>> array = jax.numpy.ones
    >>> sharding.specs(Model(Linear(array((3, 8, 4)), array((3, 4)))), rules={"layers": None, "mlp": "model"})
    Model(layers=Linear(weight=P(None, 'embed', 'model'), bias=P(None, 'model')))
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import jax.core
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec, get_abstract_mesh, reshard

from structkit._bridges import spec_axes
from structkit._trees.nodes import leaf_path
from structkit._trees.processes import assert_same_static, over_processes
from structkit._trees.specs import Rules, fitted_specs, with_axes
from structkit._trees.values import is_key
from structkit.errors import NoMeshError, SpecError

__all__ = ["assert_same_static", "constrain", "shard", "shardings", "specs"]

_T = TypeVar("_T")


def specs(tree: Any, *, rules: Rules | None = None, params: Any = None) -> Any:
    """A tree of the same structure with the `PartitionSpec` of each leaf in its place: for `jax.shard_map`.

    Args:
        tree: any pytree of arrays, `ShapeDtypeStruct`s and numbers.
        rules: the mesh axes that logical names stand for. Names without a rule stay as they are.
        params: for the state of an optimizer that keeps leaves of other shapes than its parameters', as adafactor
            does: the parameters. A leaf of the shape of its parameter has that one's spec, another `PartitionSpec()`.

    Raises:
        SpecError: a spec is for more axes than its array has.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jax.sharding import PartitionSpec as P
        >>> from structkit import Struct, field, sharding
        >>> class Linear(Struct):
        ...     weight: jax.Array = field(spec=P("embed", "mlp"))
        ...     bias: jax.Array
        >>> linear = Linear(jnp.ones((8, 4)), jnp.zeros(4))
        >>> sharding.specs(linear, rules={"mlp": "model"})
        Linear(weight=P('embed', 'model'), bias=P())
    """
    _, found, treedef = fitted_specs(tree, rules, params)
    return treedef.unflatten(found)


def shardings(tree: Any, mesh: Mesh | AbstractMesh, *, rules: Rules | None = None, params: Any = None) -> Any:
    """A tree of the same structure with the `NamedSharding` of each leaf in its place: for `jit`, `device_put`, Orbax.

    Args:
        tree: any pytree of arrays, `ShapeDtypeStruct`s and numbers; or of `PartitionSpec`s, as `specs` gives them.
        mesh: the mesh.
        rules: the mesh axes that logical names stand for, e.g. `{"embed": "model", "batch": ("pod", "data")}`; None
            replicates. A name without a rule is an axis of the mesh.
        params: the parameters, where the tree is the state of an optimizer: see `specs`.

    Raises:
        NoMeshError: there is no mesh.
        SpecError: with the path: a spec is for more axes than its array has, a name is neither in `rules` nor in the
            mesh, or a size does not divide.

    Example:
        >>> import jax
        >>> from jax.sharding import PartitionSpec as P
        >>> from structkit import Struct, field, sharding
        >>> class Scale(Struct):
        ...     scale: jax.Array = field(spec=P("embed"))
        >>> mesh = jax.make_mesh((1,), ("model",))
        >>> model = jax.eval_shape(lambda: Scale(jax.numpy.ones(8)))
        >>> sharding.shardings(model, mesh, rules={"embed": "model"}).scale.spec
        P('model',)
    """
    _, found, treedef = _placed(tree, mesh, rules, params)
    return treedef.unflatten(found)


def _placed(
    tree: Any, mesh: Mesh | AbstractMesh, rules: Rules | None, params: Any
) -> tuple[list[Any], list[NamedSharding], Any]:
    leaves, found, treedef = fitted_specs(tree, rules, params, _known_mesh(mesh, tree).shape)
    known = {spec: NamedSharding(mesh, _settled(spec)) for spec in {*found}}
    return leaves, [known[spec] for spec in found], treedef


def _known_mesh(mesh: Any, tree: Any) -> Any:
    if isinstance(mesh, Mesh | AbstractMesh):
        return mesh
    given = "None" if mesh is None else type(mesh).__name__
    if isinstance(tree, Mesh | AbstractMesh):
        raise NoMeshError(given, "the tree comes first, and the mesh after it")
    raise NoMeshError(given)


def _settled(spec: PartitionSpec) -> PartitionSpec:
    """The spec without axes that are left to the compiler: it has no say in where an array is put."""
    axes = spec_axes(spec)
    if PartitionSpec.UNCONSTRAINED not in axes:
        return spec
    return with_axes(spec, [None if axis is PartitionSpec.UNCONSTRAINED else axis for axis in axes])


def shard(tree: _T, mesh: Mesh | AbstractMesh, *, rules: Rules | None = None, params: Any = None) -> _T:
    """The tree with each leaf on the devices that its spec says.

    Of a tree of `ShapeDtypeStruct`s, as `jax.eval_shape` gives it, the same with the shardings in it: what Orbax and
    `state.load` restore to. Nothing is moved where a leaf cannot be.

    Args:
        tree: any pytree of arrays, `ShapeDtypeStruct`s and numbers.
        mesh: the mesh; one without devices, an `AbstractMesh`, for `ShapeDtypeStruct`s alone.
        rules: as in `shardings`.
        params: the parameters, where the tree is the state of an optimizer: see `specs`.

    Raises:
        NoMeshError: there is no mesh, or one without devices.
        SpecError: as in `shardings`; also for a leaf that is no array, and inside `jit`, where `constrain` is the
            function.

    Example:
        >>> import jax
        >>> from jax.sharding import PartitionSpec as P
        >>> from structkit import Struct, field, sharding
        >>> class Scale(Struct):
        ...     scale: jax.Array = field(spec=P("model"))
        >>> mesh = jax.make_mesh((1,), ("model",))
        >>> sharding.shard(Scale(jax.numpy.ones(8)), mesh).scale.sharding.spec
        P('model',)
    """
    leaves, found, treedef = _placed(tree, mesh, rules, params)
    for i, leaf in enumerate(leaves):
        if isinstance(leaf, jax.core.Tracer):
            raise SpecError(leaf_path(tree, i), "it is traced, and has no devices", "use sharding.constrain inside jit")
    _refuse_no_arrays(tree, leaves)
    if isinstance(mesh, AbstractMesh) and not all([isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves]):
        raise NoMeshError("AbstractMesh")
    together = [i for i, leaf in enumerate(leaves) if not _is_apart(leaf, found[i])]
    moved = dict(zip(together, jax.device_put(*[[one[i] for i in together] for one in (leaves, found)])))
    made: _T = treedef.unflatten(
        [moved[i] if i in moved else _laid_alone(leaf, found[i]) for i, leaf in enumerate(leaves)]
    )
    return made


def _is_apart(leaf: Any, place: NamedSharding) -> bool:
    """Whether `device_put` does not take it: a shape, or random keys for devices of other processes."""
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return True
    return not place.is_fully_addressable and isinstance(leaf, jax.Array) and is_key(leaf.dtype)


def _laid_alone(leaf: Any, place: NamedSharding) -> Any:
    if isinstance(leaf, jax.ShapeDtypeStruct):
        shape: Any = leaf
        return shape.update(sharding=place)
    if leaf.is_fully_addressable:
        return over_processes(leaf, place)
    return jax.jit(lambda keys: keys, out_shardings=place)(leaf)


def constrain(
    tree: _T, mesh: Mesh | AbstractMesh | None = None, *, rules: Rules | None = None, params: Any = None
) -> _T:
    """The tree, laid out inside `jit` as its specs say, whatever the axes of the mesh are.

    On Auto axes that is `jax.lax.with_sharding_constraint`, on Explicit ones `jax.sharding.reshard`. Manual ones, those
    of a `shard_map` around, are left out: with no others nothing happens.

    Args:
        tree: any pytree of arrays and numbers.
        mesh: the mesh; None takes that of `jax.set_mesh`. JAX refuses other devices than that one's.
        rules: as in `shardings`.
        params: the parameters, where the tree is the state of an optimizer: see `specs`.

    Raises:
        NoMeshError: there is no mesh.
        SpecError: as in `shardings`; also for a leaf that is no array.

    Example:
        >>> import jax
        >>> from jax.sharding import PartitionSpec as P
        >>> from structkit import Struct, field, sharding
        >>> class Scale(Struct):
        ...     scale: jax.Array = field(spec=P("model"))
        >>> @jax.jit
        ... def doubled(model):
        ...     return sharding.constrain(jax.tree.map(lambda x: 2 * x, model))
        >>> with jax.set_mesh(jax.make_mesh((1,), ("model",))):
        ...     doubled(Scale(jax.numpy.ones(8))).scale.sharding.spec
        P('model',)
    """
    context = get_abstract_mesh()
    if mesh is None and context.empty:
        raise NoMeshError("None")
    # Inside a shard_map the context alone knows which axes are manual.
    inside = mesh is None or context.shape == _known_mesh(mesh, tree).shape
    here: Any = context if inside else mesh
    types = dict(zip(here.axis_names, here.axis_types))
    if {*types.values()} == {AxisType.Manual}:
        return tree
    # There a leaf is a part, which Manual axes do not divide any more.
    sizes = {name: 1 if types[name] == AxisType.Manual else size for name, size in here.shape.items()}
    leaves, found, treedef = fitted_specs(tree, rules, params, sizes)
    _refuse_no_arrays(tree, leaves)
    target: Any = None if inside else mesh
    if isinstance(mesh, Mesh) and inside and AxisType.Manual not in types.values():
        # With the devices in it, JAX refuses those that are not the context's.
        target = Mesh(mesh.devices, mesh.axis_names, axis_types=here.axis_types)
    known = {spec: _targets(spec, types, target) for spec in {*found}}
    made: _T = treedef.unflatten([_laid_out(leaf, *known[spec]) for leaf, spec in zip(leaves, found)])
    return made


def _refuse_no_arrays(tree: Any, leaves: list[Any]) -> None:
    for i, leaf in enumerate(leaves):
        try:
            jax.typeof(leaf)
        except (TypeError, OverflowError) as error:
            # JAX prints the whole of what it does not take.
            short = textwrap.shorten(str(error), 200, placeholder="...")
            what = f"JAX takes no {type(leaf).__name__} like it as an array ({short})"
            raise SpecError(leaf_path(tree, i), what, "make it a static field, or leave it out") from None


def _targets(spec: PartitionSpec, types: Mapping[str, AxisType], mesh: Any) -> tuple[Any, Any]:
    """What a spec says about Explicit axes, and about Auto ones: each a spec, on the mesh if one is given.

    None where the mesh has no axes of the kind.
    """
    targets: list[Any] = []
    for kind in (AxisType.Explicit, AxisType.Auto):
        axes = [_of_kind(entry, kind, types) for entry in spec_axes(spec)]
        part = with_axes(spec, axes)
        targets.append((part if mesh is None else NamedSharding(mesh, part)) if kind in types.values() else None)
    return targets[0], targets[1]


def _of_kind(entry: Any, kind: AxisType, types: Mapping[str, AxisType]) -> Any:
    if entry is PartitionSpec.UNCONSTRAINED:
        return entry if kind == AxisType.Auto else None
    names = (entry,) if isinstance(entry, str) else entry or ()
    return tuple(name for name in names if types[name] == kind) or None


_on_explicit: Any = reshard
_on_auto: Any = jax.lax.with_sharding_constraint


def _resharded(leaf: Any, explicit: Any, auto: Any) -> Any:
    # In this order: on both kinds of axes, a reshard undoes the constraint before it.
    leaf = leaf if explicit is None else _on_explicit(leaf, explicit)
    return leaf if auto is None else _on_auto(leaf, auto)


# The compiler alone keeps both, and outside of a trace it alone knows the mesh of the context.
_compiled = jax.jit(_resharded, static_argnums=(1, 2), inline=True)


def _laid_out(leaf: Any, explicit: Any, auto: Any) -> Any:
    return (_resharded if auto is None else _compiled)(leaf, explicit, auto)
