"""The decorator and `field`: what the standard library does, and what flax adds."""

import copy
import dataclasses
import functools
import inspect
import types
import typing
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import Static, derived, fields, static, struct as ours


def test_works_with_and_without_arguments_and_as_a_function(struct):
    @struct.dataclass
    class A:
        x: int

    @struct.dataclass(kw_only=True)
    class B:
        x: int

    class C:
        x: int

    before = {**vars(C)}
    assert struct.dataclass()(C) is C and before.keys() < vars(C).keys()
    assert [jax.tree.leaves(v) for v in (A(1), B(x=2), C(3))] == [[1], [2], [3]]
    with pytest.raises(TypeError):
        B(3)


def test_makes_frozen_classes_unless_told_otherwise_and_undecorated_children_are_leaves(struct):
    @struct.dataclass
    class A:
        x: int

    class Undecorated(A):
        def __init__(self, x):
            super().__init__(x)
            self.extra = x + 1

    @struct.dataclass(frozen=False)
    class B:
        x: int

    undecorated = Undecorated(1)
    assert (undecorated.replace(x=4).extra, jax.tree.leaves(undecorated)) == (5, [undecorated])
    for write, what in (
        (lambda a: setattr(a, "x", 2), "assign to field 'x'"),
        (lambda a: delattr(a, "x"), "delete field 'x'"),
        (lambda a: setattr(a, "other", 2), "assign to field 'other'"),
    ):
        for a in (A(1), jax.tree.map(lambda leaf: leaf, A(1)), undecorated):
            if a is not undecorated or "'x'" in what:
                with pytest.raises(dataclasses.FrozenInstanceError, match=f"^cannot {what}$"):
                    write(a)
    C = struct.dataclass(type("C", (B,), {"__annotations__": {"y": int}, "y": 2}), frozen=False)
    for b in (B(1), C(1)):
        b.x, b.other = 5, 6
        assert jax.tree.leaves(b)[0] == 5 and b.other == 6


def test_passes_the_keywords_of_the_standard_library_on(struct):
    @struct.dataclass(order=True, unsafe_hash=True, repr=False, match_args=False)
    class A:
        x: int

    @struct.dataclass(eq=False)
    class B:
        x: int

    assert A(1) < A(2) and hash(A(1)) == hash(A(1)) and repr(A(1)).startswith("<") and not hasattr(A, "__match_args__")
    assert B(1) != B(1) and hash(B(1)) != hash(B(1))
    assert A.__dataclass_params__.order and not A.__dataclass_params__.repr and not B.__dataclass_params__.eq


def test_leaves_a_class_alone_that_is_decorated_already(struct):
    @struct.dataclass
    class A:
        x: int

    class B(struct.PyTreeNode):
        x: int

    assert struct.dataclass(A) is A and struct.dataclass(kw_only=True)(A) is A
    assert struct.dataclass(B) is B
    assert A._flax_dataclass is True and B._flax_dataclass is True


def test_fields_keep_user_metadata_and_go_by_the_last_declaration_of_pytree_node(struct):
    @struct.dataclass
    class A:
        x: int = struct.field(metadata={"unit": "m"}, default=1)
        y: int = struct.field(pytree_node=False, metadata={"unit": "s"}, default=2)
        z: int = 3
        standard: int = dataclasses.field(metadata={"pytree_node": False}, default=4)
        both: int = struct.field(pytree_node=False, metadata={"static": False}, default=6)
        remark: int = struct.field(metadata={"static": "electric"}, default=7)

    @struct.dataclass
    class B(A):
        y: int = 5

    x, y, z, *_ = dataclasses.fields(A)
    assert dict(x.metadata) == {"unit": "m", "pytree_node": True}
    assert dict(y.metadata) == {"unit": "s", "pytree_node": False}
    assert dict(z.metadata) == {} and (x.default, y.default, z.default) == (1, 2, 3)
    assert jax.tree.leaves(A()) == [1, 3, 7] and jax.tree.leaves(B()) == [1, 5, 3, 7]


