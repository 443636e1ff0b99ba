"""The scheduler's lease of equipment: which worker owns which addresses, until when.

Dask's resources route work; they exclude nobody. A worker that owns equipment asks for this lease before it touches
any, renews it, and ends itself when it cannot.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from distributed import SchedulerPlugin

TTL = 15.0  # seconds that the lease lasts without being renewed
STARTED = "just started"  # in the answer to a lane that may ask again


class _Held(NamedTuple):
    """What a lane has a lease of."""

    host: str
    """Names the processes that see each other's locks; not a machine's name, which two machines may share."""
    bench: str
    addresses: frozenset[str]
    until: float
    """Monotonic time, s."""


class ClusterLease(SchedulerPlugin):
    """At the scheduler: which lane owns which addresses under which name of a bench, until when."""

    name = "spinsweep-lease"
    idempotent = True

    async def start(self, scheduler: Any) -> None:
        """Answer to ``spinsweep_lease``."""
        self.since = time.monotonic()
        self.held: dict[str, _Held] = {}
        scheduler.handlers["spinsweep_lease"] = self.request

    def request(
        self,
        addresses: Sequence[str],
        holder: str,
        host: str,
        bench: str,
        *,
        release: bool = False,
        grace: float = 0.0,
    ) -> str:
        """Take or renew the lease of all addresses and of the bench's name; "" if granted, else why not.

        Lanes of one machine are told apart by its own locks: the newest to ask is the one that holds them.
        """
        if release:
            self.held.pop(holder, None)
            return ""
        now, requested = time.monotonic(), frozenset(addresses)
        for other, its in self.held.items():
            if other == holder or its.until <= now:
                continue
            if common := requested & its.addresses:
                if its.host != host:
                    return f"{min(common)} is owned by {other}; only one lane can own it"
            elif its.bench == bench:
                return f"another bench has this name here, owned by {other}; give one of them another name"
        if now < self.since + grace and not any(requested <= its.addresses for its in self.held.values()):
            left = self.since + grace - now
            return f"the scheduler has {STARTED}: an earlier lane may live for {left:.0f} s more"
        self.held = {h: its for h, its in self.held.items() if not requested & its.addresses}
        self.held[holder] = _Held(host, bench, requested, now + TTL)
        return ""
