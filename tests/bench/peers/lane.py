"""(d) The lane: cycles of reset, read, write, read at emulated instruments, which serve faster than one can ask.

The messages of a cycle of the drivers go over plain sockets and through pymeasure's VISA adapter as well, to the same
instruments; their replies are checked after each turn.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from tests.bench import lane
from tests.bench.peers.turns import Table, Way

from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.bench_file import Bench, load
from spinsweep.process import environment


@contextmanager
def over_pymeasure(bench: Bench) -> Iterator[lane.Ask]:
    """Instruments of pymeasure, over pyvisa-py."""
    from pymeasure.instruments import Instrument

    ends = {"read_termination": "\n", "write_termination": "\n"}
    instruments: dict[str, Any] = {}
    for role, section in bench.instruments.items():
        instrument = Instrument(section.resource, role, includeSCPI=False, visa_library="@py", timeout=5000, **ends)
        link = instrument.adapter.connection  # small messages would wait 40 ms for each other
        link.visalib.sessions[link.session].interface.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        instruments[role] = instrument
    yield lambda role, message: instruments[role].ask(message)
    for instrument in instruments.values():
        instrument.adapter.close()


@contextmanager
def tables(smallest: bool) -> Iterator[Sequence[Table]]:
    """The lane."""
    cycles = 5 if smallest else lane.CYCLES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = {"SPINSWEEP_STATE": str(folder / "state"), "SPINSWEEP_LOCKS": str(folder / "locks")}
        with environment(own), lane.emulated(folder) as path:
            bench, turn = load(path), iter(range(10_000))
            with acquire_bench(bench) as session:
                cycle = lane.messages_of_a_cycle(session)

            def drivers() -> dict[str, float]:
                with acquire_bench(bench) as session:
                    return {"ms a cycle": 1e3 / lane.journalled(session, next(turn), cycles)}

            def same(way: Any) -> dict[str, float]:
                with way(bench) as ask:
                    return {"ms a cycle": 1e3 / lane.same_messages(bench, ask, cycle, cycles)}

            def whole() -> dict[str, float]:
                with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                    rate = lane.through_the_lane(path, folder / f"{next(turn)}.zarr", 2, cycles)
                return {"ms a cycle": 1e3 / rate}

            yield [
                Table(
                    "cycles at an emulated bench",
                    [
                        Way(
                            "spinsweep, drivers and journal",
                            drivers,
                            note="settings read back and compared, errors asked for, pulses journalled before",
                        ),
                        Way("spinsweep, through the Dask lane", whole, note="a sweep whose cells are measured"),
                        Way(
                            "raw sockets, the same messages",
                            lambda: same(lane.over_sockets),
                            note="compares and records nothing",
                        ),
                        Way(
                            "pymeasure, the same messages",
                            lambda: same(over_pymeasure),
                            ("pymeasure", "pyvisa-py"),
                            "Instrument.ask over pyvisa-py; compares and records nothing",
                        ),
                    ],
                    ("ms a cycle",),
                    f"{cycles} cycles a turn of {len(cycle)} messages, to instruments emulated by another process.",
                )
            ]
