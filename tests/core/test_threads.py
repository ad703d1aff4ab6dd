"""Threads that construct, define and read structs share no mutable state."""

import functools
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
import pytest

import structkit
from structkit import Static, Struct, derived, field, static
from tests.models import assert_frozen

THREADS = 4


def in_threads(work, arguments=range(THREADS)):
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, arguments))


def test_threads_that_construct_structs_or_fail_to_do_not_disturb_each_other():
    barrier = threading.Barrier(THREADS)

    class Slow(Struct):
        a: Any
        b: Any
        n: Any = static()
        inner: Any
        total: Any = derived()

        def __init__(self, base, wait=barrier.wait):
            self.a = base
            wait(timeout=30)
            self.b = self.a + 1
            self.n = ("n", base)
            # Another object of the class, while this one is open.
            self.inner = Slow(base, lambda timeout: None) if wait == barrier.wait else None
            wait(timeout=30)
            if base % 4 == 3 and self.inner is not None:
                raise ValueError
            self.total = self.a + self.b

    def attempt(base):
        try:
            return Slow(base)
        except ValueError:
            return None

    for base, structs in enumerate(in_threads(lambda base: [attempt(base + 10 * i) for i in range(50)])):
        for i, struct in enumerate(structs):
            start = base + 10 * i
            expected = {"a": start, "b": start + 1, "n": ("n", start), "total": 2 * start + 1}
            assert (struct is None) is (start % 4 == 3)
            if struct is not None:
                assert vars(struct) == expected | {"inner": struct.inner}
                assert vars(struct.inner) == expected | {"inner": None}
                assert_frozen(struct, "a")


def test_threads_that_define_structs_do_not_disturb_each_other():
    barrier = threading.Barrier(THREADS)

    def define(k):
        barrier.wait(timeout=30)
        out = []
        for i in range(20):

            class Local(Struct):
                x: Any
                y: Any = (k, i)
                n: "Static[int]" = k

                def __post_init__(self):
                    self.x = self.x + 1

            @structkit.struct.dataclass
            class Decorated:
                x: Any = i
                y: Any = np.zeros(2)

            made, decorated = jax.tree.map(lambda leaf: leaf, (Local(i), Decorated()))
            out.append((made.x, made.y, made.n, len(jax.tree.leaves(made)), decorated.x))
        return out

    assert in_threads(define) == [[(i + 1, (k, i), k, 3, i) for i in range(20)] for k in range(THREADS)]


class Cached(Struct):
    wait: Any

    @functools.cached_property
    def token(self):
        self.wait()
        return object()

    @functools.cached_property
    def other(self):
        return object()


def test_threads_that_read_cached_properties_get_one_value_of_each():
    barrier = threading.Barrier(THREADS)
    struct = Cached(lambda: barrier.wait(timeout=30))
    tokens = in_threads(lambda _: (struct.token, struct.other))
    assert set(tokens) == {(struct.token, struct.other)}


@pytest.fixture
def hurry():
    """Threads that take turns as often as Python can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_the_first_reads_of_a_cached_property_race_for_one_value(hurry):
    def read(k):
        names = ("token", "other")[:: 1 - 2 * (k % 2)]
        barrier.wait(timeout=30)
        return [{name: getattr(struct, name) for name in names} for struct in structs]

    structs, barrier = [Cached(lambda: None) for _ in range(500)], threading.Barrier(THREADS)
    first, *others = in_threads(read)
    assert all(values == first for values in others)


def test_writes_of_threads_to_the_fields_of_a_mutable_struct_never_undo_each_other(hurry):
    class Shared(Struct, frozen=False):
        a: Any = 0
        b: Any = 0
        c: Any = field(default=0, converter=int)
        s: Any = static(default=0)
        t: Any = static(default=0)

    def write(name):
        barrier.wait(timeout=30)
        for i in range(1, 500):
            setattr(struct, name, i)
            if getattr(struct, name) != i or (i % 50 == 0 and len(jax.tree.leaves(struct)) != 3):
                lost.append((name, i))

    struct, lost = Shared(), []
    names = tuple(vars(struct))
    barrier = threading.Barrier(len(names))
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(write, names))
    assert lost == []
    assert vars(struct) == dict.fromkeys(names, 499)


def test_threads_that_construct_an_object_together_lose_none_of_its_static_fields(hurry):
    barrier, lost = threading.Barrier(2), []

    class Shared(Struct):
        s: Any = static(default=0)
        t: Any = static(default=0)

        def __init__(self, pool):
            list(pool.map(self.write, ("s", "t")))

        def write(self, name):
            barrier.wait(timeout=30)
            # It takes a while to look into a tuple of floats.
            for value in [(i / 2,) * 9 for i in range(1500)]:
                setattr(self, name, value)
                if getattr(self, name) != value:
                    lost.append((name, value))

    with ThreadPoolExecutor(2) as pool:
        assert vars(Shared(pool)) == dict.fromkeys(("s", "t"), (749.5,) * 9) and lost == []