def test_init_vars_class_vars_and_keyword_only_markers_work(struct):
    @struct.dataclass
    class A:
        x: int
        limit: typing.ClassVar[int] = 7
        scale: dataclasses.InitVar[int]
        _: dataclasses.KW_ONLY
        y: int = 5

        def __post_init__(self, scale):
            object.__setattr__(self, "x", self.x * scale)

    assert jax.tree.leaves(A(1, 3)) == [3, 5] and A.limit == 7 and A(1, 2, y=4).y == 4
    assert A(1, 2).replace(x=3, scale=5).x == 15
    with pytest.raises((ValueError, TypeError), match="InitVar 'scale' must be specified"):
        A(1, 2).replace(x=3)


def test_zero_argument_super_and_the_class_cell(struct):
    kept = []

    @struct.dataclass
    class A(type("Mixin", (), {"f": lambda self: 10})):
        x: int

        def f(self):
            return super().f() + self.x

        @kept.append
        def hidden(self):
            return super().f(), __class__

        @functools.partial(jax.jit, static_argnums=0)
        def j(self):
            return super().f()

    assert (A(1).f(), kept[0](A(1)), int(A(1).j())) == (11, (10, A), 10)


def test_bases_give_fields_from_both_sides_and_as_frozen_standard_dataclasses(struct):
    def body(name):
        return {"__annotations__": {name: int}, "__module__": __name__}

    A = struct.dataclass(type("A", (), body("a")))
    B = dataclasses.dataclass(frozen=True)(type("B", (), body("b")))
    C = struct.dataclass(type("C", (A, B), body("c")))
    assert [f.name for f in dataclasses.fields(C)] == ["b", "a", "c"]
    assert jax.tree.leaves(C(1, 2, 3)) == [1, 2, 3] and C(1, 2, 3).replace(b=4) == C(4, 2, 3)


def test_postponed_annotations_work(struct):
    scope = {"struct": struct, "__name__": __name__}
    source = """
        from __future__ import annotations
        import dataclasses
        import typing

        def make():
            @struct.dataclass
            class A:
                x: int
                limit: typing.ClassVar[int] = 3
                _: dataclasses.KW_ONLY
                child: A | None = None

            class B(struct.PyTreeNode):
                a: A
            return A, B
    """
    exec(inspect.cleandoc(source), scope)
    A, B = scope["make"]()
    assert jax.tree.leaves(B(A(1, child=A(2)))) == [1, 2] and A.limit == 3


def test_a_users_own_replace_is_kept_and_may_call_that_of_the_base():
    class Mixin:
        def replace(self, **changes):
            return "mine"

    body = {"__annotations__": {"x": int}, "__module__": __name__}
    A = ours.dataclass(type("A", (), body | {"replace": Mixin.replace}))
    B = ours.dataclass(type("B", (A,), {"__annotations__": {"y": int}, "y": 1}))
    C = ours.dataclass(type("C", (Mixin,), body))
    D = type("D", (ours.PyTreeNode,), body | {"replace": Mixin.replace})

    class Calling(ours.PyTreeNode):
        x: int = 1
        y: int = 2

        def replace(self, **changes):
            return super().replace(y=5, **changes)

    assert [cls(1).replace(x=2) for cls in (A, B, C, D)] == ["mine"] * 4 and Calling().replace(x=2) == Calling(2, 5)
    assert dataclasses.replace(A(1), x=2).x == 2


def test_keeps_what_is_written_beside_the_fields_to_itself(struct):
    @struct.dataclass
    class A:
        x: Any
        shape: Any = struct.field(pytree_node=False, default=None)

        def __post_init__(self):
            object.__setattr__(self, "shape", getattr(self.x, "shape", None))
            object.__setattr__(self, "note", "kept beside the fields")

        @functools.cached_property
        def double(self):
            return 2 * self.x

    a = A(jnp.ones(3))
    assert a.shape == (3,) and a.note and vars(a)["note"] and float(a.double[0]) == 2
    assert jax.tree.structure(a) == jax.tree.structure(A(jnp.ones(3))) and jax.tree.structure(a).num_leaves == 1
    assert a.replace(x=3).double == 6 and a.replace(x=3) == A(3)
    with pytest.raises(AttributeError):
        jax.tree.map(lambda leaf: object(), A(1)).nothing


