"""Installed versions of the packages that can change a number."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib import metadata

from spinsweep.identity import version

PACKAGES = ("spinsweep", "dask", "distributed", "numpy", "scipy", "xarray", "zarr", "torch", "numba", "llvmlite",
            "pandas", "statsmodels", "pyvisa")  # fmt: skip
_ALWAYS = ("spinsweep", "numpy")
"""Every number passes through both."""


def versions() -> dict[str, str]:
    """Installed version of each package that can change a number."""
    return {name: number for name in PACKAGES if (number := version(name)) is not None}


def versions_reached(packages: Iterable[str]) -> dict[str, str]:
    """Versions of packages, and of those of :data:`PACKAGES` that they rest on."""
    reached: dict[str, str] = {}
    waiting = [*packages, *_ALWAYS]
    while waiting:
        name = waiting.pop()
        number = version(name)
        if name not in reached and number is not None:
            reached[name] = number
            if name != "spinsweep":  # whose needs are those of its command line
                waiting += [n for n in _needs(name) if n in PACKAGES]
    return dict(sorted(reached.items()))


@cache
def _needs(name: str) -> tuple[str, ...]:
    texts = metadata.requires(name) or ()
    words = (re.match(r"[\w.-]+", text) for text in texts if "extra" not in text)
    return tuple(word[0].lower() for word in words if word)
