"""Processes: what one is called in messages, and the environment in which others start."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from spinsweep import system

SAFE_PATH = "PYTHONSAFEPATH"
"""Variable that keeps the current folder, which may hold a file named like any module, off the path of a Python that
is started; empty: it is on it."""


def this_process() -> str:
    """Which one holds a lock, in the words of a message."""
    return f"process {os.getpid()} on {system.host_name()}"


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for what is started inside the block, and put back what they were."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
