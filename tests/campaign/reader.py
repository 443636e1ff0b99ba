"""Somebody who looks at the cube all the time, in a process of its own."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from tests.campaign.cells import look

PAUSE = 0.1  # seconds between looks


class Reader:
    """The campaign's side."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.campaign.reader"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.totals: dict[str, Any] = {}

    def watch(self, store: Path | str) -> None:
        """Look at another cube from now on, or at none; the one before is let go of when this returns."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{store}\n")
        self.process.stdin.flush()
        self.totals = json.loads(self.process.stdout.readline())

    def end(self) -> dict[str, Any]:
        """Looks, cells seen done, and what went wrong."""
        self.watch("")
        self.process.kill()
        self.process.communicate()
        return self.totals


def main() -> None:
    """The reader's process: a line names the cube, the answer is what was seen so far."""
    store, looks, cells = "", 0, 0
    problems: list[str] = []
    while True:
        if select.select([sys.stdin], [], [], PAUSE)[0]:
            store = sys.stdin.readline().strip()
            print(json.dumps({"looks": looks, "cells": cells, "problems": problems}), flush=True)
        root = Path(store) / "zarr.json"
        if not store or not root.exists():
            continue
        try:
            cells += look(Path(store))
            looks += 1
        except FileNotFoundError as error:  # a run whose cluster did not start takes its new cube away
            if not _taken_away(Path(store)):
                problems.append(f"{time.strftime('%H:%M:%S')} {store}: {error}")
        except Exception:
            problems.append(f"{time.strftime('%H:%M:%S')} {store}: {traceback.format_exc()[-1500:]}")
            time.sleep(1)


def _taken_away(store: Path) -> bool:
    """Whether a cube is gone, or has been made anew since, which then can be read."""
    if not store.exists():
        return True
    time.sleep(1)
    try:
        look(store)
    except FileNotFoundError:
        return not store.exists()
    return True


if __name__ == "__main__":
    main()
