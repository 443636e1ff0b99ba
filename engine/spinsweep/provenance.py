"""Where numbers come from: code, versions, processor, commit, machine, command."""

from __future__ import annotations

import ctypes
import datetime
import getpass
import hashlib
import inspect
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from spinsweep.identity import Identity, differences, found_here, identify, is_released
from spinsweep.spec import Sweep

PACKAGES = (
    "spinsweep",
    "dask",
    "distributed",
    "numpy",
    "scipy",
    "xarray",
    "zarr",
    "torch",
    "numba",
    "llvmlite",
    "pandas",
    "statsmodels",
    "pyvisa",
)
_ALWAYS = ("spinsweep", "numpy")  # every number passes through both

ORIGIN = frozenset(("identity", "parts", "packages", "python", "processor"))
"""Attributes by which origins are compared."""


@dataclass(frozen=True)
class Origin:
    """What makes numbers in a process: a sweep's code, the packages that it reaches, Python, the processor."""

    code: Identity
    packages: Mapping[str, str]
    """Version of each package that the code reaches, and of those that these rest on."""
    python: str
    processor: str
    """Its model, and the instruction sets that libraries chose for it."""

    @classmethod
    def here(cls, code: Identity) -> Origin:
        """Of code that is computed in this process."""
        return cls(code, _matter(code.packages), platform.python_version(), processor("torch" in code.packages))

    @classmethod
    def of(cls, sweep: Sweep) -> Origin:
        """Of a sweep that is computed in this process."""
        return cls.here(identify(sweep.function, reached=sweep.reached_code))

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """As it stands in a cube."""
        return {
            "identity": self.code.digest,
            "parts": dict(self.code.parts),
            "packages": dict(self.packages),
            "python": self.python,
            "processor": self.processor,
            "notes": list(self.code.notes),
        }

    @cached_property
    def number(self) -> int:
        """Its name in a cube, from 1 to 2^53 - 1, which JSON holds exactly."""
        text = json.dumps(self.attributes, sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") >> 3 or 1


def other_code(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What differs in the code of two origins (their attributes), in words."""
    return differences(_counting(there), _counting(here))


def other_versions(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Which versions of two origins differ, in words; of Python only the minor one is looked at."""
    found = differences(_python(there), _python(here))
    names = [n for n in here["packages"] if is_released(n)]
    return found + differences(*({n: o["packages"].get(n, "") for n in names} for o in (there, here)))


def other_processor(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Whether the processors of two origins differ, in words."""
    return differences({"processor": there["processor"]}, {"processor": here["processor"]})


def of_worker(driver: Origin) -> Origin:
    """The origin of what a worker computes for a driver: its own modules where they are imported."""
    code = found_here(driver.code)
    parts = {n: d for n, d in {**driver.code.parts, **code.parts}.items() if d}
    packages = {n: v for n in driver.code.packages if (v := _version(n)) is not None}
    merged = Identity({**parts, **packages}, driver.code.packages, driver.code.by_value, driver.code.own)
    return Origin.here(merged)


def worker(origin: Origin, address: str) -> dict[str, Any]:
    """What a run keeps of one of its workers: this process."""
    return {
        "address": address,
        "host": platform.node(),
        "process": os.getpid(),
        "python": origin.python,
        "packages": dict(origin.packages),
        "processor": origin.processor,
        "identity": origin.code.digest,
        "code": f"{origin.number:016x}",
    }


def _counting(origin: Mapping[str, Any]) -> dict[str, str]:
    """The parts that an identity is made of."""
    return {n: d for n, d in origin["parts"].items() if ":" in n or not is_released(n)}


def _python(origin: Mapping[str, Any]) -> dict[str, str]:
    return {"Python": ".".join(origin["python"].split(".")[:2])}


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def collect(sweep: Sweep, origin: Origin) -> dict[str, Any]:
    """Everything about the code and machine that one would ask for when a number looks odd."""
    return {
        "packages": versions(),
        "python": origin.python,
        "processor": origin.processor,
        "code": code(sweep) | {"identity": origin.code.digest},
        "machine": {
            "host": platform.node(),
            "system": platform.platform(),
            "cpus": os.cpu_count(),
            "user": _user(),
        },
        "process": os.getpid(),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def versions() -> dict[str, str]:
    """Installed version of each package that can change a number."""
    return {name: found for name in PACKAGES if (found := _version(name)) is not None}


@cache
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _matter(packages: Iterable[str]) -> dict[str, str]:
    """Versions of packages, and of those of :data:`PACKAGES` that they rest on."""
    found: dict[str, str] = {}
    waiting = [*packages, *_ALWAYS]
    while waiting:
        name = waiting.pop()
        version = _version(name)
        if name not in found and version is not None:
            found[name] = version
            if name != "spinsweep":  # whose needs are those of its command line
                waiting += [n for n in _needs(name) if n in PACKAGES]
    return dict(sorted(found.items()))


@cache
def _needs(name: str) -> tuple[str, ...]:
    texts = metadata.requires(name) or ()
    words = (re.match(r"[\w.-]+", text) for text in texts if "extra" not in text)
    return tuple(word[0].lower() for word in words if word)


def processor(with_torch: bool) -> str:
    """The processor's model and what libraries made of it: "AMD EPYC (25/17); OpenBLAS Zen; numpy X86_V3".

    Products and functions are computed by other instructions on another kind, and differ in the last digits.
    """
    chosen = [*(f"OpenBLAS {core}" for core in sorted(set(_openblas()))), *_simd()]
    if with_torch and "torch" in sys.modules:
        chosen.append(f"torch {sys.modules['torch'].backends.cpu.get_cpu_capability()}")
    return "; ".join([_model(), *chosen])


@cache
def _model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    about = dict(re.findall(r"^([\w ]+?)\s*:\s*(.*)$", text.partition("\n\n")[0], re.MULTILINE))
    name = about.get("model name") or platform.processor() or platform.machine()
    kind = [about[n] for n in ("cpu family", "model", "CPU implementer", "CPU part") if n in about]
    return f"{name} ({'/'.join(kind)})" if kind else name


def _openblas() -> Iterable[str]:
    """The kind of processor that each OpenBLAS in this process computes for."""
    try:
        text = Path("/proc/self/maps").read_text()
    except OSError:
        return
    places = {line.split(maxsplit=5)[5] for line in text.splitlines() if "openblas" in line}
    for path in sorted(place for place in places if ".so" in place):
        for name in ("scipy_openblas_get_corename64_", "scipy_openblas_get_corename", "openblas_get_corename"):
            try:
                ask = ctypes.CDLL(path)[name]
            except (OSError, AttributeError):
                continue
            ask.restype = ctypes.c_char_p
            yield ask().decode()
            break


def _simd() -> list[str]:
    """The largest instruction set that NumPy uses beyond what it was built for."""
    core: Any = sys.modules.get("numpy._core._multiarray_umath")
    if core is None:
        return []
    used = [n for n in core.__cpu_dispatch__ if core.__cpu_features__.get(n)]
    return [f"numpy {used[-1] if used else 'baseline'}"]


def code(sweep: Sweep) -> dict[str, Any]:
    """The block function's name, and commit and dirty flag of the checkout it is in."""
    function: Any = sweep.function if hasattr(sweep.function, "__qualname__") else type(sweep.function)
    found: dict[str, Any] = {"function": f"{function.__module__}:{function.__qualname__}"}
    try:
        folder = Path(inspect.getfile(function)).resolve().parent
    except (OSError, TypeError):
        return found
    found["git_commit"] = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    tracked = _git(folder, "ls-files", "--error-unmatch", inspect.getfile(function))
    found["git_dirty"] = None if changes is None else bool(changes) or tracked is None
    return found


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
