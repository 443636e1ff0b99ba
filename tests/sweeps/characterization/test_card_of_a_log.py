"""The card of a log holds all that the log measured, and says what it has from elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Template

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from spinneurons.characterization.extreme import extremes
from spinneurons.characterization.measured import recording_of, typical
from spinneurons.characterization.sweep import SWEEP
from spinneurons.device import commands as device_commands
from spinneurons.neurons import card as cards
from spinneurons.neurons.family import Card, MeasuredDevices
from spinneurons.neurons.hall_bar import HallBar
from spinsweep.bench.bench_file import parse
from spinsweep.cli import main
from spinsweep.discovery import on_bench
from spinsweep.files import toml

LOW, HIGH, NOISE, READ, PULSE = -0.30, 0.35, 0.004, 40e-6, 20e-6  # ohm, ohm, ohm, A, s
HEADER = "# Read current: 40 uA\n# Pulse width: 20 us\n"
BARS = {(2.0, 0): 6.0e-4, (2.0, 1): 6.3e-4, (0.5, 0): 4.4e-4, (0.5, 1): 4.5e-4}
"""I_bias (A) by width and device; i0 is 40 and 17 uA."""
Said = pytest.CaptureFixture[str]


def log(bars: dict[tuple[float, int], float] = BARS, cycles: int = 30) -> pd.DataFrame:
    """Cycles of bars at nine currents about their I_bias."""
    parts = []
    for number, ((width, device), bias) in enumerate(bars.items()):
        rng, scale = np.random.default_rng([3, number]), 4e-5 if width == 2 else 1.7e-5
        plan = np.round(bias + scale * np.linspace(-4, 4, 9), 9)
        i, cycle = (a.ravel() for a in np.indices((9, cycles)))
        switched = rng.random(i.size) < 1 / (1 + np.exp(-(plan[i] - bias) / scale))
        reset, write = rng.normal([np.full(i.size, LOW), np.where(switched, HIGH, LOW)], NOISE)
        columns = {"i_write_A": plan[i], "cycle": cycle, "r_reset_ohm": reset, "r_write_ohm": write}
        parts.append(pd.DataFrame({"width_um": width, "device": device, **columns}))
    return pd.concat(parts, ignore_index=True)


def imported(folder: Path, frame: pd.DataFrame, *options: str, header: str = "", name: str = "lab") -> Path:
    path, store = folder / f"{name}.csv", folder / f"{name}.zarr"
    path.write_text(header + frame.to_csv(index=False))
    assert main(["import", str(path), str(store), "--resamples", "10", *options]) == 0
    return store


def made(store: Path, *options: str) -> Card:
    out = store.with_suffix(".toml")
    assert main(["card", str(store), "--out", str(out), "--force", *options]) == 0
    return cards.load(out)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return imported(tmp_path_factory.mktemp("log"), log(), header=HEADER)


def test_a_characterization_with_the_card_of_a_log_reads_as_the_log_did(store: Path, capfd: Said) -> None:
    card = made(store)
    assert capfd.readouterr().out.splitlines()[-2] == (
        "not measured  devices.seed, switching.link, switching.reset_failure, hall.tilt, read.never_switches, "
        "drift.sd, drift.period: from the built-in card"
    )
    for key, value in (("read.current", READ), ("switching.pulse_width", PULSE), ("hall.reset_state", -1)):
        section, name = key.split(".")
        assert cards.value(card, key) == value
        assert card[section][name]["provenance"] == "measured"
        assert card[section][name]["source"].startswith("fit of lab.zarr, 4 devices")
    levels = HallBar(card).levels()
    error = NOISE / np.sqrt(4 * 9 * 30)
    assert levels.low == pytest.approx(LOW, abs=5 * error)
    assert levels.high == pytest.approx(HIGH, abs=5 * error)
    assert levels.noise == pytest.approx(NOISE, rel=5 / np.sqrt(2 * 270))

    again = store.with_name("again.zarr")
    chosen = ["--set", f"card={store.with_suffix('.toml')}", "--set", "resamples=10"]
    assert main(["run", "characterization", "--workers", "0", "--store", str(again), *chosen]) == 0
    model, lab = xr.open_zarr(again).load(), xr.open_zarr(store).load()
    low, high = (model.r_write.where(model.switched == state) for state in (False, True))
    assert float(low.mean()) == pytest.approx(levels.low, abs=5e-4)
    assert float(high.mean()) == pytest.approx(levels.high, abs=5e-4)
    assert float(model.r_reset.std()) == pytest.approx(levels.noise, rel=0.05)
    for name in ("i_bias", "i0"):
        sigma = np.hypot(model[f"{name}_stderr"], lab[f"{name}_stderr"])
        assert (abs(model[name] - lab[name]) < 4 * sigma).all()


def test_without_a_word_on_the_read_current_the_noise_in_ohm_is_right(tmp_path: Path, capfd: Said) -> None:
    card = made(imported(tmp_path, log()))
    assert "switching.pulse_width, switching.reset_failure, hall.tilt, read.current, " in capfd.readouterr().out
    assert HallBar(card).levels().noise == pytest.approx(NOISE, rel=0.2)
    assert card["read"]["current"] == cards.default()["read"]["current"]


def test_counts_and_states_have_no_levels_and_the_card_says_whose_it_holds(tmp_path: Path, capfd: Said) -> None:
    frame, base = log(cycles=10), cards.default()
    frame["k"] = (frame["r_write_ohm"] > 0).astype(int)
    counts = frame.groupby(["width_um", "device", "i_write_A"])["k"].agg(n_switched="sum", n="size").reset_index()
    states = frame.assign(r_reset_ohm=0, r_write_ohm=frame["k"]).drop(columns="k")
    for name, rows, why in (
        ("counts", counts, "the log has counts and no readings"),
        ("states", states, "the readings are states"),
    ):
        store = imported(tmp_path, rows, "--constant", "pulse_width=20 us", name=name)
        capfd.readouterr()
        card = made(store, "--include-bad-fits")
        said = capfd.readouterr().out
        assert "hall.amplitude, hall.offset, hall.tilt, hall.reset_state, read.current, read.noise, " in said
        assert said.splitlines()[-2].endswith(f": from the built-in card ({why})")
        assert card["hall"] == base["hall"]
        assert card["read"] == base["read"]
        assert cards.value(card, "switching.pulse_width") == PULSE


def test_a_drifting_offset_leaves_the_distance_of_the_levels_and_the_noise(tmp_path: Path) -> None:
    frame = log()
    frame[["r_reset_ohm", "r_write_ohm"]] += (2 * np.arange(len(frame)) / len(frame))[:, None]
    levels = HallBar(made(imported(tmp_path, frame, "--difference"))).levels()
    assert levels.high - levels.low == pytest.approx(HIGH - LOW, abs=2e-3)
    assert levels.noise == pytest.approx(NOISE, rel=0.2)


def test_what_differs_much_between_devices_or_rows_is_said(tmp_path: Path, capfd: Said) -> None:
    frame = log()
    wide = frame["width_um"] == 2
    frame.loc[wide, ["r_reset_ohm", "r_write_ohm"]] *= 1.5
    frame["i_read_uA"] = np.where(wide & (frame["device"] == 1), 80, 40)
    store = imported(tmp_path, frame)
    card = made(store)
    said = capfd.readouterr().out
    assert re.search(
        r"look      half the distance of the levels is 0\.32\d+ to 0\.48\d+ ohm by device; the card", said
    )
    assert "look      read current: 4e-05 to 8e-05 A in the log; the card has the median, 4e-05 A" in said
    assert cards.value(card, "read.current") == READ


def test_pulses_of_another_width_are_another_curve(tmp_path: Path) -> None:
    frame = pd.concat([log(cycles=10).assign(pulse_width_us=us) for us in (20.0, 50.0)])
    store = imported(tmp_path, frame, "--axis", "pulse_width_us")
    card = made(store, "--select", "pulse_width_us=50", "--include-bad-fits")
    assert cards.value(card, "switching.pulse_width") == pytest.approx(50e-6)


@pytest.mark.slow
def test_conditions_of_later_files_are_added_and_change_no_identity(tmp_path: Path, store: Path) -> None:
    def conditions(store: Path) -> dict[str, dict[str, int]]:
        return json.loads(xr.open_zarr(store).attrs["parameters"])["recording"].get("conditions", {})

    early, late = (log(cycles=20).query(f"cycle {side} 10") for side in ("<", ">="))
    cube = imported(tmp_path, early, name="day")
    digest = xr.open_zarr(cube).attrs["digest"]
    assert conditions(cube) == {}
    imported(tmp_path, early, header=HEADER, name="day")  # told later, of the same rows
    assert conditions(cube) == {"i_read": {"4e-05": 360}, "pulse_width": {"2e-05": 360}}
    (tmp_path / "late.csv").write_text(HEADER.replace("20 us", "30 us") + late.to_csv(index=False))
    assert main(["import", str(tmp_path / "late.csv"), str(cube), "--resamples", "10"]) == 0
    assert conditions(cube)["pulse_width"] == {"2e-05": 360, "3e-05": 360}
    assert xr.open_zarr(imported(tmp_path, early, header=HEADER, name="told")).attrs["digest"] == digest


def test_a_pulse_that_cannot_be_is_not_taken_over_and_said(tmp_path: Path, capfd: Said) -> None:
    store = imported(tmp_path, log(cycles=10), header="# Pulse width: 100\n")
    said = capfd.readouterr().out
    assert (
        "not used  lab.csv: pulse_width is 100 s by the header, 'Pulse width'; it is above 0 and up to 10 s" in said
    )
    assert "conditions" not in json.loads(xr.open_zarr(store).attrs["parameters"])["recording"]
    words = ["import", str(tmp_path / "lab.csv"), str(tmp_path / "x.zarr"), "--constant", "pulse_width=100 s"]
    assert main(words) == 2
    assert "pulse_width is 100 s by what you say; it is above 0 and up to 10 s\n" in capfd.readouterr().err


def test_a_bench_gives_its_pulse_width_and_the_read_current_of_its_card() -> None:
    said = dict.fromkeys(Template(text := device_commands.TEMPLATE.read_text()).get_identifiers(), "1")
    bench = toml(Template(text).substitute(said | {"meter": "2", "switch": "3"}))
    bench |= {"timing": {"pulse_width": 150e-6}, "polarity": {"reset_state": 1}}
    params = on_bench(SWEEP, parse(bench)).params
    cube = xr.Dataset(attrs={"parameters": json.dumps(params)})
    recording = recording_of(cube, params)
    assert recording.conditions == {"i_read": {50e-6: 1}, "pulse_width": {150e-6: 1}}
    assert (recording.reset_state, recording.law) == (1, "logistic")


@given(st.dictionaries(st.floats(1e-6, 1.0), st.integers(1, 50), min_size=1, max_size=6))
def test_the_typical_value_is_that_of_half_the_rows(condition: dict[float, int]) -> None:
    rows = np.repeat(list(condition), list(condition.values()))
    assert typical(condition) == np.sort(rows)[(rows.size - 1) // 2]


# Extreme devices


def measured(per_width: int, seed: int, spread: float = 0.025) -> MeasuredDevices:
    """Devices of three widths that deviate from lines by at most ``spread``."""
    rng = np.random.default_rng(seed)
    widths = np.array([2.0, 1.0, 0.5])
    bias, scale = (
        (a + b * widths[:, None]) * (1 + spread * rng.uniform(-1, 1, (3, per_width)))
        for a, b in ((3.8e-4, 1.2e-4), (9e-6, 1.6e-5))
    )
    return MeasuredDevices(widths, bias, 0.01 * bias, scale, 0.05 * scale)


@settings(max_examples=20)
@given(st.integers(2, 5), st.integers(0, 1000), st.sampled_from(["i_bias", "i0"]), st.data())
def test_a_device_far_from_the_line_of_the_others_is_the_extreme_one(per_width, seed, quantity, data) -> None:
    devices = measured(per_width, seed)
    place = data.draw(st.sampled_from([(w, d) for w in range(3) for d in range(per_width)]))
    getattr(devices, quantity)[place] *= 1.8
    found = extremes(HallBar(cards.default()), devices)
    assert (found[0].place, found[0].quantity) == (place, quantity)
    assert found[0].deviation == pytest.approx(0.8, abs=0.15)


def test_the_devices_of_the_built_in_card_have_no_extreme_one() -> None:
    bars = HallBar(cards.default())
    widths = np.array(cards.value(bars.card, "devices.widths"))
    bias, scale = np.moveaxis([[bars.individual(w, d) for d in range(4)] for w in widths], -1, 0)
    assert extremes(bars, MeasuredDevices(widths, bias, 0.003 * bias, scale, 0.04 * scale)) == []


def test_the_command_names_an_extreme_device_and_what_it_does_to_the_spread(tmp_path: Path, capfd: Said) -> None:
    store = imported(tmp_path, log({**BARS, (2.0, 1): 8.6e-4, (2.0, 2): 6.2e-4}))
    spreads = [cards.value(made(store, *options), "i_bias.spread") for options in ((), ("--leave-out", "2/1"))]
    said = capfd.readouterr().out
    assert "look      width 2 um, device 1: i_bias 4" in said
    assert " % above the line of the others; --leave-out 2/1 makes a card without\n" in said
    assert f"look      spread with that device: i_bias {spreads[0]:.3g}, and {spreads[1]:.3g} without; i0 " in said
    assert spreads[0] > 0.2 > 0.05 > spreads[1]
    assert "left out  width 2 um, device 1: --leave-out 2/1" in said
    assert main(["card", str(store), "--leave-out", "2/9"]) == 2
    assert "--leave-out 2/9: there is no such device; they are 2/0, 2/1, 2/2, 0.5/0" in capfd.readouterr().err


def test_a_device_beyond_what_a_card_holds_is_named_with_the_remedy(tmp_path: Path) -> None:
    devices = measured(4, 1)
    devices.i0[1, 2] *= 6
    with pytest.raises(cards.CardError, match=r"i0: width 1 um, device 2 is \+\d+% from the line, .*; leave that"):
        HallBar(cards.default()).measured(devices)
