"""The part of JAX's compiled core whose types structkit's own checks see; every other name is `Any`."""

from typing import Any

from jaxlib._jax import pytree as pytree

class Device:
    id: int
    platform: str
    device_kind: str
    process_index: int
    def __getattr__(self, name: str) -> Any: ...

def __getattr__(name: str) -> Any: ...
