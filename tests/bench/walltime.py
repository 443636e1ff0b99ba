"""What a short walltime costs on a real Slurm: cells a second of a worker while it is there, with and without expiry.

    python tests/bench/walltime.py --workers 8 --minutes 6

Cells sleep, so that the machine's cores do not matter. Each worker's time counts from its first block to its last.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))
import slurmd

SWEEP = """
import os
import time
from pathlib import Path
import spinsweep

LOG = Path("LOG_FOLDER")

@spinsweep.cell
def own(n):
    began = time.time()
    time.sleep(1.0)
    with (LOG / f"{os.getpid()}").open("a") as log:
        log.write(f"{began} {time.time()}\\n")
    return {"y": 2.0 * n}

OWN = spinsweep.Sweep.from_function(own, n=range(CELLS))
"""


def main() -> None:
    """Run both, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=6.0)
    options = parser.parse_args()
    results = {}
    with (
        tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as name,
        slurmd.running(Path(name), options.workers + 1) as environment,
    ):
        for walltime in ("01:00:00", "00:03:00"):
            results[walltime] = measured(walltime, options.workers, options.minutes, environment)
            print(walltime, json.dumps(results[walltime]), flush=True)
    ratio = results["00:03:00"]["rate"] / results["01:00:00"]["rate"]
    print(f"cells a second of a worker, 3 min over 1 h: {ratio:.3f}")


def measured(walltime: str, workers: int, minutes: float, environment: dict[str, str]) -> dict[str, object]:
    """One run: the median rate of its workers, and what it said at its end."""
    with tempfile.TemporaryDirectory(prefix="walltime-") as name:
        folder = Path(name)
        (folder / "log").mkdir()
        cells = int(workers * minutes * 60)
        text = SWEEP.replace("LOG_FOLDER", str(folder / "log")).replace("CELLS", str(cells))
        (folder / "own.py").write_text(text)
        file = f'kind = "slurm"\nworkers = {workers}\nmemory = "300MiB"\nwalltime = "{walltime}"\n'
        (folder / "slurm.toml").write_text(file)
        command = ["run", "own.py", "--cluster", "slurm.toml", "--block", "4", "--store", "c.zarr", "--no-dashboard"]
        done = subprocess.run(
            [sys.executable, "-m", "spinsweep.cli", *command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        spans = defaultdict(list)
        for log in (folder / "log").iterdir():
            spans[log.name] = [tuple(map(float, line.split())) for line in log.read_text().splitlines()]
        rates = [len(s) / (max(end for _, end in s) - min(begin for begin, _ in s)) for s in spans.values()]
        ended = sum(map(len, spans.values()))
        return {
            "status": done.returncode,
            "jobs": len(spans),
            "rate": statistics.median(rates),
            "slowest": min(rates),
            "cells_computed": ended,
            "cells": cells,
            "said": done.stdout.splitlines()[1:2],
            "lost": "lost" in done.stderr or "died" in done.stderr,
        }


if __name__ == "__main__":
    main()
