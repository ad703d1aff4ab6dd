"""Decorated classes as pytree nodes: trees, transformations, comparison, and what travels in a pickle."""

import copy
import dataclasses
import functools
import inspect
import pickle
import sys
import weakref
from collections import OrderedDict
from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Struct, struct as ours
from tests.models import COPIES, Decorated

T = TypeVar("T")


class Node(ours.PyTreeNode):
    x: Any
    name: str = ours.field(pytree_node=False, default="n")


@ours.dataclass(slots=True)
class Slotted:
    x: Any
    y: Any = 0


@ours.dataclass
class Call:
    x: Any

    def __call__(self):
        return self.x


class TestTrees:
    def test_leaves_come_in_declaration_order_with_key_paths_that_errors_name(self, struct):
        @struct.dataclass
        class A:
            b: Any
            a: Any
            s: int = struct.field(pytree_node=False, default=0)
            c: Any = None

        leaves = jax.tree_util.tree_leaves_with_path(A(1, {"k": 2}, c=(3,)))
        assert [jax.tree_util.keystr(path) for path, _ in leaves] == [".b", ".a['k']", ".c[0]"]
        with pytest.raises(ValueError, match=r"in_axes\[0\]\.a"):
            jax.vmap(lambda a: a.b, in_axes=(A(0, (0, 0)),))(A(jnp.ones(3), (jnp.ones(3),) * 3))

    def test_none_empty_containers_and_no_fields_survive(self, struct):
        @struct.dataclass
        class A:
            pass

        class B(struct.PyTreeNode):
            x: Any = None
            y: Any = ()

        assert jax.tree.map(lambda leaf: leaf, [A(), B()]) == [A(), B()] and jax.tree.leaves([A(), B()]) == []
        assert A() != B() and A().replace() == A()

    @pytest.mark.parametrize("value", [[1, 2], {"a": 1}, np.arange(3), float("nan"), object(), jnp.ones(2)], ids=type)
    def test_static_fields_take_anything(self, struct, value):
        @struct.dataclass
        class A:
            x: int
            s: Any = struct.field(pytree_node=False, default=None)

        a = A(1, value)
        b = jax.tree.map(lambda leaf: leaf + 1, a)
        assert b.x == 2 and b.s is value is a.replace(x=3).s
        assert jax.tree.structure(A(1, [1])) == jax.tree.structure(A(1, [1])) != jax.tree.structure(A(1, [2]))
        assert int(jax.jit(lambda a: a.x + a.s[0])(A(1, [1]))) == 2

    def test_a_structure_is_that_of_a_class_with_statics_that_are_equal(self):
        @ours.dataclass
        class A(Generic[T]):
            x: T
            s: Any = ours.field(pytree_node=False, default=1)

        @ours.dataclass
        class B(A):
            pass

        of = jax.tree.structure
        assert of(A[int](1)) == of(A(2, True)) == of(A(3, 1.0)) and of(A(1)) != of(A(1, 2)) and of(A(1)) != of(B(1))
        with pytest.raises(TypeError):
            jax.lax.cond(True, lambda: A(1.0), lambda: B(1.0))

    @pytest.mark.parametrize("options", [{}, {"slots": True}, {"frozen": False}])
    def test_unflatten_runs_no_code_of_the_class_and_takes_anything(self, options):
        calls = []

        @ours.dataclass(**options)
        class A:
            x: Any
            s: Any = ours.field(pytree_node=False, default="s")

            def __new__(cls, *args, **kwargs):
                calls.append("new")
                return object.__new__(cls)

            def __post_init__(self):
                calls.append("post_init")
                object.__setattr__(self, "x", self.x * 2)

        a, stacked = A(1), A(jnp.ones(2))
        assert jax.tree.map(lambda leaf: leaf, a).x == 2 and jax.tree.map(lambda leaf: None, a).x is None
        assert jax.vmap(lambda a: a, in_axes=0)(stacked).s == "s"
        assert calls == ["new", "post_init"] * 2

    def test_fields_that_init_does_not_take_survive(self):
        @ours.dataclass
        class A:
            x: int
            double: int = ours.field(init=False)
            label: str = ours.field(pytree_node=False, init=False)
            fixed: int = dataclasses.field(init=False, default=7)

            def __post_init__(self):
                vars(self).update(double=2 * self.x, label=f"<{self.x}>")

        mapped = jax.tree.map(lambda leaf: leaf * 10, A(1))
        assert vars(mapped) == {"x": 10, "double": 20, "label": "<1>", "fixed": 70} and A(1).replace(x=3).double == 6

    def test_a_custom_init_is_not_run_but_by_replace(self, struct):
        @struct.dataclass
        class A:
            x: int

            def __init__(self, x):
                object.__setattr__(self, "x", x + 1)

        assert A(1).x == 2 and A(1).replace(x=5).x == 6
        assert struct is not ours or jax.tree.map(lambda leaf: leaf * 10, A(1)).x == 20

    def test_the_functions_of_a_node_read_as_if_written_by_hand(self):
        node = vars(Decorated)["__node__"]
        assert inspect.getsource(node.flatten) == "def flatten(self):\n    return (self.x, self.y), (self.size,)\n"
        lines = [
            "def unflatten(aux, children, cls=cls, new=new, set_field=set_field):",
            "    self = new(cls)",
            "    values = self.__dict__",
            "    (values['x'], values['y']) = children",
            "    (values['size'],) = aux",
            "    return self",
        ]
        assert inspect.getsource(node.unflatten).splitlines() == lines

    def test_wide_and_deep_trees_work(self):
        names = [f"f{i}" for i in range(300)]
        Wide = ours.dataclass(type("Wide", (), {"__annotations__": dict.fromkeys(names, int), "__module__": __name__}))
        assert jax.tree.map(lambda leaf: leaf + 1, Wide(*range(300))).replace(f7=0).f299 == 300
        deep = functools.reduce(lambda inner, _: Node(inner), range(300), None)
        assert jax.tree.map(lambda leaf: leaf, deep).x.x.name == "n"


