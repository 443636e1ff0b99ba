"""Hall bars behind the terminals of an emulated bench, and the command that serves them."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from instrument_emulator.control import Control
from instrument_emulator.dut import DutModel
from spinneurons.device.commands import bench_text, dut
from spinneurons.device.dut import NOISE, NPLC, HallBars, ReplayedDevices
from spinneurons.neurons import card as cards
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.laws import LOGISTIC
from spinsweep.bench.bench_file import load
from spinsweep.bench.errors import BenchError
from spinsweep.cli import main

CARD = cards.default()
WIDTH = 0.5
DEVICES = {"bar0": (WIDTH, 0), "bar1": (WIDTH, 1)}
READ = cards.value(CARD, "read.current")
RESET = HallBar(CARD).reset_current(WIDTH)
I_BIAS, I0 = HallBar(CARD).individual(WIDTH, 0)
PULSE = 1e-4  # s


def cycle(bars: DutModel, device: str, current: float) -> tuple[float, float]:
    """Reset, read, write, read: the two resistances, ohm."""
    bars.pulse(device, RESET, PULSE)
    reset = bars.voltage(device, READ, 10.0) / READ
    bars.pulse(device, current, PULSE)
    return reset, bars.voltage(device, READ, 10.0) / READ


def test_readings_are_those_of_the_card() -> None:
    readings = np.array([cycle(HallBars(CARD, DEVICES, seed), "bar0", 10 * I_BIAS) for seed in range(200)])
    noise = cards.value(CARD, "read.noise") / READ
    for column, state in zip(readings.T, (-1, 1), strict=True):
        assert column.mean() == pytest.approx(float(HallBar(CARD).resistance(state)), abs=5 * noise / 200**0.5)
        assert column.std() == pytest.approx(noise, rel=0.25)


@pytest.mark.parametrize("z", [-1.0, 0.0, 1.5])
def test_a_device_switches_as_often_as_its_curve_says(z: float) -> None:
    bars = HallBars(CARD, DEVICES)
    current = I_BIAS + z * I0
    p = float(HallBar(CARD).probability(current, I_BIAS, I0, LOGISTIC))
    switched = sum(cycle(bars, "bar0", current)[1] > 0.9 for _ in range(1500))
    assert abs(switched - 1500 * p) < 5 * (1500 * p * (1 - p)) ** 0.5


def test_a_written_device_stays_written_until_it_is_reset() -> None:
    bars = HallBars(CARD, DEVICES)
    bars.pulse("bar0", RESET, PULSE)
    assert bars.state("bar0") == -1
    bars.pulse("bar0", 10 * I_BIAS, PULSE)
    bars.pulse("bar0", I_BIAS - 30 * I0, PULSE)
    assert bars.state("bar0") == 1
    bars.pulse("bar0", RESET, PULSE)
    assert bars.state("bar0") == -1


def test_a_reset_pulse_that_is_too_weak_does_nothing() -> None:
    bars = HallBars(CARD, DEVICES)
    bars.pulse("bar0", -(I_BIAS - I0), PULSE)
    assert bars.state("bar0") == 1
    bars.pulse("bar0", -(I_BIAS + I0), PULSE)
    assert bars.state("bar0") == -1


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_sign_that_resets_can_be_chosen(sign: int) -> None:
    bars = HallBars(CARD, DEVICES, reset_sign=sign)
    bars.pulse("bar0", sign * 10 * I_BIAS, PULSE)
    assert bars.state("bar0") == -1
    bars.pulse("bar0", -sign * 10 * I_BIAS, PULSE)
    assert bars.state("bar0") == 1


def test_read_currents_of_either_sign_never_change_a_state_nor_use_a_random_number() -> None:
    plain, read = HallBars(CARD, DEVICES), HallBars(CARD, DEVICES)
    for _ in range(30):
        for sign in (1, -1):
            read.pulse("bar0", sign * READ, 0.5)
        assert cycle(plain, "bar0", I_BIAS) == cycle(read, "bar0", I_BIAS)


@given(cut=st.floats(0.01, 0.99), z=st.floats(-8, 8))
def test_a_pulse_cut_in_two_switches_as_often_as_the_whole(cut: float, z: float) -> None:
    bars = HallBars(CARD, DEVICES)
    current = I_BIAS + z * I0
    stays = [1 - bars.probability("bar0", current, share * PULSE) for share in (cut, 1 - cut, 1.0)]
    assert stays[0] * stays[1] == pytest.approx(stays[2], rel=1e-9, abs=1e-12)
    assert bars.probability("bar0", current, PULSE) == HallBar(CARD).probability(current, I_BIAS, I0, LOGISTIC)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), lost=st.integers(0, 19), resets=st.integers(1, 3))
def test_a_run_that_was_interrupted_goes_on_with_the_same_readings(seed: int, lost: int, resets: int) -> None:
    """The write pulse of one cycle was fired, its result lost; the device is reset and read again."""
    whole, broken = HallBars(CARD, DEVICES, seed), HallBars(CARD, DEVICES, seed)
    expected = [cycle(whole, "bar0", I_BIAS) for _ in range(20)]
    for number in range(20):
        found = cycle(broken, "bar0", I_BIAS)
        if number == lost:
            for _ in range(resets):
                broken.pulse("bar0", RESET, PULSE)
                broken.voltage("bar0", READ, 10.0)
        elif number == lost + 1:  # the reading after the reset is a later one since the last write pulse
            assert found[1] == expected[number][1]
        else:
            assert found == expected[number]
    assert expected != [cycle(HallBars(CARD, DEVICES, seed + 1), "bar0", I_BIAS) for _ in range(20)]


def test_devices_do_not_disturb_each_other() -> None:
    alone, shared_axes = HallBars(CARD, DEVICES), HallBars(CARD, DEVICES)
    for _ in range(20):
        cycle(shared_axes, "bar1", I_BIAS)
        assert cycle(alone, "bar0", I_BIAS) == cycle(shared_axes, "bar0", I_BIAS)


def test_shorter_readings_are_noisier() -> None:
    bars = HallBars(CARD, DEVICES)
    spread = [np.std([bars.voltage("bar0", 0.0, nplc) for _ in range(400)]) for nplc in NPLC]
    assert spread == pytest.approx(cards.value(CARD, "read.noise") * np.array(NOISE), rel=0.2)


def recording() -> xr.Dataset:
    """Two devices, two currents, three cycles; every reading is another number; one sample is lost."""
    numbers = np.arange(24, dtype=np.float32).reshape(2, 1, 2, 2, 3)
    numbers[1, 0, 1, 1, 2] = np.nan
    dims = ("width", "device", "current", "cycle")
    return xr.Dataset(
        {
            "r_reset": (dims, numbers[0]),
            "r_write": (dims, numbers[1]),
            "i_write": (dims[:3], np.array([[[1e-3, 2e-3], [1e-3, 3e-3]]])),
        },
        coords={"width": [WIDTH], "device": [0, 1]},
    )


def test_a_recording_is_played_back_cycle_by_cycle() -> None:
    bars = ReplayedDevices(recording(), DEVICES)
    found = [cycle(bars, "bar0", current) for current in (1e-3, 1.9e-3, 1e-3, 1e-3, 1e-3)]
    assert [write for _, write in found] == pytest.approx([12, 15, 13, 14, 12])
    assert [reset for reset, _ in found] == pytest.approx([0, 1, 2, 3, 4])
    assert bars.state("bar0") == 12.0


def test_a_lost_sample_is_left_out() -> None:
    bars = ReplayedDevices(recording(), DEVICES)
    assert [cycle(bars, "bar1", 3e-3)[1] for _ in range(3)] == pytest.approx([21, 22, 21])


def test_a_device_that_was_not_recorded_is_named() -> None:
    with pytest.raises(
        BenchError, match=r"device x: the recording has no width 0.7 um, device 0; it has 0.5/0, 0.5/1"
    ):
        ReplayedDevices(recording(), {"x": (0.7, 0)})
    with pytest.raises(BenchError, match=r"no cycle of width 0.5 um, device 1"):
        ReplayedDevices(recording().where(recording().device == 0), DEVICES)


def test_a_new_bench_file_is_whole_and_emulated(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "bench.toml").write_text(bench_text(1000.0))
    bench = load(tmp_path / "new" / "bench.toml")
    assert bench.emulated
    assert [d.labels for d in bench.device] == [{"width": WIDTH, "device": i} for i in range(4)]
    for device in bench.device:
        assert bench.limits_of(device).max_pulse > abs(RESET)
        assert bench.limits_of(device).max_read >= READ


@contextmanager
def emulate(*words: object, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command as a process, with its line that says it is ready."""
    command = [sys.executable, "-m", "spinsweep.cli", "emulate", *map(str, words)]
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = ""
        for line in process.stdout:
            ready += line
            if "Ctrl-C" in line:
                break
        yield process, ready
    finally:
        process.kill()
        process.communicate()


