"""The standard library's dataclass functions take structs."""

import dataclasses
from typing import Any

from structkit import Field, Struct, diagram, fields, is_struct, pformat, summary


class Point(Struct):
    x: float
    y: float = 0.0


point = Point(1.0)
as_dict: dict[str, Any] = dataclasses.asdict(point)
as_tuple: tuple[Any, ...] = dataclasses.astuple(point)
moved: Point = dataclasses.replace(point, x=2.0)
names: list[str] = [f.name for f in dataclasses.fields(point)]
class_names: list[str] = [f.name for f in dataclasses.fields(Point)]
flag: bool = dataclasses.is_dataclass(point)
own: tuple[Field, ...] = fields(point)
statics: list[bool] = [f.static for f in fields(Point)]
struct: bool = is_struct(point)
text: str = pformat(point) + pformat(point, width=40, short_arrays=False, hide_defaults=True) + summary(point) + summary(point, depth=1) + diagram(point)
same: bool = point == moved
number: int = hash(point)

dataclasses.fields("x")  # error: fields
wrong: int = dataclasses.astuple(point)  # error: astuple-result
wrong_replace: int = dataclasses.replace(point, x=1.0)  # error: replace-result
wrong_fields: list[str] = fields(point)  # error: own-fields-result
wrong_text: int = summary(point)  # error: summary-result
wrong_picture: int = diagram(point)  # error: diagram-result
pformat(point, hide_default=True)  # error: pformat-option
summary(point, depth="1")  # error: summary-depth
