"""``python -m tests.campaign``; environment: SEED, COUNT of faults, ONLY (scenarios, apart by commas)."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from tests.campaign import report
from tests.campaign.reader import Reader
from tests.campaign.scenarios import Campaign, chosen
from tests.campaign.scenarios.disk import Skipped
from tests.campaign.traces import MARK, left, shared

COUNT = 312
LEAST_KEPT = 300  # faults of a campaign whose totals are kept


def main() -> int:
    """0 when every promise was kept."""
    if MARK not in os.environ:  # forks carry the environment that this process began with
        again = [sys.executable, "-m", "tests.campaign"]
        os.execvpe(*alone(again), os.environ | {MARK: str(os.getpid())})
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a script, by commands too
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    scenarios = chosen(os.environ.get("ONLY", ""), int(os.environ.get("COUNT") or COUNT))
    print(f"SEED={seed}: {sum(n for _, n in scenarios.values())} faults in {', '.join(scenarios)}", flush=True)
    totals = campaign(scenarios, seed)
    print(report.table(totals))
    if totals["faults"] >= LEAST_KEPT:
        print(f"kept in {report.keep('faults', totals)}")
    return 1 if totals["problems"] else 0


def alone(command: list[str]) -> tuple[str, list[str]]:
    """The command with shared memory of its own, where root can: others' would look like something left behind."""
    if os.geteuid() or shutil.which("unshare") is None or not Path("/dev/shm").is_dir():
        return command[0], command
    script = 'mount -t tmpfs tmpfs /dev/shm && exec "$@"'
    return "unshare", ["unshare", "--mount", "sh", "-c", script, "sh", *command]


def campaign(scenarios: dict[str, Any], seed: int) -> dict[str, Any]:
    """Play scenarios one after the other; their totals."""
    began, kinds, runs = time.monotonic(), Counter[str](), 0
    problems: list[str] = []
    skipped: dict[str, str] = {}
    reader = Reader()
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    for name, (play, faults) in scenarios.items():
        place = folder / name
        place.mkdir()
        before = shared()
        c = Campaign(place, random.Random(f"{seed} {name}"), reader)
        try:
            play(c, faults)
        except Skipped as why:
            skipped[name] = str(why)
        except Exception:
            problems.append(f"{name}: {traceback.format_exc()}")
        reader.watch("")
        problems += [f"{name}: left: {what}" for what in left(place, {reader.process.pid}, before)]
        kinds += c.faults
        runs += c.runs
    seen = reader.end()
    problems += [f"reader: {problem}" for problem in seen["problems"]]
    if problems:
        print(f"what the commands said is in {folder}")
    else:
        shutil.rmtree(folder)
    return {
        "seed": seed,
        "faults": kinds.total(),
        "kinds": dict(kinds),
        "runs": runs,
        "looks": seen["looks"],
        "cells_seen": seen["cells"],
        "problems": problems,
        "skipped": skipped,
        "seconds": round(time.monotonic() - began),
    }


if __name__ == "__main__":
    sys.exit(main())
