"""Where numbers come from: versions, commit, machine, command, as a plain mapping."""

from __future__ import annotations

import datetime
import getpass
import hashlib
import inspect
import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from engine.spec import Sweep

PACKAGES = (
    "spinsweep",
    "dask",
    "distributed",
    "numpy",
    "scipy",
    "xarray",
    "zarr",
    "torch",
    "statsmodels",
    "pyvisa",
)


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def collect(sweep: Sweep) -> dict[str, Any]:
    """Everything about the code and machine that one would ask for when a number looks odd."""
    return {
        "packages": versions(),
        "python": platform.python_version(),
        "code": code(sweep),
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
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def code(sweep: Sweep) -> dict[str, Any]:
    """The block function's name, the digest of its source, and commit and dirty flag of the checkout it is in."""
    function: Any = sweep.function if hasattr(sweep.function, "__qualname__") else type(sweep.function)
    found: dict[str, Any] = {"function": f"{function.__module__}:{function.__qualname__}"}
    try:
        found["function_sha256"] = hashlib.sha256(inspect.getsource(function).encode()).hexdigest()
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
