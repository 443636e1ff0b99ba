"""The pulses that devices have had in their lives: nothing is fired when their number is not known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from emulated import Emulated

from conftest import described
from spinneurons.device.pulse_cycle import PulseTrains
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.errors import BenchError, LimitError
from spinsweep.bench.pulse_counts import pulses

RESET, WRITE, READ = -8e-4, 8e-4, 5e-5


def fire(bench: Bench, train: str) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        trains.run(train, ["a"], np.full((2, 1), WRITE), [RESET], READ)


DAMAGES = [b"", b"\0\0\0\0", b'{"a": 4', b"[4]", b'{"a": -4}', b'{"a": null}', b"\xff", None]


@pytest.mark.parametrize("content", DAMAGES)
def test_a_bench_whose_pulses_are_not_known_is_not_touched(
    bench: Bench, emulated: Emulated, content: bytes | None
) -> None:
    fire(bench, "one")
    file = bench.folder / "pulses.json"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    before = emulated.control.state()["connections"]
    with pytest.raises(BenchError, match=r"pulses\.json is (damaged|gone), .* not known; write it into that file"):
        fire(bench, "two")
    assert emulated.control.state()["connections"] == before
    file.write_text('{"a": 4}')
    fire(bench, "two")
    assert pulses(bench) == {"a": 8}


def test_a_bench_that_never_fired_needs_no_counts(bench: Bench) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key"):
        pass
    assert pulses(bench) == {}
    fire(bench, "one")
    assert pulses(bench) == {"a": 4}


def with_serial(folder: Path, emulated: Emulated, serial: str, **changes: object) -> Bench:
    """The bench whose device a is that one, with room for eight pulses."""
    plain = described(folder, emulated).model_dump(mode="json")["device"]
    return described(folder, emulated, device=[plain[0] | {"serial": serial}, plain[1]], **changes)


def test_the_pulses_of_a_device_go_with_its_serial_number_whatever_bench_and_account_it_hangs_on(
    tmp_path: Path, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    most = {"max_pulses": 8}
    for account, name in (("one", "left"), ("two", "right")):
        monkeypatch.setenv("SPINSWEEP_STATE", str(tmp_path / account))
        bench = with_serial(tmp_path / account, emulated, "wafer 7, bar 3", name=name, limits=most, lease=str(lab))
        fire(bench, f"of {account}")
    assert pulses(bench)["a"] == 8
    with pytest.raises(LimitError, match=r"device a: 12 pulses in its life with this train, limits\.max_pulses is 8"):
        fire(bench, "more")
    other = with_serial(tmp_path / "two", emulated, "wafer 7, bar 4", name="right", limits=most, lease=str(lab))
    fire(other, "another device under the same name")
    assert pulses(other)["a"] == 4
    assert pulses(bench)["a"] == 8
    (file,) = (lab / "devices").glob("wafer_7_bar_3-*.json")
    assert json.loads(file.read_text()) == {"pulses": 8}
    file.unlink()
    with pytest.raises(BenchError, match=r'is gone, so .* device wafer 7, bar 3 .* as \{"pulses": 8\}'):
        fire(bench, "none")


def test_a_device_that_gets_a_serial_number_keeps_the_pulses_of_its_name(
    tmp_path: Path, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPINSWEEP_STATE", str(tmp_path / "account"))
    fire(described(tmp_path, emulated), "one")
    bench = with_serial(tmp_path, emulated, "bar 3")
    assert pulses(bench) == {"a": 4}
    fire(bench, "two")
    assert pulses(bench) == {"a": 8}
    assert pulses(with_serial(tmp_path, emulated, "bar 4")) == {"a": 0}
