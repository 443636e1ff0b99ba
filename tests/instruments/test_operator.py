"""What a person at a bench is told: before a run, at its end, in the log book and in the plan."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from spinsweep.bench import cycle_time, logbook
from spinsweep.bench.bench_file import load
from spinsweep.cli import main

REAL = """
name = "hall"
[source]
driver = "keithley-6221"
resource = "TCPIP::127.0.0.1::9::SOCKET"
serial = "4559777"
range = 2e-3
compliance = 10.0
[meter]
driver = "keithley-2000"
resource = "TCPIP1::127.0.0.1::9::SOCKET"
serial = "1234567"
[limits]
max_pulse = 1.2e-3
max_read = 60e-6
max_compliance = 10.0
[check]
pulse = 6.5e-4
read = 50e-6
[[device]]
name = "bar0"
labels = {width = 0.5, device = 0}
"""
"""A bench of instruments that are not there."""
RUN = ["run", "characterization", "--workers", "0", "--set", "currents=14", "--set", "cycles=100"]


def on_a_terminal(words: list[str], typed: str, folder: Path) -> tuple[int, str]:
    """Status and output of a command on a terminal on which somebody types."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-P", "-m", "spinsweep.cli", *words]
    environment = {**os.environ, "SPINSWEEP_STATE": str(folder / "state"), "SPINSWEEP_LOCKS": str(folder)}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment) as run:
        os.close(theirs)
        os.write(ours, f"{typed}\n".encode())
        seen = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the terminal's other end is closed
                break
            if not part:
                break
            seen += part
        status = run.wait(60)
    os.close(ours)
    return status, seen.decode().replace("\r\n", "\n")


def test_a_run_on_real_instruments_tells_what_it_does_and_begins_after_yes_alone(tmp_path: Path) -> None:
    (tmp_path / "bench.toml").write_text(REAL)
    words = [*RUN, "--on", "bench.toml", "--store", "cube.zarr"]
    status, seen = on_a_terminal(words, "no", tmp_path)
    assert status == 2
    assert "devices  1: bar0" in seen
    assert "A, on bar0 (its limits.max_pulse is 0.0012 A)" in seen
    assert "pulses   2810, in 1405 cycles" in seen
    assert "time     about 3 h 30 min, and the time of the instruments" in seen
    assert "Type yes to begin (--yes does not ask): " in seen
    assert seen.rstrip().endswith("spinsweep: bench hall: not begun, nothing was sent")
    assert not (tmp_path / "cube.zarr").exists()
    assert not (tmp_path / "state").exists()
    status, seen = on_a_terminal(words, "yes", tmp_path)
    assert (status, "6221 at TCPIP::127.0.0.1::9::SOCKET: " in seen) == (2, True)  # it began, and found nobody
    status, seen = on_a_terminal([*words, "--yes"], "", tmp_path)
    assert (status, "Type yes" in seen) == (2, False)
    assert "6221 at TCPIP::127.0.0.1::9::SOCKET: " in seen


def test_the_end_of_a_run_is_told_to_a_command_however_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPINSWEEP_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("SPINSWEEP_LOCKS", str(tmp_path))
    few = ["--workers", "0", "--set", "width=0.5", "--set", "device=0", "--set", "cycles=5", "--set", "resamples=10"]
    assert main(["run", "characterization", *few, "--store", "a.zarr", "--notify", "tee said"]) == 0
    assert Path("said").read_text() == "spinsweep: characterization in a.zarr: 1 of 1 cells done\n"
    Path("bench.toml").write_text(REAL)
    assert main([*RUN, "--on", "bench.toml", "--store", "b.zarr", "--notify", "tee said"]) == 2
    assert "characterization in b.zarr: 6221 at TCPIP::127.0.0.1::9::SOCKET: " in Path("said").read_text()
    capfd.readouterr()
    assert main(["run", "characterization", *few, "--store", "a.zarr", "--notify", "no-such-command -x"]) == 2
    assert "give a command that the shell finds" in capfd.readouterr().err
    assert main(["run", "characterization", *few, "--store", "a.zarr", "--notify", "false"]) == 0
    assert "--notify: false ended with status 1" in capfd.readouterr().err


