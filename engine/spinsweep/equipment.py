"""Equipment that runs measure with, such as a bench: found by entry point, owned by one process at a time.

The engine knows nothing of instruments. A package that does names, under the entry point group
``spinsweep.equipment``, a function that reads a file of its own into an :class:`Equipment`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from spinsweep.errors import SpecError
from spinsweep.plugins import EQUIPMENT, installed
from spinsweep.spec import Sweep


class OwningWorker(Protocol):
    """A worker process of this machine that owns equipment."""

    def check(self) -> None:
        """``RunnerError`` if it has ended for good."""


class Equipment(Protocol):
    """What a file such as BENCH.toml describes."""

    @property
    def name(self) -> str:
        """Tells it from others."""

    @property
    def needs(self) -> Mapping[str, float]:
        """Dask worker resources of blocks that are measured with it."""

    def measured(self, sweep: Sweep) -> Sweep:
        """The sweep as it is measured with this; ``SpecError`` if it is only computed."""

    def confirm(self, sweep: Sweep) -> None:
        """Tell a person what a run of the sweep does, and ask; ``SpinsweepError`` if the answer is no."""

    def acquire(self) -> AbstractContextManager[object]:
        """Own it in this process."""

    def worker(self, address: str, security: Any) -> AbstractContextManager[OwningWorker]:
        """A worker process of this machine that owns it, for the scheduler at ``address``."""

    def serve(self, address: str, security: Any) -> None:
        """Be the worker that owns it, until it is told to end."""


def load(path: Path) -> Equipment:
    """The equipment that a file describes.

    Raises
    ------
    SpinsweepError
        One line: no package for it is installed, or the file is wrong.
    """
    loaders = installed(EQUIPMENT)
    if not loaders:
        raise SpecError(f"{path}: no package that measures is installed (entry point group {EQUIPMENT})")
    loader: Callable[[Path], Equipment] = next(iter(loaders.values())).load()
    return loader(path)
