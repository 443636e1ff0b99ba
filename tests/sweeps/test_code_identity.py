"""The code of a sweep that comes with spinsweep is the same in every process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json
import cloudpickle
from spinsweep.discovery import find
from spinsweep.identity import identify
from spinsweep.plugins import installed

parts = {}
for name in installed():
    sweep = find(name)
    cloudpickle.dumps(sweep.function)  # as to be sent to workers, for which objects may draw a name
    parts[name] = identify(sweep.function, reached=sweep.reached_code).parts
print(json.dumps(parts))
"""


def identities(folder: Path, seed: str) -> dict[str, dict[str, str]]:
    env = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=folder, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    parts: dict[str, dict[str, str]] = json.loads(done.stdout)
    return parts


def test_the_code_of_every_installed_sweep_is_the_same_in_another_process(tmp_path: Path) -> None:
    one, other = (identities(tmp_path, seed) for seed in ("1", "2"))
    assert len(one) > 10
    changed = {name: [p for p in parts if parts[p] != other[name].get(p)] for name, parts in one.items()}
    assert {name: parts for name, parts in changed.items() if parts} == {}
