"""The log book of a bench: who owned it when, what was measured, pulses of each device, faults.

A line of JSON for each event, in ``log.jsonl`` in the bench's folder; nothing depends on it.  A lane that was killed
has a line of its beginning alone; what its watchdog did stands in ``guard.jsonl``, which :func:`read` shows among the
rest.
"""

from __future__ import annotations

import datetime
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from spinsweep.bench.bench_file import Bench
from spinsweep.bench.watchdog import log_path
from spinsweep.system import current_user, host_name

OPENED, CLOSED, MADE_SAFE, WATCHDOG = "opened", "closed", "made safe by hand", "watchdog"


def note(bench: Bench, event: str, **values: Any) -> None:
    """Add a line; a log book that cannot be written keeps nobody from measuring."""
    row = {
        "event": event,
        "time": _now(),
        "user": current_user(),
        "host": host_name(),
        "process": os.getpid(),
        **values,
    }
    with suppress(OSError):
        bench.folder.mkdir(parents=True, exist_ok=True)
        with (bench.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")


def closed(
    bench: Bench,
    lane: int,
    pulses: tuple[Mapping[str, int], Mapping[str, int]],
    work: Mapping[str, int],
    faults: Sequence[str],
    *,
    safe: bool,
) -> None:
    """The line of a lane's end.

    Parameters
    ----------
    lane : its epoch
    pulses : of each device in its life, before and after
    work : cycles by experiment
    faults : what went wrong, the same once
    safe : whether the bench was left safe
    """
    before, after = pulses
    fired = {name: n - before.get(name, 0) for name, n in after.items() if n != before.get(name, 0)}
    note(bench, CLOSED, lane=lane, pulses=fired, work=dict(work), faults=_counted(faults), safe=safe)


def read(bench: Bench) -> list[dict[str, Any]]:
    """All lines, also those of watchdogs, in the order of their times; a line that is damaged is left out."""
    rows = _lines(bench.folder / "log.jsonl")
    for row in _lines(log_path(bench)):
        when = datetime.datetime.fromtimestamp(float(row.get("time", 0)), datetime.UTC)
        rows.append({**row, "event": WATCHDOG, "time": when.isoformat(timespec="milliseconds")})
    return sorted(rows, key=lambda row: str(row.get("time", "")))


def words(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """(time, who, what, faults) of a line, for a person."""
    try:
        when = datetime.datetime.fromisoformat(row["time"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (KeyError, ValueError, TypeError):
        when = "?"
    event = str(row.get("event", "?"))
    who = f"{row.get('user', '?')} on {row.get('host', '?')}" if event != WATCHDOG else "watchdog"
    faults = "; ".join(map(str, row.get("faults", ())))
    lane = f"lane {row.get('lane', '?')}"
    if event == WATCHDOG:
        safe = "made the bench safe" if row.get("safe") else f"could not make the bench safe: {row.get('problem')}"
        return when, who, f"{lane}: {safe}", str(row.get("reason", ""))
    if event == CLOSED:
        fired = ", ".join(f"{n} on {name}" for name, n in row.get("pulses", {}).items())
        cycles = sum(row.get("work", {}).values())
        what = f"{lane}: {cycles} cycles, pulses {fired}" if fired else f"{lane}: no pulse"
        return when, who, what + ("" if row.get("safe") else "; not left safe"), faults
    return when, who, f"{lane}: {event}" if "lane" in row else event, faults


def _counted(faults: Sequence[str]) -> list[str]:
    return [text if n == 1 else f"{text} ({n} times)" for text, n in Counter(faults).items()]


def _lines(path: Path) -> list[dict[str, Any]]:
    rows = []
    with suppress(OSError), path.open(errors="replace") as file:
        for line in file:
            with suppress(ValueError):
                row = json.loads(line)
                if isinstance(row, dict):
                    rows.append(row)
    return rows


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
