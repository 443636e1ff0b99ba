"""The same first sweep in spinsweep, xyzpy, pipefunc and plain Dask: its lines, and what five mistakes come to.

    python -m tests.peers.compare --peers PYTHON

``PYTHON`` is of an environment of its own: ``pip install xyzpy "pipefunc[xarray]" distributed xarray zarr matplotlib
h5netcdf``. The table in ``sweeps/NOTEBOOK.md`` is made of what it prints.

Each program is run in an empty folder with two processes, as it is and with one change, then run again without it
("cells again"). A line in the function leaves a file a call, so that calls are counted and not believed.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HEAD = 'if __name__ == "__main__":\n'
SPINSWEEP = f"""
import spinsweep
def walk(noise, drift, seed, steps, rng):
    path = rng.normal(drift, noise, steps).cumsum()
    return abs(path).max()
{HEAD}
    sweep = spinsweep.Sweep.from_function(walk, noise=[0.1, 0.2, 0.5], drift=[0, 0.01], seed=range(20), steps=1000)
    ds = spinsweep.run(sweep, "walk.zarr", workers=2).dataset
    ds.walk.mean("seed").plot(hue="drift")
"""
XYZPY = f"""
import numpy as np
import xyzpy
def walk(noise, drift, seed, steps=1000):
    rng = np.random.default_rng([seed, round(noise * 1000), round(drift * 1000)])
    path = rng.normal(drift, noise, steps).cumsum()
    return abs(path).max()
{HEAD}
    harvester = xyzpy.Harvester(xyzpy.Runner(walk, var_names="walk"), "walk.h5")
    combos = {{"noise": [0.1, 0.2, 0.5], "drift": [0, 0.01], "seed": range(20)}}
    harvester.harvest_combos(combos, parallel=True, num_workers=2)
    harvester.full_ds.walk.mean("seed").plot(hue="drift")
"""
PIPEFUNC = f"""
from concurrent.futures import ProcessPoolExecutor
import numpy as np
from pipefunc import Pipeline, pipefunc
from pipefunc.map import load_xarray_dataset
@pipefunc(output_name="far", mapspec="noise[i], drift[j], seed[k] -> far[i, j, k]")
def walk(noise, drift, seed, steps=1000):
    rng = np.random.default_rng([seed, round(noise * 1000), round(drift * 1000)])
    path = rng.normal(drift, noise, steps).cumsum()
    return abs(path).max()
{HEAD}
    inputs = {{"noise": [0.1, 0.2, 0.5], "drift": [0, 0.01], "seed": list(range(20))}}
    Pipeline([walk]).map(inputs, run_folder="walk", executor=ProcessPoolExecutor(2), resume=True)
    ds = load_xarray_dataset(run_folder="walk")
    ds.far.astype(float).mean("k").plot(hue="j")
"""
DASK = f"""
import itertools
import numpy as np
import xarray as xr
from dask.distributed import Client
def walk(noise, drift, seed, steps=1000):
    rng = np.random.default_rng([seed, round(noise * 1000), round(drift * 1000)])
    path = rng.normal(drift, noise, steps).cumsum()
    return abs(path).max()
{HEAD}
    axes = {{"noise": [0.1, 0.2, 0.5], "drift": [0, 0.01], "seed": range(20)}}
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        values = client.gather(client.map(walk, *zip(*itertools.product(*axes.values()))))
    ds = xr.Dataset({{"walk": (tuple(axes), np.reshape(values, [len(v) for v in axes.values()]))}}, axes)
    ds.to_zarr("walk.zarr")
    ds.walk.mean("seed").plot(hue="drift")