class Record(dict):
    """A base that keeps the fields among its items, too, as the outputs of some models do."""

    def __post_init__(self):
        for f in dataclasses.fields(self):
            self[f.name] = getattr(self, f.name)


class TestBasesWithALayoutOfTheirOwn:
    def test_a_dict_is_rebuilt_by_its_constructor_with_fields_and_items(self, struct):
        @struct.dataclass
        class A(Record):
            x: Any
            y: Any = 2
            name: str = struct.field(pytree_node=False, default="a")

        a = A(1)
        assert dict(a) == {"x": 1, "y": 2, "name": "a"} and a == A(1) != A(2)
        assert dict(jax.tree.map(lambda leaf: leaf + 1, a)) == {"x": 2, "y": 3, "name": "a"}
        assert dict(jax.jit(lambda tree: tree)(a.replace(x=5))) == {"x": 5, "y": 2, "name": "a"}
        assert [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(a)] == [".x", ".y"]
        with pytest.raises(TypeError, match="unexpected keyword argument 'no'"):
            a.replace(no=1)
        if struct is ours:
            # Its constructor does not take every field.
            B = ours.dataclass(type("B", (A,), {"__annotations__": {"z": int}, "z": ours.field(init=False, default=0)}))
            assert vars(jax.tree.map(lambda leaf: leaf + 1, B(1))) == {"x": 2, "y": 3, "name": "a", "z": 1}

    @pytest.mark.parametrize("base", [Exception, KeyError, str, float, type("Py", (Exception,), {})])
    def test_others_are_made_by_their_first_built_in_base(self, base):
        @ours.dataclass
        class A(base):
            x: Any = 0

            def __new__(cls, *args, **kwargs):
                return base.__new__(cls)

        made = jax.tree.map(lambda leaf: leaf + 1, A(3))
        assert type(made) is A and made.x == 4 and made.replace(x=5).x == 5


def frozen_dict(items):
    return pytest.importorskip("flax.core").FrozenDict(items)


