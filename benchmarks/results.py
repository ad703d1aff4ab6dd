"""All that one run measured, as a file of JSON with a line for each row, and what it ran on."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from benchmarks.growth import Growth
from benchmarks.peers import Workshop
from benchmarks.rows import Row
from benchmarks.targets import Target, limits


@dataclass(frozen=True)
class Results:
    """All that one run measured.

    Attributes:
        environment: what it ran on.
        missing: peer -> why it could not be imported.
        seconds: how long the run took.
        rows: the rows of all workloads.
        growths: the fitted exponents.
    """

    environment: dict[str, str]
    missing: dict[str, str]
    seconds: float
    rows: list[Row]
    growths: list[Growth]

    @property
    def version(self) -> tuple[int, ...]:
        """Python's, as (major, minor)."""
        return tuple(int(part) for part in self.environment["python"].split(".")[:2])

    @property
    def title(self) -> str:
        """The versions of Python and JAX."""
        return f"{self.environment['python']}, JAX {self.environment['jax']}"

    def limits(self) -> list[Target]:
        """The limits of times, with what was measured."""
        return limits(self.rows, inlines=self.version >= (3, 12))

    def save(self, path: Path) -> None:
        """Write the results as JSON, each row in one line."""
        parts = []
        for name, value in vars(self).items():
            if isinstance(value, list):
                lines = ",\n".join(json.dumps(_rounded(dataclasses.asdict(item))) for item in value)
                parts.append(f'"{name}": [\n{lines}\n]')
            else:
                parts.append(f'"{name}": {json.dumps(_rounded(value))}')
        path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def load(path: Path) -> Results:
    """What `Results.save` wrote."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    found["rows"] = [Row(**row) for row in found["rows"]]
    found["growths"] = [Growth(**growth) for growth in found["growths"]]
    return Results(**found)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value


def environment(workshop: Workshop) -> dict[str, str]:
    """What the measurements run on: Python and how it was built, JAX, the peers' versions, the machine."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    # Debian guides the compiler by a profile through its own makefile; the second argument tells its builds.
    optimised = any(sign in arguments for sign in ("--enable-optimizations", "/usr/share/python-wheels"))
    return {
        "python": platform.python_version(),
        "build": "optimised" if optimised else "not optimised",
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
        **workshop.versions,
        "system": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
