"""Generic structs with the syntax of PEP 695."""

from structkit import Static, Struct, at, static

type Name = Static[str]


class Box[T](Struct):
    value: T
    label: str = static(default="box")
    name: Name = "name"

    def get(self) -> T:
        return self.value


class Pair[K, V: Struct](Struct):
    key: K
    inner: V


class IntBox(Box[int]):
    extra: int = 0


number: Box[int] = Box(1)
text: str = Box("a").get()
pair: Pair[str, Box[int]] = Pair("a", number)
placed: Box[int] = at(number, lambda b: b.value).set(2)
named: Box[int] = Box(1, name="b")
Box[int]("x")  # error: argument
Box(1, name=2)  # error: alias-type
Pair("a", 3)  # error: bound
IntBox("x")  # error: bound-in-child
wrong: int = Box("a").get()  # error: method
at(number, lambda b: b.value).set("2")  # error: place
