"""The totals of a campaign: as JSON, as a table, and as lines in ``tests/bench``."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "bench"


def table(totals: dict[str, Any]) -> str:
    """What was done and found, for people."""
    lines = [f"{number:5d}  {kind}" for kind, number in sorted(totals["kinds"].items())]
    lines.append(
        f"{totals['faults']:5d}  faults in {totals['runs']} runs, {totals['seconds']:.0f} s, seed {totals['seed']}"
    )
    lines.append(f"{totals['looks']:5d}  looks by a reader, which saw {totals['cells_seen']} cells done")
    lines += [f"       skipped: {name}: {why}" for name, why in totals["skipped"].items()]
    lines += [f"WRONG  {problem}" for problem in totals["problems"]] or ["    0  wrong, lost or left behind"]
    return "\n".join(lines)


def keep(name: str, totals: dict[str, Any]) -> Path:
    """Write the totals of a whole campaign, or of a soak, beside the other measurements."""
    commit = subprocess.run(
        ["git", "-C", Path(__file__).parent, "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    where = {"commit": commit.stdout.strip(), "python": platform.python_version(), "machine": platform.machine()}
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(totals | where, indent=1, sort_keys=True) + "\n")
    return path
