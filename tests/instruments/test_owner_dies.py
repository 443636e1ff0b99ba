"""A bench of other instruments and on other links ends safe when its owner is killed while a current flows."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import test_addresses
import test_keithley2182a_delta
import test_keithley2400
from served import bench_of, serving

BENCHES = {
    "a source that is its own meter": (test_keithley2400.SOURCE + test_keithley2400.METER, 2e-3),
    "a source in delta mode": (test_keithley2182a_delta.SOURCE + test_keithley2182a_delta.METER, 1e-4),
    "instruments on the bus of an adapter": (test_addresses.BUS, 1e-4),
}
OWNER = """
import json, sys, time
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.bench_file import parse

bench = parse(json.loads(sys.stdin.readline()))
with acquire_bench(bench) as session:
    session.route(bench.device[0])
    session.instruments.source.read_on(5e-5)
    print("on", flush=True)
    time.sleep(600)
"""
PATIENCE_S = 60.0  # on a busy machine


@pytest.mark.faults
@pytest.mark.parametrize("kind", BENCHES)
def test_the_output_is_off_after_its_owner_was_killed(tmp_path: Path, kind: str) -> None:
    instruments, width = BENCHES[kind]
    bench = bench_of(instruments, tmp_path, speed=100.0, width=width)
    with serving(bench) as emulator:
        command = [sys.executable, "-P", "-c", OWNER]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
            assert owner.stdin is not None
            assert owner.stdout is not None
            owner.stdin.write(json.dumps(bench.model_dump(mode="json")) + "\n")
            owner.stdin.flush()
            assert owner.stdout.readline() == "on\n"
            assert emulator.state()["source"]["output"] is True
            owner.kill()
        until = time.monotonic() + PATIENCE_S
        while emulator.state()["source"]["output"] or (bench.folder / "dirty").exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        assert emulator.state()["source"]["current"] == 0.0