def ask(port: int, *messages: str) -> list[str]:
    """Replies of an instrument, over one plain connection."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection, connection.makefile("rw") as file:
        replies = []
        for message in messages:
            file.write(message + "\n")
            file.flush()
            replies.append(file.readline().rstrip("\n"))
        return replies


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_writes_a_bench_serves_it_and_ends_with_an_audit(tmp_path: Path, number: int) -> None:
    with emulate("bench.toml", "--seed", 3, cwd=tmp_path) as (process, ready):
        assert ready.startswith("wrote bench.toml\nemulated bench emulated at source 127.0.0.1:")
        source, meter, switch, control = (int(port) for port in re.findall(r"(?:127\.0\.0\.1:|port )(\d+)", ready))
        resource = load(tmp_path / "bench.toml").source.resource
        assert resource == f"TCPIP::127.0.0.1::{source}::SOCKET"
        assert ask(switch, "ROUT:CLOS (@1!1,1!11,1!21,1!31);*OPC?") == ["1"]
        ask(meter, "FORM:ELEM READ;:VOLT:RANG 0.1;NPLC 10;*OPC?")
        setup = "SOUR:WAVE:FUNC ARB0;FREQ 5000;OFFS 0;DUR:CYCL 1;*OPC?"
        reset = f"SOUR:WAVE:AMPL {-RESET};ARB:DATA -1,0;:SOUR:WAVE:ARM;INIT;*OPC?"
        assert ask(source, setup, reset, "STAT:QUE?") == ["1", "1", '0,"No error"']
        ask(source, "SOUR:CLE;:SOUR:CURR 5E-5;:OUTP 1;*OPC?")
        ohm = float(ask(meter, "READ?")[0]) / 5e-5
        assert ohm == pytest.approx(float(HallBar(CARD).resistance(-1)), abs=0.2)
        ask(source, "SOUR:CLE;*OPC?")
        with Control(control) as client:
            assert client.state()["devices"]["bar0"] == {"connected": True, "current": 0.0, "state": -1}
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert out == f"ended after 1 pulses on 1 devices, largest current {-RESET:.3g} A, 0 hot switchings\n"


def test_a_recording_can_stand_behind_the_terminals(tmp_path: Path) -> None:
    store = tmp_path / "lab.zarr"
    words = ["run", "characterization", "--store", store, "--workers", "0"]
    small = ["width=0.5", "device=0:4", "currents=4", "cycles=5", "resamples=10"]
    assert main([str(w) for w in [*words, *(x for s in small for x in ("--set", s))]]) == 0
    (tmp_path / "bench.toml").write_text(bench_text(1000.0))
    bars = dut(load(tmp_path / "bench.toml"), None, store, 0)
    cube = xr.open_zarr(store).sel(device=2)
    assert cycle(bars, "bar2", float(cube.i_write[0, 1])) == pytest.approx(
        (float(cube.r_reset[0, 0, 0]), float(cube.r_write[0, 1, 0]))
    )
    with pytest.raises(BenchError, match="give one of the two"):
        dut(load(tmp_path / "bench.toml"), tmp_path / "card.toml", store, 0)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (('name = "emulated"', 'name = "emulated"\nnonsense = 1'), "nonsense"),
        (("TCPIP::127.0.0.1::", "TCPIP::192.0.2.7::"), "loopback"),
        (("{width = 0.5, device = 3}", "{bar = 3}"), "device bar3: labels {'bar': 3}; write labels = {width = 0.5"),
    ],
)
def test_a_bench_that_cannot_be_emulated_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], wanted: str
) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(bench_text(1000.0))
    path.write_text(path.read_text().replace(*change, 1))
    assert main(["emulate", str(path)]) == 2
    err = capsys.readouterr().err
    assert wanted in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--card", "none.toml"], "none.toml: cannot be read"),
        (["--speed", "0"], "--speed 0: must be a number from 1 (real time) to 1e7"),
        (["--recording", "none.zarr"], "none.zarr"),
        (["--control-port", "70000"], "--control-port"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], wanted: str
) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(bench_text(1000.0))
    assert main(["emulate", str(path), *words]) == 2
    err = capsys.readouterr().err
    assert wanted in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--card", "none.toml"], "none.toml: cannot be read"),
        (["--recording", "none.zarr"], "none.zarr is not a cube"),
        (["--run", "no-such-command --now"], "--run no-such-command --now: cannot be run"),
        (["--run", "'"], "--run ': cannot be run (No closing quotation)"),
        (["--run", ""], "cannot be run; give a command"),
    ],
)
def test_a_mistake_writes_no_new_bench_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], wanted: str
) -> None:
    assert main(["emulate", str(tmp_path / "new" / "bench.toml"), *words]) == 2
    out, err = capsys.readouterr()
    assert wanted in err
    assert (out, err.count("\n")) == ("", 1)
    assert not list(tmp_path.iterdir())


def test_a_control_port_that_is_taken_writes_no_new_bench_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["emulate", str(tmp_path / "bench.toml"), "--control-port", port, "--run", "true"]) == 2
    assert port in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
