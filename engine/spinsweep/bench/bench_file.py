"""The bench file: which instruments stand at which addresses, what hangs on them, and what must never be exceeded.

It is TOML, parsed as data.  All currents in A, voltages in V, times in s.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spinsweep.axis import canonical
from spinsweep.bench.errors import BenchError
from spinsweep.files import Unreadable, text_of, toml
from spinsweep.resources import EXCLUSIVE

EMULATED = "EMU"
"""Serial numbers of emulated instruments begin so; only on those may time run faster."""
OVERRANGE = 1.05
"""A range of the source delivers so much more than its name (Keithley 6221 data sheet: 5 % over-range)."""
RANGES = (2e-9, 2e-8, 2e-7, 2e-6, 2e-5, 2e-4, 2e-3, 2e-2, 0.1)  # A, Keithley 6221
METER_RANGES = (0.1, 1.0, 10.0, 100.0, 1000.0)  # V, Keithley 2000, DC volts

Positive = Annotated[float, Field(gt=0)]
Sign = Literal[-1, 1]
Label = float | int | str
Channel = Annotated[str, Field(pattern=r"^[1-9]\d*![1-9]\d*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Instrument(_Part):
    """How to reach one instrument, and which one it has to be."""

    model: str
    """Model number that ``*IDN?`` has to give."""
    resource: Annotated[str, Field(min_length=1)]
    """VISA resource name, such as ``TCPIP::127.0.0.1::1394::SOCKET`` or ``GPIB0::16::INSTR``."""
    serial: Annotated[str, Field(min_length=1)]
    """Serial number that ``*IDN?`` has to give."""
    timeout: Annotated[float, Field(gt=0, le=120)] = 5.0
    """Longest wait for a reply beyond the time that the action itself takes, s."""

    @property
    def address(self) -> str:
        """The resource in one spelling, with the board and the class that VISA adds where they are left out."""
        bus, *rest = self.resource.upper().split("::")
        bus += "" if bus[-1].isdigit() else "0"
        return "::".join([bus, *rest] if rest[-1:] in (["INSTR"], ["SOCKET"], ["RAW"]) else [bus, *rest, "INSTR"])

    @property
    def emulated(self) -> bool:
        """Whether this is an emulator's instrument, by its serial number."""
        return self.serial.startswith(EMULATED)


class Source(Instrument):
    """The pulse source."""

    model: Literal["6221"] = "6221"
    range: Annotated[float, Field(ge=2e-9, le=0.1)]
    """Fixed range, A; a device may have its own."""
    compliance: Annotated[float, Field(ge=0.1, le=105)]
    """Voltage limit of the source, V."""
    arm_settle: Annotated[float, Field(ge=0, le=10)] = 0.1
    """Wait between the settings of a pulse and arming it, s."""


class Meter(Instrument):
    """The voltmeter."""

    model: Literal["2000"] = "2000"
    range: Annotated[float, Field(ge=0.1, le=1000)] = 0.1
    """Fixed range, V: 0.1, 1, 10, 100 or 1000."""
    nplc: Annotated[float, Field(ge=0.01, le=10)] = 10.0
    """Integration time in cycles of the mains."""


class Switch(Instrument):
    """The relay matrix that connects one device at a time."""

    model: Literal["7001"] = "7001"
    settle: Annotated[float, Field(ge=0, le=10)] = 0.01
    """Wait after relays have moved, s."""


class Timing(_Part):
    """When things happen; the defaults are the paper's (Islam et al. 2024, section 4.3)."""

    pulse_width: Positive = 100e-6
    read_time: Annotated[float, Field(gt=0, le=10)] = 0.5
    """How long the read current flows."""
    gap: Annotated[float, Field(ge=0, le=600)] = 2.0
    """Rest after each pulse and each read."""
    mains: Literal[50, 60] = 50
    """Frequency of the mains, Hz."""
    interleave: bool = False
    """Let the devices of a train take turns in each other's rests; saves hours, moves the relays at each action."""
    speed: Annotated[float, Field(ge=1, le=1e7)] = 1.0
    """Waits are shorter by this factor; other than 1 on an emulated bench only."""


class Polarity(_Part):
    """Signs, which the paper's text and its Fig. S3 give differently."""

    reset_pulse: Sign = -1
    """Sign of the current that resets."""
    reset_state: Sign = -1
    """-1 if reset gives the low Hall resistance, 1 if the high one."""


class Limits(_Part):
    """What must never be exceeded at a device; asked for more, the bench refuses before anything is sent."""

    max_pulse: Positive
    """Largest current of a pulse, either sign, A."""
    max_read: Positive
    """Largest current of a read, either sign, A."""
    max_compliance: Annotated[float, Field(gt=0, le=105)]
    """Largest voltage limit of the source, V."""
    min_width: Positive = 50e-6
    max_width: Positive = 200e-6
    min_gap: Annotated[float, Field(ge=0)] = 0.0
    """Shortest rest between two pulses, s."""
    max_pulses: Annotated[int, Field(ge=1)] = 10_000_000
    """Pulses of a device in its life on this bench (write and reset)."""