def test_reads_defaults_from_classes_used_as_name_spaces(struct):
    @struct.dataclass
    class Tiles:
        EMPTY: int = 0
        WALL: int = struct.field(pytree_node=False, default=1)
        required: int = struct.field(kw_only=True)

    @struct.dataclass
    class More(Tiles):
        LAVA: int = 2
        EMPTY = 9

    assert (Tiles.EMPTY, Tiles.WALL, More.WALL, More.LAVA, More.EMPTY) == (0, 1, 1, 2, 9)
    assert More(required=1).EMPTY == 0
    assert not hasattr(Tiles, "required")
    Tiles.WALL = 5
    assert Tiles.WALL == 5 and Tiles(required=1).WALL == 1


def test_asks_other_objects_for_missing_attributes(struct):
    @struct.dataclass
    class A:
        inner: Any

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return getattr(self.inner, name)

        def __post_init__(self):
            object.__setattr__(self, "inner", self.inner)

    a = A(types.SimpleNamespace(x=1, y=2))
    assert (a.x, a.y) == (1, 2) and copy.copy(a).x == 1
    assert jax.tree.map(lambda leaf: leaf, a).x == 1


@pytest.mark.parametrize("options", [{}, {"slots": True}, {"kw_only": True}, {"frozen": False}])
def test_an_array_is_welcome_as_a_default(options):
    zeros, ones = jnp.zeros(3), np.ones(2)

    @ours.dataclass(**options)
    class A:
        x: Any = zeros
        y: Any = ours.field(pytree_node=False, default=ones)
        z: Any = ours.field(init=False, default=ones)
        c: ClassVar[Any] = zeros
        i: dataclasses.InitVar[Any] = dataclasses.field(default=ones, kw_only=True)

        def __post_init__(self, i):
            assert i is ones

    a = A()
    assert A.c is zeros and a.x is zeros and a.y is a.z is ones and A(x=1).x == 1
    assert [f.default is value for f, value in zip(dataclasses.fields(A), (zeros, ones, ones))] == [True] * 3
    assert inspect.signature(A).parameters["y"].default is ones
    if "slots" not in options:
        # A child may declare the field again: the attribute of its base is its default.
        again = ours.dataclass(**options)(type("B", (A,), {"__annotations__": {"x": "np.ndarray"}}))
        assert again().x is A.x is zeros and A.z is ones


def test_the_marks_of_structkit_are_read():
    @ours.dataclass
    class A:
        a: Any
        b: Any = static()
        c: Static[int] = 1
        d: Static[Any] = dataclasses.field(default=2, compare=False)
        e: Any = dataclasses.field(default=3, metadata={"static": True})
        f: Any = derived(default=4)

    B = ours.dataclass(type("B", (A,), {"__annotations__": {"g": Any}, "g": 5}))
    for cls in (A, B):
        assert [f.name for f in fields(cls) if f.static] == ["b", "c", "d", "e"]
    assert jax.tree.leaves(B(0, "b")) == [0, 4, 5] and A(0, "b", d=7) == A(0, "b")


def test_slots_may_be_written_or_asked_for():
    class Slotted:
        __slots__ = ("x",)

    @ours.dataclass(slots=True, weakref_slot=True)
    class A:
        x: int
        y: Static[int] = 2

    @ours.dataclass(slots=True, frozen=False)
    class B:
        x: Any = dataclasses.field(default_factory=list)

    @ours.dataclass
    class C(Slotted):
        x: Any
        y: Any

    D = ours.dataclass(type("D", (), {"__annotations__": {"x": Static[int]}, "__slots__": ("x",)}))
    for made, leaves in ((A(1), [1]), (B(4), [4]), (C(1, 2), [1, 2]), (D(1), [])):
        again = jax.tree.map(lambda leaf: leaf, made)
        assert again == made and jax.tree.leaves(again) == leaves and made.replace(x=5).x == 5
    assert A.__slots__ == ("x", "y", "__weakref__") and vars(C(1, 2)) == {"y": 2}


