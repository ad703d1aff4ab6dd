"""Workloads of `structkit.sharding`, beside a map over the leaves that says one sharding for all."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec

import structkit
from benchmarks.peers import DROP_IN, OURS, Workshop
from benchmarks.rows import Workload
from benchmarks.timing import Effort, Snippet
from benchmarks.trees import TREE_MAP, group

LEAVES = 10_000
SHARDINGS, SPECS = "sharding.shardings", "sharding.specs"
GROUP = group(LEAVES)

_LEAVES_EACH = 5
_CODES = {
    SHARDINGS: "sharding.shardings(x, mesh, rules=rules)",
    SPECS: "sharding.specs(x, rules=rules)",
}
_BY_HAND = "jax.tree.map(lambda leaf: NamedSharding(mesh, whole), x)"


def workloads(workshop: Workshop) -> Iterator[Workload]:
    """The workloads on shardings."""
    for name in _CODES:
        yield Workload(GROUP, name, partial(_snippets, name), Effort(0.4))


def _snippets(name: str) -> dict[str, Snippet]:
    mesh: Any = AbstractMesh((2, 4), ("data", "model"))
    whole: Any = PartitionSpec
    names = {"jax": jax, "sharding": structkit.sharding, "NamedSharding": NamedSharding, "mesh": mesh, "whole": whole()}
    names["rules"] = {"embed": "data", "mlp": "model"}
    found = {OURS: Snippet(_CODES[name], {**names, "x": tree(structkit.Struct, structkit.field)})}
    found[DROP_IN] = Snippet(_CODES[name], {**names, "x": tree(structkit.struct.PyTreeNode, _metadata)})
    found[TREE_MAP] = Snippet(_BY_HAND, found[OURS].names)
    return found


def _metadata(spec: Any) -> Any:
    return structkit.struct.field(metadata={"spec": spec})


def tree(base: Any, field: Any) -> Any:
    """Blocks of five arrays in structs of three classes, with the specs of their fields."""
    scope = {"base": base, "field": field, "P": PartitionSpec}
    exec(_CLASSES, scope)
    weight, bias = jnp.zeros((8, 8)), jnp.zeros(8)
    linear, block, model = (scope[name] for name in ("Linear", "Block", "Model"))
    blocks = [block(linear(weight, bias), linear(weight, bias), bias) for _ in range(LEAVES // _LEAVES_EACH)]
    return model(blocks)


_CLASSES = """\
class Linear(base):
    weight: object = field(spec=P("embed", "mlp"))
    bias: object = field(spec=P("mlp"))
class Block(base):
    one: object
    two: object
    scale: object
class Model(base):
    blocks: object
"""
