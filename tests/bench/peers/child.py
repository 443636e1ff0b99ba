"""A turn in a process of its own: ``python -m tests.bench.peers.child MODULE FUNCTION [ARGUMENTS AS JSON]``.

The function gives numbers by name, printed as the last line, in JSON.  Its process has never held anything else, so
that its peak of memory is its own.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.peers.turns import LeftOut

ROOT = Path(__file__).parents[3]
LONGEST = 1800
"""Seconds after which a child is taken for hanging."""


def command(module: str, function: str, arguments: Mapping[str, Any]) -> list[str]:
    return [sys.executable, "-m", "tests.bench.peers.child", module, function, json.dumps(arguments)]


def run(module: str, function: str, **arguments: Any) -> dict[str, float]:
    """The numbers that the function gives in a process of its own.

    Raises LeftOut if the function does, and RuntimeError with what the process said if it fails otherwise.
    """
    line = command(module, function, arguments)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # the current folder alone may not be looked at
    ended = subprocess.run(
        line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
    )
    last = ended.stdout.strip().splitlines()[-1:]
    if ended.returncode != 0 or not last:
        raise RuntimeError(f"{module}.{function} of {arguments} failed:\n{ended.stdout}{ended.stderr}")
    found = json.loads(last[0])
    if "left out" in found:
        raise LeftOut(found["left out"])
    return {str(name): float(value) for name, value in found.items()}


def peak() -> float:
    """The most that this process ever held in memory (resident), MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts what the parent held before this program was loaded
        kibibytes = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        assert kibibytes is not None
        return int(kibibytes[1]) * 1024 / 1e6
    import resource

    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held / 1e6 if sys.platform == "darwin" else held * 1024 / 1e6


class Clock:
    """Wall time between two moments."""

    def __enter__(self) -> Clock:
        self.began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self.began


def main() -> None:
    module, function, arguments = sys.argv[1:]
    try:
        found = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    except LeftOut as reason:
        found = {"left out": str(reason)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