class TestComparing:
    def test_scalars_are_compared_as_python_does(self, struct):
        @struct.dataclass
        class A:
            x: Any
            noise: int = struct.field(compare=False, default=0)

        assert A(1) == A(1.0) and A(1, 2) == A(1, 3) and A(1) != A(2) and A(1) != 1
        assert A(1) == A(jnp.array(1)) and A(np.float64(0.5)) == A(0.5) and len({A(1), A(1)}) == 1

    def test_fields_that_do_not_compare_and_an_own_eq_count_inside_other_trees(self):
        @ours.dataclass
        class A:
            x: Any
            noise: Any = ours.field(compare=False, default=0)

        class Holder(Struct):
            items: Any

        a, b = [A(jnp.ones(2), 1)], [A(jnp.ones(2), 2)]
        assert Holder(a) == Holder(b) and Holder(a[0]) == Holder(b[0]) and Node(a) == Node(b)
        assert hash(Holder([A(1, 1)][0])) == hash(Holder(A(1, 2))) and hash(Holder((A(1, 1),))) == hash(
            Holder((A(1, 2),))
        )

    def test_what_stands_in_containers_beside_arrays_is_compared_as_in_python_and_once_at_any_depth(self):
        assert Decorated([1, jnp.ones(2)]) == Decorated([1.0, jnp.ones(2)])
        assert Decorated((1, jnp.ones(2))) != Decorated((2, jnp.ones(2)))
        assert Decorated({"a": jnp.ones(2)}) != Decorated({"b": jnp.ones(2)})
        assert Decorated([jnp.ones(2)]) != Decorated([jnp.ones(2)] * 2)

        def looks(depth):
            seen = []
            a, b = [Counted(seen), Counted(seen)]
            for _ in range(depth):
                a, b = Node([a, jnp.ones(2)]), Node([b, jnp.ones(2)])
            assert a == b
            return len(seen)

        class Counted:
            def __init__(self, seen):
                self.seen = seen

            def __eq__(self, other):
                self.seen.append(other)
                return True

        assert looks(1) == looks(8) == 1

    @pytest.mark.parametrize("hold", [lambda x: OrderedDict(a=Decorated(x), b=x), lambda x: [frozen_dict({"a": x})]])
    def test_nodes_of_other_libraries_with_arrays_are_compared_by_what_they_hold(self, hold):
        def equal(x, y):
            return Decorated(hold(x)) == Decorated(hold(y))

        assert equal(jnp.ones(2), jnp.ones(2)) is True and equal(jnp.ones(2), jnp.zeros(2)) is False
        assert equal(1, 1.0) and not equal(1, 2)
        assert (
            bool(jax.jit(equal)(1.0, 1.0)) and not jax.jit(equal)(1.0, 2.0) and jax.jit(equal)(jnp.ones(2), jnp.ones(2))
        )

    @pytest.mark.parametrize("other", [[1.0], (), {}, "1", 2**40, None, jnp.int32(2)], ids=repr)
    def test_an_array_without_axes_differs_from_what_is_no_number_of_its_value(self, other):
        assert (Decorated(jnp.int32(1)) == Decorated(other)) is False and (
            Decorated(other) == Decorated(jnp.int32(1))
        ) is False

    def test_a_deleted_array_is_equal_to_itself_alone(self):
        x = jnp.float32(1) + 0
        x.delete()
        assert Decorated(x) == Decorated(x) and Decorated(x) != Decorated(jnp.float32(1))

    def test_containers_are_compared_as_their_kind_does_whatever_a_subclass_says_of_items(self):
        class Texts(dict):
            def __getitem__(self, key):
                return str(super().__getitem__(key))

        assert Decorated(Texts(a=1, b=[1])) == Decorated(Texts(a=1, b=[1])) != Decorated(Texts(a=1, b=[2]))

    def test_nothing_but_the_fields_that_are_compared_is_looked_at(self):
        @ours.dataclass
        class Cached:
            x: Any
            cache: Any = ours.field(init=False, compare=False)

        class Untouched:
            def __iter__(self):
                raise AssertionError("looked into")

        jax.tree_util.register_pytree_node(Untouched, iter, lambda *_: None)
        untouched = Untouched()
        assert Decorated(Cached(1)) == Decorated(Cached(1))
        assert Decorated(1, size=Cached(1)) == Decorated(1, size=Cached(1))
        assert Decorated(1, size=untouched) != Decorated(2, size=untouched)
        assert jax.jit(lambda x: ~(Decorated(x, size=untouched) == Decorated(x, size=1)))(1.0)

    def test_what_the_equality_of_a_value_raises_is_seen(self, struct):
        class Raising:
            def __eq__(self, other):
                raise TypeError("units differ")

        A = struct.dataclass(type("A", (), {"__annotations__": {"x": Any}}))
        with pytest.raises(TypeError, match="units differ"):
            A(Raising()) == A(Raising())
        if struct is ours:
            Standard = dataclasses.make_dataclass("Standard", ["x"])
            with pytest.raises(ValueError, match="ambiguous"):
                A(Standard([np.ones(2)])) == A(Standard([np.ones(2)]))

    def test_a_mutable_object_that_holds_itself_raises_soon(self):
        Mutable = ours.dataclass(type("Mutable", (), {"__annotations__": {"x": Any}, "x": None}), frozen=False)
        a, b = Mutable(), Mutable()
        a.x, b.x = [a], [b]
        with pytest.raises(RecursionError):
            a == b

    @pytest.mark.parametrize("cls", [Decorated, Call])
    @pytest.mark.parametrize("value", [jnp.ones(2), [1]], ids=["array", "list"])
    def test_hash_is_that_of_the_fields_and_a_type_error_for_arrays(self, cls, value):
        assert hash(cls(1)) == hash(cls(1.0)) and hash(Decorated(1)) == hash((1, 0, 0))
        with pytest.raises(TypeError, match="unhashable"):
            hash(cls(value))

    def test_an_own_eq_and_hash_rule_and_may_call_super(self, struct):
        @struct.dataclass
        class A:
            x: int

            def __eq__(self, other):
                return other == self.x

        @struct.dataclass
        class B(A):
            def __hash__(self):
                return super().__hash__() + 1

        assert A(1) == 1 and (A(1) != 1) is False and A(1) != 2 and hash(B(1)) == hash(A(1)) + 1


