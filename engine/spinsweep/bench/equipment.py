"""The bench as equipment that runs measure with; see :mod:`spinsweep.equipment`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from spinsweep import discovery
from spinsweep.bench import bench_file
from spinsweep.spec import Sweep


class BenchEquipment:
    """The bench that a file describes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bench = bench_file.load(path)

    @property
    def name(self) -> str:
        """Of the bench."""
        return self.bench.name

    @property
    def needs(self) -> Mapping[str, float]:
        """Resources that its lane alone offers."""
        return self.bench.needs

    def measured(self, sweep: Sweep) -> Sweep:
        """The sweep as it is measured on this bench."""
        return discovery.on_bench(sweep, self.bench)

    def confirm(self, sweep: Sweep) -> None:
        """Tell devices, currents, pulses and time, and ask for ``yes``, on a terminal."""
        from spinsweep.bench.confirmation import confirm

        confirm(self.bench, sweep)

    def acquire(self) -> AbstractContextManager[object]:
        """Own the bench in this process."""
        from spinsweep.bench.acquire import acquire_bench

        return acquire_bench(self.bench)

    def worker(self, address: str, security: Any) -> AbstractContextManager[Any]:
        """A lane of this machine."""
        from spinsweep.bench.lane import local_lane

        return local_lane(self.path, address, security)

    def serve(self, address: str, security: Any) -> None:
        """Be the lane."""
        from spinsweep.bench.lane import run_lane

        run_lane(self.bench, address, security=security)
