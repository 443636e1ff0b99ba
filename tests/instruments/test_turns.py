"""Devices that take turns: by default as many as the rests allow, and what a plan says of time and relays."""

from __future__ import annotations

import dataclasses
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from emulated import BENCH

from spinneurons.device.commands import bench_text
from spinneurons.device.pulse_cycle import ResetReadWriteRead
from spinsweep.bench.bench_file import Bench, fingerprint, parse
from spinsweep.bench.equipment import BenchEquipment
from spinsweep.bench.turns import alternative, course, groups, mode, turns_of
from spinsweep.cli import main
from spinsweep.cli.options import requested

CYCLE = ResetReadWriteRead()


def bench_of(devices: int, **timing: Any) -> Bench:
    """A bench of so many devices, each with two relays."""
    raw = tomllib.loads(BENCH)
    raw["timing"] = timing
    raw["device"] = [
        {"name": f"d{i}", "labels": {"device": i}, "channels": [f"1!{i + 1}", f"2!{i + 1}"]} for i in range(devices)
    ]
    if devices == 1:
        del raw["switch"], raw["device"][0]["channels"]
    return parse(raw)


@pytest.mark.parametrize(
    ("devices", "timing", "size"),
    [
        (4, {}, 4),  # 3 other actions of 0.6 s in a rest of 2 s
        (36, {}, 4),
        (2, {}, 2),
        (1, {}, 1),
        (36, {"gap": 0.0}, 1),
        (36, {"gap": 0.5}, 1),  # no action fits
        (36, {"gap": 0.61}, 2),
        (36, {"gap": 60.0}, 36),
        (36, {"interleave": True, "gap": 0.0}, 36),
        (36, {"interleave": False}, 1),
    ],
)
def test_as_many_devices_take_turns_as_act_within_a_rest_unless_the_bench_file_says_otherwise(
    devices: int, timing: dict[str, Any], size: int
) -> None:
    bench = bench_of(devices, **timing)
    assert turns_of(bench) == size
    if bench.timing.interleave == "auto" and size > 1:
        assert (size - 1) * bench.timing.read_time <= bench.timing.gap  # no rest becomes longer by the others


def test_interleave_is_auto_by_default_and_takes_true_and_false_and_no_other_word() -> None:
    assert bench_of(2).timing.interleave == "auto"
    assert [bench_of(2, interleave=value).timing.interleave for value in (True, False, "auto")] == [
        True,
        False,
        "auto",
    ]
    with pytest.raises(Exception, match=r"timing\.interleave"):
        bench_of(2, interleave="sometimes")


def test_the_identity_of_a_measurement_does_not_depend_on_who_takes_turns() -> None:
    kept = {str(value): fingerprint(bench_of(2, interleave=value).model_dump()) for value in (True, False, "auto")}
    assert kept["True"] == kept["False"] == kept["auto"]
    assert "interleave" not in kept["auto"]["timing"]


def test_groups_are_even_and_keep_the_order() -> None:
    assert [list(g) for g in groups(list(range(9)), 4)] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    for number in range(1, 30):
        for size in range(1, 10):
            parts = [list(g) for g in groups(list(range(number)), size)]
            assert [i for part in parts for i in part] == list(range(number))
            assert max(map(len, parts)) <= size
            assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_course_counts_time_and_relays_of_both_ways() -> None:
    bench = bench_of(2)
    plan = [(1, {"d0": 5}), (1, {"d1": 5}), (10, {"d0": 20, "d1": 20})]
    one_by_one, turns = (course(bench, plan, CYCLE, size) for size in (1, 2))
    assert one_by_one.seconds == pytest.approx((10 + 10 * 40) * 9.0002)
    assert turns.seconds == pytest.approx((10 + 10 * 20) * 9.0002)
    # each time a device is connected its two relays close, and open later
    assert one_by_one.movements == 2 * 2 * (1 + 1 + 10 * 2)
    assert turns.movements == 2 * 2 * (1 + 1 + 10 * 40 * 4)  # at each of the four actions of a cycle
    assert turns.closings == 1 + 10 * 20 * 4


