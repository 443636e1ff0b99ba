"""The bench file: what it says is found again, and what is wrong with it is told in one line."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from spinsweep.bench.bench_file import Bench, fingerprint, load, parse
from spinsweep.bench.errors import BenchError
from spinsweep.bench.section import InstrumentSection

TEXT = """
name = "lab-3"

[source]
driver = "keithley-6221"
resource = "TCPIP::192.0.2.7::1394::SOCKET"
serial = "4559777"
range = 2e-3
compliance = 10

[meter]
driver = "keithley-2000"
resource = "GPIB0::16::INSTR"
serial = "1234567"

[switch]
driver = "keithley-7001"
resource = "GPIB0::7::INSTR"
serial = "0771"

[limits]
max_pulse = 1.5e-3
max_read = 5e-5
max_compliance = 10.0

[[device]]
name = "w0.5-a"
labels = {width = 0.5, device = 0}
channels = ["1!1", "1!11"]

[[device]]
name = "w0.5-b"
labels = {width = 0.5, device = 1}
channels = ["1!2", "1!12"]
range = 2e-2
limits = {max_pulse = 4e-3, min_gap = 1.5}
"""


@pytest.fixture
def raw() -> dict[str, Any]:
    return tomllib.loads(TEXT)


def put(raw: dict[str, Any], path: str, value: Any) -> None:
    """Set a value by its dotted path; None leaves the key out."""
    *keys, last = path.split(".")
    place: Any = raw
    for key in keys:
        place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
    if value is None:
        del place[last]
    else:
        place[last] = value


def test_a_bench_file_says_everything_once(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(TEXT)
    bench = load(path)
    assert list(bench.instruments) == ["source", "meter", "switch"]
    assert bench.timing.pulse_width == 100e-6
    assert not bench.emulated
    assert bench.values("device") == [0, 1]
    assert bench.folder.name == "lab-3"


def test_a_device_has_the_limits_of_the_bench_except_for_its_own(raw: dict[str, Any]) -> None:
    bench = parse(raw)
    first, second = bench.device
    assert bench.limits_of(first) == bench.limits
    own = bench.limits_of(second)
    assert (own.max_pulse, own.min_gap, own.max_read) == (4e-3, 1.5, 5e-5)
    assert (bench.range_of(first), bench.range_of(second)) == (2e-3, 2e-2)


def test_a_check_within_the_limits_holds_for_all_devices_without_their_own(raw: dict[str, Any]) -> None:
    assert parse(raw).check_of(parse(raw).device[0]) is None
    put(raw, "check", {"pulse": 1e-3, "read": 2e-5})
    put(raw, "device.1.check", {"pulse": 3e-3, "read": 2e-5})
    bench = parse(raw)
    assert [bench.check_of(d).pulse for d in bench.device] == [1e-3, 3e-3]  # type: ignore[union-attr]
    put(raw, "check.pulse", 1.6e-3)
    with pytest.raises(BenchError, match=r"device w0\.5-a: check\.pulse 0\.0016 A and .* max_pulse 0\.0015 A"):
        parse(raw)


def test_a_device_is_found_by_name_and_by_labels(raw: dict[str, Any]) -> None:
    bench = parse(raw)
    assert bench.named("w0.5-b") is bench.device_with(width=0.1 * 5, device=1)
    with pytest.raises(BenchError, match=r"no device 'c'; it has w0\.5-a, w0\.5-b"):
        bench.named("c")
    with pytest.raises(BenchError, match=r"no device with labels width=3.*it has width=0\.5, device=0; "):
        bench.device_with(width=3.0)
    with pytest.raises(BenchError, match="several devices with labels width"):
        bench.device_with(width=0.5)


def test_a_bench_of_emulated_instruments_may_run_fast(raw: dict[str, Any]) -> None:
    put(raw, "timing.speed", 1000.0)
    with pytest.raises(BenchError, match=r"timing\.speed: 1000 is for emulated instruments"):
        parse(raw)
    for role in ("source", "meter"):
        put(raw, f"{role}.serial", "EMU1")
    with pytest.raises(BenchError, match=r"timing\.speed"):
        parse(raw)
    put(raw, "switch.serial", "EMU2")
    assert parse(raw).emulated


def test_the_same_instrument_has_one_address_however_it_is_written() -> None:
    def address(resource: str) -> str:
        return InstrumentSection(driver="any", resource=resource, serial="1").address

    assert address("tcpip::192.0.2.7::1394::socket") == address("TCPIP0::192.0.2.7::1394::SOCKET")
    assert address("GPIB::16") == address("GPIB0::16::INSTR")
    assert address("GPIB1::16::INSTR") != address("GPIB0::16::INSTR")
    assert address("TCPIP::192.0.2.7::1394::SOCKET") != address("TCPIP::192.0.2.7::1395::SOCKET")


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("name", "lab 3", "name: string should match"),
        ("name", None, "name: field required"),
        ("source", None, "source: field required"),
        (
            "source.driver",
            "keithley-2400",
            "source: no driver 'keithley-2400' is installed (did you mean 'keithley-",
        ),
        (
            "source.driver",
            "keithley-2000",
            "source: driver 'keithley-2000' is for meter, not for source",
        ),
        ("meter.driver", None, 'meter: its driver is missing; write driver = "NAME" (installed: keithley-2000'),
        ("limits.max_compliance", 106, "device w0.5-a: max_compliance 106 V is beyond the source's 105 V"),
        ("source.speed", 3, "source.speed: extra inputs are not permitted"),
        ("source.serial", 4559777, "source.serial: input should be a valid string (4559777 given)"),
        ("source.timeout", 0, "source.timeout: input should be greater than 0 (0 given)"),
        ("source.range", 3e-3, "device w0.5-a: range 0.003 A; it is one of 2e-09, "),
        ("source.compliance", 106, "source.compliance: input should be less than or equal to 105"),
        ("source.compliance", 20, "device w0.5-a: source.compliance 20 V is above max_compliance 10 V"),
        ("meter.range", 3, "meter.range: 3 V; it is one of 0.1, 1.0"),
        ("meter.resource", "GPIB::7", "resource 'GPIB0::7::INSTR' stands twice"),
        ("meter.nplc", float("nan"), "meter.nplc: input should be a finite number"),
        ("timing.read_time", 0.1, "meter.nplc: 10 takes 0.2 s, longer than timing.read_time 0.1 s"),
        ("timing.mains", 55, "timing.mains: input should be 50 or 60"),
        ("timing.pulse_width", 1e-3, "device w0.5-a: timing.pulse_width 0.001 s is not within 5e-05 to 0.0002 s"),
        ("timing.gap", 1.0, "device w0.5-b: timing.gap 1 s is below min_gap 1.5 s"),
        ("polarity.reset_pulse", 0, "polarity.reset_pulse: input should be -1 or 1"),
        ("limits.max_pulse", 2.2e-3, "device w0.5-a: max_pulse 0.0022 A is beyond the source's range 0.002 A"),
        ("limits.max_read", None, "limits.max_read: field required"),
        ("limits.max_read", -1e-5, "limits.max_read: input should be greater than 0"),
        ("limits.max_read", float("inf"), "limits.max_read: input should be a finite number"),
        ("device", [], "device: "),
        ("device.0.name", "w0.5-b", "device 'w0.5-b' stands twice; names differ"),
        ("device.0.channels", ["1!2"], "channel '1!2' stands twice; no two devices share a relay"),
        ("device.0.channels", ["relay 1"], "device.0.channels.0: string should match"),
        ("device.0.channels", [], "device w0.5-a: channels []; name its relays as channels"),
        ("device.1.limits.max_pulse", 0.03, "device w0.5-b: max_pulse 0.03 A is beyond the source's range 0.02 A"),
        ("switch", None, "2 devices need a [switch]; without one a bench has one device"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_that_names_it(
    raw: dict[str, Any], path: str, value: Any, says: str
) -> None:
    parse(raw)
    put(raw, path, value)
    with pytest.raises(BenchError) as refused:
        parse(raw, "lab.toml")
    message = str(refused.value)
    assert message.startswith(f"lab.toml: {says}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("role", "model", "name"),
    [("source", "6221", "keithley-6221"), ("meter", "2000", "keithley-2000"), ("switch", "9", "NAME")],
)
def test_the_old_key_model_says_what_to_write_now(raw: dict[str, Any], role: str, model: str, name: str) -> None:
    put(raw, f"{role}.model", model)
    with pytest.raises(BenchError, match=f"{role}: model = '{model}' is now driver = \"{name}\"; write that"):
        parse(raw, "lab.toml")


def test_what_is_measured_has_the_identity_that_it_had_before_drivers_had_names(
    raw: dict[str, Any],
) -> None:
    kept = {
        "name": "lab-3",
        "serials": ["4559777", "1234567", "0771"],
        "source": [2e-3, 10.0],
        "meter": [0.1, 10.0],
        "timing": {"pulse_width": 1e-4, "read_time": 0.5, "gap": 2.0, "mains": 50},
        "polarity": {"reset_pulse": -1, "reset_state": -1},
        "devices": [
            ["w0.5-a", {"width": 0.5, "device": 0}, None],
            ["w0.5-b", {"width": 0.5, "device": 1}, 2e-2],
        ],
    }
    assert fingerprint(parse(raw).model_dump(mode="json")) == kept


def test_a_bench_without_a_switch_has_one_device_without_relays(raw: dict[str, Any]) -> None:
    put(raw, "switch", None)
    del raw["device"][1]
    with pytest.raises(BenchError, match=r"leave channels out, or describe the \[switch\]"):
        parse(raw)
    put(raw, "device.0.channels", None)
    assert list(parse(raw).instruments) == ["source", "meter"]


def test_a_file_that_is_no_bench_file_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"none\.toml: cannot be read"):
        load(tmp_path / "none.toml")
    path = tmp_path / "bad.toml"
    path.write_bytes(b"name = \xff")
    with pytest.raises(BenchError, match=r"bad\.toml: is not text in UTF-8"):
        load(path)
    path.write_text("name = lab")
    with pytest.raises(BenchError, match=r"bad\.toml: is not TOML: .* line 1") as refused:
        load(path)
    assert "\n" not in str(refused.value)


def test_what_a_bench_keeps_stands_in_its_own_folder(raw: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINSWEEP_STATE", "/var/lib/benches")
    assert parse(raw).folder == Path("/var/lib/benches/lab-3")
    put(raw, "state", "~/lab")
    assert parse(raw).folder == Path.home() / "lab"


def test_a_bench_survives_the_way_through_json(raw: dict[str, Any]) -> None:
    bench = parse(raw)
    assert parse(bench.model_dump()) == bench
    assert Bench.model_validate_json(bench.model_dump_json()) == bench


def test_reading_a_bench_file_loads_no_visa(raw: dict[str, Any]) -> None:
    code = "import json, sys; from spinsweep.bench.bench_file import parse; parse(json.loads(sys.argv[1]))"
    subprocess.run(
        [sys.executable, "-P", "-c", f"{code}; assert 'pyvisa' not in sys.modules", json.dumps(raw)], check=True
    )