def test_a_descriptor_as_default_keeps_the_values():
    class Doubled:
        def __get__(self, instance, owner):
            return 1 if instance is None else instance._x

        def __set__(self, instance, value):
            instance.__dict__["_x"] = 2 * value

    @ours.dataclass
    class A:
        x: int = Doubled()
        y: int = 0

    assert (A().x, A(3).x, A(3).replace(y=1).x) == (2, 6, 12)
    assert jax.tree.leaves(A(3)) == [6, 0]


def test_fields_of_any_name_work():
    names = ["self", "cls", "new", "values", "aux", "children", "changes", "equal_values", "set_dict", "type"]
    names += ["x_later", "_A__x"]
    A = ours.dataclass(type("A", (), {"__annotations__": dict.fromkeys(names, int), "__module__": __name__}))
    a = A(*range(len(names)))
    assert jax.tree.map(lambda leaf: leaf + 1, a) == A(*range(1, len(names) + 1)) and a.replace(self=7, cls=8).self == 7
    B = ours.dataclass(type("B", (), {"__annotations__": {"replace": int}, "__module__": __name__}))
    assert dataclasses.replace(B(1), replace=2).replace == 2


def test_replace_is_written_for_the_class():
    @ours.dataclass
    class A:
        x: int
        y: int = 2

    assert inspect.getsource(A.replace) == (
        "def replace(self, /, **changes):\n"
        '    if "__node__" in type(self).__dict__ and len(self.__dataclass_fields__) == 2:\n'
        "        try:\n"
        "            values = {'x': self.x, 'y': self.y, **changes}\n"
        "        except AttributeError:\n"
        "            # A field that is not set is told below, if it is needed.\n"
        "            pass\n"
        "        else:\n"
        "            return type(self)(**values)\n"
        "    # The constructor takes other fields.\n"
        "    return dataclasses.replace(self, **changes)\n"
    )
    assert A.replace.__qualname__.endswith("<locals>.A.replace") and A.replace.__module__ == __name__
    assert A.replace.__doc__.startswith("A copy with some fields changed")


def test_replace_keeps_the_fields_of_subclasses(struct):
    @struct.dataclass
    class A:
        x: int = 1
        replace_by: ClassVar[str] = ""

    @dataclasses.dataclass(frozen=True)
    class Standard(A):
        y: int = 2

    @struct.dataclass
    class Child(A):
        y: int = 2

        def replace(self, **changes):
            return super().replace(**changes)

    @dataclasses.dataclass(frozen=True)
    class Fixed(A):
        x: int = dataclasses.field(init=False, default=9)
        y: int = 2

    assert Fixed().replace(y=3) == Fixed(3)
    assert Standard(1, 9).replace(x=2) == Standard(2, 9)
    assert Child(1, 9).replace(x=2) == Child(2, 9)
    assert A.replace(Child(1, 9), x=2) == Child(2, 9)


def test_a_class_variable_named_replace_is_no_field(struct):
    @struct.dataclass
    class A:
        x: int = 1
        replace: ClassVar[Any]

    assert A().replace(x=3) == A(3)


def test_replace_reads_no_field_that_it_changes(struct):
    @struct.dataclass(frozen=False)
    class A:
        x: int
        y: int = 0

    a = A(1)
    del a.x
    assert a.replace(x=3) == A(3)
    with pytest.raises(AttributeError, match="'x'"):
        a.replace(y=3)


def test_an_inherited_inequality_is_kept(struct):
    class Mixin:
        def __ne__(self, other):
            return "mine"

    A = struct.dataclass(type("A", (Mixin,), {"__annotations__": {"x": int}}))
    assert (A(1) != A(1)) == "mine"


def test_an_own_setattr_of_a_mutable_class_runs_for_assignments_alone(struct):
    @struct.dataclass(frozen=False)
    class A:
        x: int

        def __setattr__(self, name, value):
            super().__setattr__(name, value * 10)

    a = A(1)
    a.x = 2
    assert a.x == 20
    if struct is ours:
        assert jax.tree.map(lambda leaf: leaf, a).x == 20