def test_devices_that_take_turns_cannot_be_faster_than_the_source() -> None:
    bench = bench_of(36, interleave=True)
    plan = [(1, {f"d{i}": 10 for i in range(36)})]
    assert course(bench, plan, CYCLE, 36).seconds == pytest.approx(360 * CYCLE.busy_time(bench.timing))
    assert course(bench, plan, CYCLE, 4).seconds == pytest.approx(9 * 10 * CYCLE.time(bench.timing))


def test_a_mode_is_told_with_its_reason() -> None:
    together, alone = [(1, {"d0": 1, "d1": 1, "d2": 1})], [(1, {"d0": 1}), (1, {"d1": 1})]
    assert mode(bench_of(3), together) == (3, "timing.interleave = auto: 3 devices take turns")
    assert mode(bench_of(3), alone)[0] == 1
    assert "one device in each train" in mode(bench_of(3), alone)[1]
    assert mode(bench_of(3, gap=0.0), together) == (
        1,
        "timing.interleave = auto: no action fits into a rest of 0 s",
    )
    assert mode(bench_of(3, interleave=False), together) == (1, "timing.interleave = false")
    assert alternative(bench_of(3, interleave=False)) == 3
    assert alternative(bench_of(5, gap=0.0)) == 5


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bench file that the emulator writes, of four devices with four relays each; it serves nobody here."""
    monkeypatch.setenv("SPINSWEEP_STATE", str(tmp_path / "state"))
    path = tmp_path / "bench.toml"
    path.write_text(bench_text(1e5))
    return path


def said_of(path: Path, *words: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["bench", "plan", *words, str(path)]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_plan_names_the_way_that_is_taken_the_time_saved_and_the_relays(
    template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = said_of(template, "hil", "--set", "seed=0", capsys=capsys)
    (turns,) = (line for line in said if line.startswith("devices taking turns"))
    assert "<- timing.interleave = auto: 4 devices take turns" in turns
    assert "at least 2 d 1 h" in turns
    assert any(line.startswith("saved by taking turns  ") and "up to 6 d" in line for line in said)
    assert "about 5,504" in next(line for line in said if line.startswith("one device after the other"))
    assert "about 2,508,864  78,402" in turns


def test_a_plan_of_a_characterization_says_that_nobody_takes_turns(
    template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = said_of(template, "characterization", capsys=capsys)
    (line,) = (line for line in said if line.startswith("one device after the other"))
    assert "one device in each train: there is nobody to take turns with" in line
    assert not [line for line in said if "turns  " in line and line.startswith(("devices", "saved"))]


@pytest.mark.parametrize("name", ["characterization", "hil", "hil-multiplexed"])
def test_trains_and_cycles_of_a_sweep_on_a_bench_agree(name: str, template: Path) -> None:
    sweep = requested(name, ["seed=0"] if name != "characterization" else [], None, BenchEquipment(template))
    assert sweep.bench_trains is not None
    assert sweep.bench_cycles is not None
    counted: Counter[str] = Counter()
    for number, cycles in sweep.bench_trains(sweep):
        counted.update({device: number * k for device, k in cycles.items()})
    assert dict(counted) == sweep.bench_cycles(sweep)


def test_cycles_and_currents_of_a_sweep_on_a_bench_are_those_of_its_wanted_cells(template: Path) -> None:
    whole = requested("characterization", [], None, BenchEquipment(template))
    first = next(iter(whole.wanted_cells()))
    one = dataclasses.replace(whole, wanted=[first])
    assert whole.bench_cycles is not None
    assert whole.bench_currents is not None
    (name,) = whole.bench_cycles(one)
    assert whole.cells > one.cells == 1
    assert whole.bench_cycles(one) == {name: whole.bench_cycles(whole)[name]}
    assert whole.bench_currents(one) == {name: whole.bench_currents(whole)[name]}

    hil = requested("hil", ["seed=0:3"], None, BenchEquipment(template))
    some = dataclasses.replace(hil, wanted=[{"seed": 1}])
    assert hil.bench_cycles is not None
    every, third = hil.bench_cycles(hil), hil.bench_cycles(some)
    assert every == {name: 3 * number for name, number in third.items()}