class _Own(_Part):
    """Limits of one device where they differ."""

    max_pulse: Positive | None = None
    max_read: Positive | None = None
    max_compliance: Positive | None = None
    min_width: Positive | None = None
    max_width: Positive | None = None
    min_gap: Annotated[float, Field(ge=0)] | None = None
    max_pulses: Annotated[int, Field(ge=1)] | None = None


class Check(_Part):
    """Currents with which ``spinsweep bench check`` tries the devices."""

    pulse: Positive
    """Size of write and reset pulses that switch for sure, A."""
    read: Positive
    """Read current, A."""


class Device(_Part):
    """One device under test."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    labels: dict[str, Label]
    """Its coordinates in sweeps, such as ``{width = 0.5, device = 0}``."""
    channels: tuple[Channel, ...] = ()
    """Relays that connect it, such as ``["1!1", "1!11"]``; empty without a switch."""
    range: Annotated[float, Field(ge=2e-9, le=0.1)] | None = None
    """Range of the source for this device, A."""
    check: Check | None = None
    """Where it differs from that of the bench."""
    limits: _Own = _Own()


class Bench(_Part):
    """A whole bench file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    backend: str = "@py"
    """pyvisa backend: ``@py`` (pyvisa-py), ``@ivi`` (a vendor's library), or a path."""
    state: str = ""
    """Folder of epoch and journals; empty: that of the bench's name in ``$SPINSWEEP_STATE``, else in
    ``~/.local/state/spinsweep``."""
    source: Source
    meter: Meter
    switch: Switch | None = None
    timing: Timing = Timing()
    polarity: Polarity = Polarity()
    limits: Limits
    check: Check | None = None
    device: Annotated[tuple[Device, ...], Field(min_length=1)]

    @property
    def folder(self) -> Path:
        """Where lease, epoch and journals are kept."""
        root = os.environ.get("SPINSWEEP_STATE") or "~/.local/state/spinsweep"
        return _of_user(self.state) if self.state else _of_user(root) / self.name

    @property
    def instruments(self) -> dict[str, Instrument]:
        """The instruments by role: source, meter and, if there is one, switch."""
        found: dict[str, Instrument] = {"source": self.source, "meter": self.meter}
        return found if self.switch is None else {**found, "switch": self.switch}

    @property
    def needs(self) -> dict[str, float]:
        """Dask resources of work on this bench."""
        return {EXCLUSIVE: 1, f"bench:{self.name}": 1}

    @property
    def emulated(self) -> bool:
        """Whether all instruments are an emulator's."""
        return all(i.emulated for i in self.instruments.values())

    def limits_of(self, device: Device) -> Limits:
        """The limits that hold for a device."""
        return self.limits.model_copy(update=device.limits.model_dump(exclude_none=True))

    def range_of(self, device: Device) -> float:
        """The source's range for a device, A."""
        return self.source.range if device.range is None else device.range

    def check_of(self, device: Device) -> Check | None:
        """The currents with which a device is tried, if the file says any."""
        return device.check or self.check

    @property
    def cycle_time(self) -> float:
        """Time of one reset, read, write, read cycle, bench s."""
        return 2 * (self.timing.pulse_width + self.timing.read_time + 2 * self.timing.gap)

    @property
    def busy_time(self) -> float:
        """Of it, how long the source is used, bench s."""
        return 2 * (self.timing.pulse_width + self.timing.read_time)

    def named(self, name: str) -> Device:
        """The device called ``name``; ``BenchError`` with the names there are."""
        for device in self.device:
            if device.name == name:
                return device
        raise BenchError(f"bench {self.name} has no device {name!r}; it has {', '.join(d.name for d in self.device)}")

    def at(self, **labels: Label) -> Device:
        """The device with these labels, of those it has; ``BenchError`` if there is none or more than one."""
        found = [d for d in self.device if _agree(d.labels, labels)]
        if len(found) == 1:
            return found[0]
        requested = ", ".join(f"{k}={v}" for k, v in labels.items())
        have = "; ".join(", ".join(f"{k}={v}" for k, v in d.labels.items()) for d in self.device)
        raise BenchError(f"bench {self.name} has {len(found) or 'no'} devices at {requested}; it has {have}")

    def values(self, label: str) -> list[Label]:
        """The different values of a label, in the order of the file."""
        return list(dict.fromkeys(d.labels[label] for d in self.device if label in d.labels))


def fingerprint(bench: Mapping[str, Any]) -> dict[str, Any]:
    """Of a bench as a mapping, what can change a reading: no addresses, limits and speed."""
    timing = {k: v for k, v in bench["timing"].items() if k not in ("speed", "interleave")}
    return {
        "name": bench["name"],
        "serials": [bench[role]["serial"] for role in ("source", "meter", "switch") if bench[role]],
        "source": [bench["source"]["range"], bench["source"]["compliance"]],
        "meter": [bench["meter"]["range"], bench["meter"]["nplc"]],
        "timing": timing,
        "polarity": bench["polarity"],
        "devices": [[d["name"], d["labels"], d["range"]] for d in bench["device"]],
    }


