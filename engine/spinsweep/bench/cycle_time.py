"""How long a cycle really takes on a bench: measured when a device is tried, and kept for plans.

Timing alone says too little: arming, settling, relays and the traffic come on top, 5 % to 40 % on a bench with short
rests.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from typing import NamedTuple

from spinsweep.bench.bench_file import Bench
from spinsweep.disk import write_whole

_OF_NO_MATTER = {"resource", "serial", "timeout"}
"""Keys of an instrument that leave its times alone."""


class CycleTime(NamedTuple):
    """A measured cycle."""

    seconds: float
    """Real time, s."""
    device: str
    date: str


def note(bench: Bench, cycle: str, seconds: float, device: str) -> None:
    """Keep what a cycle took, real s; the bench is ours."""
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    row = {"cycle": cycle, "seconds": seconds, "device": device, "date": date, "settings": _settings(bench)}
    write_whole(str(bench.folder / "cycle.json"), json.dumps(row).encode(), sync=False)


def measured(bench: Bench, cycle: str) -> CycleTime | None:
    """What was measured with these settings of the bench; None if nothing was, or the settings are others now."""
    try:
        row = json.loads((bench.folder / "cycle.json").read_bytes())
        if row["settings"] != _settings(bench) or row["cycle"] != cycle:
            return None
        return CycleTime(float(row["seconds"]), str(row["device"]), str(row["date"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _settings(bench: Bench) -> str:
    """A digest of what the time of a cycle depends on."""
    sections = {
        role: {k: v for k, v in section.model_dump(mode="json").items() if k not in _OF_NO_MATTER}
        for role, section in bench.instruments.items()
    }
    values = {"timing": bench.timing.model_dump(mode="json"), **sections}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
