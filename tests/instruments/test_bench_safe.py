"""``spinsweep bench safe``: the safe state and nothing else, with a dead owner, a living one, and none."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from emulated import Emulated

from conftest import described
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.watchdog import dirty
from spinsweep.cli import main

OWNER = """
import json, sys, time
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.bench_file import parse
bench = parse(json.loads(sys.argv[1]))
with acquire_bench(bench) as session:
    session.route(bench.device[0])
    session.instruments.source.read_on(5e-5)
    print("on", flush=True)
    if sys.argv[2] == "deaf":
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf", flush=True)
    time.sleep(120)
"""


def file_of(bench: Bench, folder: Path) -> str:
    """The bench as a file."""
    path = folder / "bench.toml"
    lines = []
    values = json.loads(bench.model_dump_json(exclude_none=True))
    tables = {k: v for k, v in values.items() if isinstance(v, dict)}
    lines += [f"{k} = {json.dumps(v)}" for k, v in values.items() if k not in tables and k != "device"]
    for name, table in tables.items():
        if name != "auxiliary":
            lines += [f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in table.items())]
    for device in values["device"]:
        lines += [
            "[[device]]",
            f"name = {json.dumps(device['name'])}",
            f"channels = {json.dumps(device['channels'])}",
        ]
        lines += [f"labels = {{device = {device['labels']['device']}}}"]
    path.write_text("\n".join(lines))
    return str(path)


@contextmanager
def owned(bench: Bench, how: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process that owns the bench, with a read current flowing."""
    command = [sys.executable, "-c", OWNER, bench.model_dump_json(), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "on\n"
            if how:
                process.stdout.readline()
            yield process
        finally:
            process.kill()


def output(emulated: Emulated) -> bool:
    return bool(emulated.control.state()["source"]["output"])


def test_a_bench_that_nobody_owns_is_made_safe_and_nothing_else_is_done(
    bench: Bench, emulated: Emulated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fired = emulated.control.exposure()["overall"]["pulses"]
    assert main(["bench", "safe", file_of(bench, tmp_path)]) == 0
    assert "the bench is safe: 0 A, output off, relays open" in capfd.readouterr().out
    assert emulated.control.exposure()["overall"]["pulses"] == fired
    assert not output(emulated)
    assert not dirty(bench)


def test_a_bench_whose_owner_watchdog_and_standby_died_together_is_made_safe(
    bench: Bench, emulated: Emulated, tmp_path: Path
) -> None:
    with owned(bench) as process:
        standby, watchdog = reversed(psutil.Process(process.pid).children(recursive=True))
        for each in (standby, watchdog, process):
            each.kill()
        process.wait(10)
        assert output(emulated)
        assert dirty(bench)
        assert main(["bench", "safe", file_of(bench, tmp_path)]) == 0
    assert not output(emulated)
    assert not dirty(bench)


def test_a_bench_that_a_lane_owns_is_left_to_it_unless_a_person_says_otherwise(
    bench: Bench, emulated: Emulated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with owned(bench) as process:
        file = file_of(bench, tmp_path)
        assert main(["bench", "safe", file]) == 2
        said = capfd.readouterr().err.strip()
        assert len(said.splitlines()) == 1
        assert f"process {process.pid}" in said
        assert f"`spinsweep bench safe {file} --stop-owner` ends it from here" in said
        assert process.poll() is None
        assert main(["bench", "safe", file, "--stop-owner"]) == 0
        assert process.wait(10) != 0
        assert not output(emulated)


@pytest.mark.slow
def test_an_owner_that_does_not_hear_is_killed_and_its_bench_made_safe(
    bench: Bench, emulated: Emulated, tmp_path: Path
) -> None:
    with owned(bench, "deaf") as process:
        assert main(["bench", "safe", file_of(bench, tmp_path), "--stop-owner"]) == 0
        assert process.wait(10) == -signal.SIGKILL
        assert not output(emulated)


def test_an_instrument_that_does_not_answer_is_told_with_what_to_do_by_hand(
    emulated: Emulated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bench = described(tmp_path, emulated)
    emulated.control.set("refuse", "source")
    try:
        assert main(["bench", "safe", file_of(bench, tmp_path)]) == 2
    finally:
        emulated.control.clear()
    said = capfd.readouterr().err
    assert "is not known to be safe: " in said
    assert "Switch the source off by hand." in said