def load(path: str | Path) -> Bench:
    """The bench in a TOML file.

    Raises
    ------
    BenchError
        One line: the file, the key, what is wrong and what would be right.
    """
    try:
        text = text_of(path)
    except Unreadable as error:
        raise BenchError(f"{path}: {error}; give a bench file in TOML") from None
    try:
        return parse(toml(text), str(path))
    except Unreadable as error:
        raise BenchError(f"{path}: {error}") from None


def parse(raw: Mapping[str, Any], name: str = "bench") -> Bench:
    """The bench in a mapping, checked; ``name`` stands for the file in messages."""
    try:
        bench = Bench.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(p) for p in first["loc"]) or "file"
        given = first.get("input")
        shown = "" if isinstance(given, dict | list) else f" ({json.dumps(given, default=str)} given)"
        raise BenchError(f"{name}: {where}: {first['msg'][0].lower()}{first['msg'][1:]}{shown}") from None
    for problem in _problems(bench):
        raise BenchError(f"{name}: {problem}")
    return bench


def _problems(bench: Bench) -> list[str]:
    """What contradicts itself in a bench whose parts are right by themselves."""
    found: list[str] = []
    try:
        Path(bench.state).expanduser()
    except RuntimeError:
        found.append(f"state: there is no user {Path(bench.state).parts[0]} here")
    resources = [i.address for i in bench.instruments.values()]
    names = [d.name for d in bench.device]
    channels = [c for d in bench.device for c in d.channels]
    found += [f"resource {r!r} stands twice" for r in _twice(resources)]
    found += [f"device {n!r} stands twice; names differ" for n in _twice(names)]
    found += [f"channel {c!r} stands twice; no two devices share a relay" for c in _twice(channels)]
    if bench.timing.speed != 1 and not bench.emulated:
        found.append(
            f"timing.speed: {bench.timing.speed:g} is for emulated instruments (serial {EMULATED}...); leave it out"
        )
    if bench.switch is None and len(bench.device) > 1:
        found.append(f"{len(bench.device)} devices need a [switch]; without one a bench has one device")
    for device in bench.device:
        where = f"device {device.name}"
        limits = bench.limits_of(device)
        if (bench.switch is None) == bool(device.channels):
            wanted = "name its relays as channels" if bench.switch else "leave channels out, or describe the [switch]"
            found.append(f"{where}: channels {list(device.channels)}; {wanted}")
        if bench.range_of(device) not in RANGES:
            found.append(f"{where}: range {bench.range_of(device):g} A; it is one of {', '.join(map(str, RANGES))}")
        if limits.max_pulse > OVERRANGE * bench.range_of(device):
            found.append(
                f"{where}: max_pulse {limits.max_pulse:g} A is beyond the source's range {bench.range_of(device):g} A"
            )
        if not limits.min_width <= bench.timing.pulse_width <= limits.max_width:
            found.append(
                f"{where}: timing.pulse_width {bench.timing.pulse_width:g} s is not within "
                f"{limits.min_width:g} to {limits.max_width:g} s"
            )
        if bench.source.compliance > limits.max_compliance:
            found.append(
                f"{where}: source.compliance {bench.source.compliance:g} V is above max_compliance "
                f"{limits.max_compliance:g} V"
            )
        check = bench.check_of(device)
        if check is not None and (check.pulse > limits.max_pulse or check.read > limits.max_read):
            found.append(
                f"{where}: check.pulse {check.pulse:g} A and check.read {check.read:g} A have to be within max_pulse "
                f"{limits.max_pulse:g} A and max_read {limits.max_read:g} A"
            )
        if bench.timing.gap < limits.min_gap:
            found.append(f"{where}: timing.gap {bench.timing.gap:g} s is below min_gap {limits.min_gap:g} s")
    if bench.meter.range not in METER_RANGES:
        found.append(f"meter.range: {bench.meter.range:g} V; it is one of {', '.join(map(str, METER_RANGES))}")
    if bench.meter.nplc / bench.timing.mains > bench.timing.read_time:
        found.append(
            f"meter.nplc: {bench.meter.nplc:g} takes {bench.meter.nplc / bench.timing.mains:g} s, "
            f"longer than timing.read_time {bench.timing.read_time:g} s"
        )
    return found


def _of_user(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise BenchError(f"{path}: there is no user {Path(path).parts[0]} here; give another folder") from None


def _twice(items: list[str]) -> list[str]:
    return [item for position, item in enumerate(items) if item in items[:position]]


def _agree(have: Mapping[str, Label], requested: Mapping[str, Label]) -> bool:
    return all(k in have and _canonical(have[k]) == _canonical(v) for k, v in requested.items())


def _canonical(value: Label) -> Label:
    return canonical(value, "float") if isinstance(value, float | int) else value
