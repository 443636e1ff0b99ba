"""The safe state and nothing else: what a person asks for in an emergency."""

from __future__ import annotations

from spinsweep.bench.bench_file import Bench
from spinsweep.bench.errors import BenchError
from spinsweep.bench.instruments import Instruments
from spinsweep.bench.watchdog import mark_clean

TIMEOUT_S = 5.0
"""That an instrument which refuses a connection is tried."""


def make_safe(bench: Bench, timeout_s: float = TIMEOUT_S) -> None:
    """Connect, and send the safe state; the lease of the bench is ours.

    Raises
    ------
    BenchError
        An instrument cannot be reached, or is another one, or does not get safe: what it does is not known.
    """
    instruments = Instruments(bench)
    try:
        instruments.open(timeout_s)
    except BenchError as error:
        raise BenchError(
            f"bench {bench.name} is not known to be safe: {error}. Switch the source off by hand."
        ) from None
    finally:
        instruments.close()
    mark_clean(bench)