@pytest.fixture
def emulated_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bench file of emulated bars that nobody serves."""
    from spinneurons.device.commands import bench_text

    monkeypatch.setenv("SPINSWEEP_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("SPINSWEEP_LOCKS", str(tmp_path))
    path = tmp_path / "bench.toml"
    path.write_text(bench_text(1e5))
    return str(path)


def test_log_book_and_plan_know_what_a_check_has_measured(
    emulated_file: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "log", emulated_file]) == 0
    assert capfd.readouterr().out == "nothing yet\n"
    plan = ["bench", "plan", "characterization", emulated_file, "--set", "device=0"]
    assert main(plan) == 0
    assert "The instruments' own time is not in these: --measure" in capfd.readouterr().out
    command = f"{sys.executable} -m spinsweep.cli {' '.join(plan)} --measure"
    assert main(["emulate", emulated_file, "--run", command]) == 0
    out = capfd.readouterr().out
    assert "10 pulses on bar0" in out
    bench = load(Path(emulated_file))
    known = cycle_time.measured(bench, "ResetReadWriteRead")
    assert known is not None
    assert known.device == "bar0"
    assert f"{known.seconds:.3g} s a cycle on bar0, {known.date}" in out

    opened, closed = logbook.read(bench)
    assert (opened["event"], closed["event"], closed["safe"], closed["faults"]) == ("opened", "closed", True, [])
    assert closed["pulses"] == {"bar0": 10}
    assert list(closed["work"].values()) == [5]
    assert main(["bench", "log", emulated_file]) == 0
    shown = " ".join(capfd.readouterr().out.split())
    assert f"{closed['user']} on {closed['host']} lane 1: 5 cycles, pulses 10 on bar0" in shown
    assert main(["bench", "log", emulated_file, "--json"]) == 0
    assert [json.loads(line) for line in capfd.readouterr().out.splitlines()] == [opened, closed]


def test_a_cycle_that_was_measured_with_other_settings_is_not_planned_with(emulated_file: str) -> None:
    bench = load(Path(emulated_file))
    bench.folder.mkdir(parents=True)
    cycle_time.note(bench, "some", 9.5, "bar0")
    assert cycle_time.measured(bench, "some") == cycle_time.CycleTime(
        9.5, "bar0", cycle_time.measured(bench, "some").date
    )
    assert cycle_time.measured(bench, "other") is None
    text = Path(emulated_file).read_text()
    Path(emulated_file).write_text(text.replace("nplc", "timeout = 7.0\nnplc", 1))
    assert cycle_time.measured(load(Path(emulated_file)), "some") is not None
    Path(emulated_file).write_text(text.replace("pulse_width = 100e-6", "pulse_width = 120e-6", 1))
    assert cycle_time.measured(load(Path(emulated_file)), "some") is None


def test_faults_stand_in_the_log_book_with_their_number_and_a_torn_line_hides_no_other(emulated_file: str) -> None:
    bench = load(Path(emulated_file))
    faults = ["bar0: no valid reading"] * 2 + ["link lost"]
    logbook.closed(bench, 3, ({"bar0": 5}, {"bar0": 9}), {"key": 2}, faults, safe=False)
    with (bench.folder / "log.jsonl").open("a") as file:
        file.write('{"event": "clo\n')
    logbook.note(bench, logbook.MADE_SAFE)
    (bench.folder / "guard.jsonl").write_text('{"lane": 3, "reason": "the lane died", "time": 1e9, "safe": true}\n')
    first, second, third = map(logbook.words, logbook.read(bench))
    assert first[1:] == ("watchdog", "lane 3: made the bench safe", "the lane died")
    assert second[2:] == (
        "lane 3: 2 cycles, pulses 4 on bar0; not left safe",
        "bar0: no valid reading (2 times); link lost",
    )
    assert third[2] == "made safe by hand"
