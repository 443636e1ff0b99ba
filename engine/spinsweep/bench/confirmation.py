"""What a person is told, and asked, before a run fires pulses on real devices."""

from __future__ import annotations

import sys

from spinsweep.bench import cycle_time, cycles
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.errors import BenchError
from spinsweep.printable import say
from spinsweep.progress import duration
from spinsweep.spec import Sweep

YES = "yes"


def summary(bench: Bench, sweep: Sweep) -> list[str]:
    """Devices, largest current, pulses and time of a sweep on a bench, a line each; all its cells, done or not."""
    numbers = dict(sweep.bench_cycles(sweep)) if sweep.bench_cycles else {}
    names = [*numbers] or [d.name for d in bench.device]
    lines = [f"bench {bench.name}, {sweep.title}", f"devices  {len(names)}: {', '.join(names)}"]
    most = {name: bench.limits_of(bench.named(name)).max_pulse for name in names}
    planned = dict(sweep.bench_currents(sweep)) if sweep.bench_currents else {}
    current, device = max((planned.get(name, most[name]), name) for name in names)
    of = "" if planned else "at most "
    lines.append(f"current  {of}{current:.4g} A, on {device} (its limits.max_pulse is {most[device]:.4g} A)")
    if numbers:
        each, total = cycles.cycle(None), sum(numbers.values())
        known = cycle_time.measured(bench, type(each).__name__)
        seconds = known.seconds if known else each.time(bench.timing) / bench.timing.speed
        how = "" if known else "and the time of the instruments, "
        lines.append(f"pulses   {each.pulses * total}, in {total} cycles")
        lines.append(f"time     about {duration(seconds * total)}, {how}one device after the other")
    return lines


def confirm(bench: Bench, sweep: Sweep) -> None:
    """Show the summary on a terminal and ask for ``yes``; with emulated instruments, and without a terminal, neither.

    Raises
    ------
    BenchError
        The answer was another; nothing was sent.
    """
    if bench.emulated or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    for line in summary(bench, sweep):
        say(line, error=True)
    sys.stderr.write(f"Type {YES} to begin (--yes does not ask): ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != YES:
        raise BenchError(f"bench {bench.name}: not begun, nothing was sent")