"""
PROGRAMS = {"spinsweep": SPINSWEEP, "xyzpy": XYZPY, "pipefunc": PIPEFUNC, "plain Dask": DASK}
CELLS = 120
COUNTED = (
    "    import os, time, uuid; open(os.environ['CALLS'] + '/' + uuid.uuid4().hex, 'w').close(); time.sleep(0.02)\n"
)


@dataclass(frozen=True)
class Mistake:
    """A change of the program, and how it is said in the table."""

    title: str
    change: Callable[[str], str]
    kill_after: int = 0
    """Calls after which the process and all that it started are killed; 0: never."""


def _misnamed(text: str) -> str:
    function, main = text.split(HEAD)
    return re.sub(r"\bnoise\b(?!\[)", "nois", function) + HEAD + main


def _once_bad(line: str) -> Callable[[str], str]:
    return lambda text: text.replace(
        "    return abs", f"    if (noise, seed) == (0.5, 7):\n        {line}\n    return abs"
    )


MISTAKES = (
    Mistake("none", lambda text: text),
    Mistake("the function says `nois` for `noise`", _misnamed),
    Mistake("two cells raise", _once_bad("raise ValueError('no luck')")),
    Mistake("two cells return three numbers", _once_bad("return path[:3]")),
    Mistake(
        "the function uses a lock",
        lambda text: f"import threading\nLOCK = threading.Lock()\n{text}".replace(
            "    path =", "    LOCK.locked()\n    path ="
        ),
    ),
    Mistake("kill -9 half-way", lambda text: text, kill_after=CELLS // 2),
)


def lines(text: str) -> int:
    """Lines of a program that hold anything."""
    return len([line for line in text.splitlines() if line.strip()])


def outcome(python: str, program: str, mistake: Mistake) -> str:
    """What happens, and how many cells are computed again once the mistake is mended."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = _run(python, folder, mistake.change(program), mistake.kill_after)
        if mistake.title == "none":
            return first
        again = program.replace(
            '"walk.zarr", workers=2', '"walk.zarr", workers=2, retry_failed=True'
        )  # as the message of spinsweep says
        return f"{first}; then: {_run(python, folder, again, 0)}"


def _run(python: str, folder: Path, program: str, kill_after: int) -> str:
    calls = folder / f"calls-{len(list(folder.glob('calls-*')))}"
    calls.mkdir()
    body = re.sub(r"(def walk\(.*\n)", rf"\1{COUNTED}", program)
    (folder / "first.py").write_text(body)
    environment = {**os.environ, "CALLS": str(calls), "MPLBACKEND": "Agg", "PYTHONWARNINGS": "ignore"}
    with (folder / "said").open("w") as said:
        child = subprocess.Popen(
            [python, "first.py"], cwd=folder, env=environment, stdout=said, stderr=said, start_new_session=True
        )
        if kill_after:
            while child.poll() is None and len(list(calls.iterdir())) < kill_after:
                time.sleep(0.005)
        try:
            if not kill_after:
                child.wait(300)
        except subprocess.TimeoutExpired:
            pass
        finally:
            ended = child.poll() is not None
            if not ended:
                os.killpg(child.pid, signal.SIGKILL)  # its own session
                child.wait()
    computed = len(list(calls.iterdir()))
    if kill_after:
        return f"killed after {computed} calls"
    if not ended:
        return f"hangs; {computed} calls"
    text = [line for line in (folder / "said").read_text().splitlines() if line.strip()]
    if child.returncode == 0:
        return f"ends well, {computed} calls"
    errors = [line for line in text if re.match(r"[\w.]+(Error|Failed|Exception)\b", line)]
    whole = [line for line in errors if "SweepFailed" in line] or errors[-1:] or text[-1:]
    return f"exit status {child.returncode}, {computed} calls: `{''.join(whole[:1])[:200]}`"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", required=True, help="Python of the environment of the peers")
    parser.add_argument("--only", default="", help="one of the tools")
    options = parser.parse_args()
    for tool, program in PROGRAMS.items():
        if options.only not in ("", tool):
            continue
        print(f"{tool}: {lines(program)} lines", flush=True)
        python = sys.executable if tool == "spinsweep" else options.peers
        for mistake in MISTAKES:
            print(f"  {mistake.title}: {outcome(python, program, mistake)}", flush=True)


if __name__ == "__main__":
    main()
