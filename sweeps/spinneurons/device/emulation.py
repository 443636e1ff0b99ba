"""The instruments of a bench file as an emulator is to serve them."""

from __future__ import annotations

from instrument_emulator.description import BenchDescription, InstrumentDescription
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.section import TERMINATORS


def description(bench: Bench, speed: float | None = None) -> BenchDescription:
    """What the emulator serves for a bench; ``speed`` instead of the bench's own."""
    return BenchDescription(
        {
            role: InstrumentDescription(
                instrument.driver,
                instrument.serial,
                instrument.resource,
                TERMINATORS[instrument.terminator],
                instrument.shares,
                instrument.behind,
                instrument.adapter,
            )
            for role, instrument in bench.instruments.items()
        },
        {device.name: frozenset(device.channels) for device in bench.device},
        bench.timing.mains,
        bench.timing.speed if speed is None else speed,
    )