class TestTravelling:
    @pytest.mark.parametrize("made", [Decorated(jnp.ones(2), "q", [1]), Node(1), Slotted(1, [2])], ids=repr)
    def test_copies_and_pickles_are_equal_and_frozen(self, made):
        for again in (duplicate(made) for duplicate in COPIES.values()):
            assert again == made and type(again) is type(made)
            with pytest.raises(dataclasses.FrozenInstanceError):
                again.x = 1
        assert jax.tree.structure(made) == jax.tree.structure(copy.deepcopy(made))
        assert isinstance(made, Slotted) or weakref.ref(made)() is made

    def test_treedefs_pickle(self):
        treedef = jax.tree.structure(Decorated(1))
        assert pickle.loads(pickle.dumps(treedef)) == treedef and treedef.unflatten([3, 4]) == Decorated(3, y=4)
        # Those of version 0.1.0 have the tags of the statics before their values.
        with pytest.raises(ValueError, match="too many values to unpack"):
            vars(Decorated)["__node__"].unflatten((None, 0), (1, 2))

    @pytest.mark.parametrize("cls", [Decorated, Node, Slotted])
    def test_pickles_of_the_earlier_form_load(self, cls):
        class Reduced:
            def __reduce__(self):
                # What a pickle of version 0.1.0 runs: the fields by name.
                return cls.__new__, (cls,), {f.name: 5 for f in dataclasses.fields(cls)}

        made = pickle.loads(pickle.dumps(Reduced()))
        assert made == cls(*[5] * len(dataclasses.fields(cls))) and type(made) is cls

    def test_pickles_that_flax_made_load(self):
        flax_struct = pytest.importorskip("flax.struct", reason="flax is not installed")
        module, body = sys.modules[__name__], {"__annotations__": {"x": int}, "__module__": __name__}
        try:
            module.Moved = flax_struct.dataclass(type("Moved", (), {**body}))
            text = pickle.dumps(module.Moved(3))
            module.Moved = ours.dataclass(type("Moved", (), {**body, "y": 1}))
            assert pickle.loads(text) == module.Moved(3)
        finally:
            del module.Moved
