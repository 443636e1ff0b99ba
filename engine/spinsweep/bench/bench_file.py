"""The bench file: which instruments stand at which addresses, what hangs on them, and what must never be exceeded.

It is TOML, parsed as data.  Each instrument's section is its driver's, see :mod:`spinsweep.bench.section`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SerializeAsAny, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from spinsweep.axis import canonical
from spinsweep.bench.auxiliary import problems as auxiliary_problems
from spinsweep.bench.capabilities import AUXILIARY, METER, SOURCE, SWITCH
from spinsweep.bench.drivers import driver, driver_for_model, driver_of, section_of
from spinsweep.bench.errors import BenchError
from spinsweep.bench.parts import Check, Device, Label, Limits, Name, Part, Polarity, Timing
from spinsweep.bench.section import EMULATED, InstrumentSection, SourceSection, Wired
from spinsweep.bench.sharing import sharing_problems, with_owners
from spinsweep.files import first_mistake, read
from spinsweep.resources import EXCLUSIVE

MAIN_ROLES = (SOURCE, METER, SWITCH)


def _by_driver(role: str) -> WrapValidator:
    """Reads an instrument's section as its driver describes it."""

    def section(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        if not isinstance(value, Mapping):
            return handler(value)
        try:
            if "model" in value:
                name = driver_for_model(role, value["model"])
                raise BenchError(f'model = {value["model"]!r} is now driver = "{name}"; write that instead')
            chosen = driver_of(role, value.get("driver"))
        except BenchError as error:
            raise PydanticCustomError("driver", "{problem}", {"problem": str(error)}) from None
        return section_of(role, chosen).model_validate_json(json.dumps(value, default=str))

    return WrapValidator(section)


class Bench(Part):
    """A whole bench file."""

    name: Name
    """Of the bench: its lane, journals and Dask resources have it."""
    backend: str = "@py"
    """pyvisa backend: ``@py`` (pyvisa-py), ``@ivi`` (a vendor's library), or a path."""
    state: str = ""
    """Folder of epoch and journals; empty: that of the bench's name in ``$SPINSWEEP_STATE``, else in
    ``~/.local/state/spinsweep``."""
    lease: str = ""
    """Folder that all machines share which can reach these instruments, and all accounts that use them: who owns an
    instrument is locked there, and the pulses of devices with a serial number are counted there; empty: none."""
    source: Annotated[SerializeAsAny[SourceSection], _by_driver(SOURCE)]
    """The pulse source."""
    meter: Annotated[SerializeAsAny[InstrumentSection], _by_driver(METER)]
    """The voltmeter."""
    switch: Annotated[SerializeAsAny[InstrumentSection], _by_driver(SWITCH)] | None = None
    """The switch between the devices; left out, there is none."""
    auxiliary: dict[Name, Annotated[SerializeAsAny[InstrumentSection], _by_driver(AUXILIARY)]] = Field(
        default_factory=dict
    )
    """Further instruments by name."""
    timing: Timing = Timing()
    """When things happen."""
    polarity: Polarity = Polarity()
    """Signs of pulses and states."""
    limits: Limits
    """What must never be exceeded."""
    check: Check | None = None
    """Currents of ``spinsweep bench check``."""
    device: Annotated[tuple[Device, ...], Field(min_length=1)]
    """The devices, each in a section ``[[device]]``."""

    @property
    def folder(self) -> Path:
        """Where lease, epoch and journals are kept."""
        return _of_user(self.state) if self.state else state_root() / self.name

    @property
    def instruments(self) -> dict[str, InstrumentSection]:
        """The instruments by role: source, meter, if there is one the switch, and the auxiliary ones by name."""
        switch = {} if self.switch is None else {SWITCH: self.switch}
        return {SOURCE: self.source, METER: self.meter, **switch, **self.auxiliary}

    @property
    def channels(self) -> tuple[str, ...]:
        """All relays that lead to devices."""
        return tuple(c for d in self.device for c in d.channels)

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

    def named(self, name: str) -> Device:
        """The device called ``name``; ``BenchError`` with the names there are."""
        for device in self.device:
            if device.name == name:
                return device
        raise BenchError(f"bench {self.name} has no device {name!r}; it has {', '.join(d.name for d in self.device)}")

    def device_with(self, **labels: Label) -> Device:
        """The device with these labels, of those it has; ``BenchError`` if there is none or more than one."""
        matching = [d for d in self.device if _agree(d.labels, labels)]
        if len(matching) == 1:
            return matching[0]
        requested = ", ".join(f"{k}={v}" for k, v in labels.items())
        have = "; ".join(", ".join(f"{k}={v}" for k, v in d.labels.items()) for d in self.device)
        number = "several devices" if matching else "no device"
        raise BenchError(f"bench {self.name} has {number} with labels {requested}; it has {have}")

    def values(self, label: str) -> list[Label]:
        """The different values of a label, in the order of the file."""
        return list(dict.fromkeys(d.labels[label] for d in self.device if label in d.labels))


def fingerprint(bench: Mapping[str, Any]) -> dict[str, Any]:
    """Of a bench as a mapping, what can change a reading: no addresses, limits and speed.

    What an old bench file did not have (auxiliary instruments) is absent while there is none, so that the cubes and
    journals of old benches go on.
    """
    timing = {k: v for k, v in bench["timing"].items() if k not in ("speed", "interleave")}
    auxiliary = bench.get(AUXILIARY) or {}
    return {
        "name": bench["name"],
        "serials": [bench[role]["serial"] for role in MAIN_ROLES if bench[role]],
        "source": _reading_values(SOURCE, bench[SOURCE]),
        "meter": _reading_values(METER, bench[METER]),
        "timing": timing,
        "polarity": bench["polarity"],
        "devices": [[d["name"], d["labels"], d["range"], *_serial(d)] for d in bench["device"]],
        **(
            {AUXILIARY: {n: [a["serial"], *_reading_values(AUXILIARY, a)] for n, a in auxiliary.items()}}
            if auxiliary
            else {}
        ),
    }


def _serial(device: Mapping[str, Any]) -> list[Any]:
    """A device's serial number; none of a device that has none, as in old bench files."""
    return [device["serial"]] if device.get("serial") else []


def _reading_values(role: str, section: Mapping[str, Any]) -> list[Any]:
    return [section[key] for key in section_of(role, driver(section["driver"])).reading_keys]


def state_root() -> Path:
    """Where the folders of benches are, unless a bench file says otherwise."""
    return _of_user(os.environ.get("SPINSWEEP_STATE") or "~/.local/state/spinsweep")


def load(path: str | Path) -> Bench:
    """The bench in a TOML file.

    Raises
    ------
    BenchError
        One line: the file, the key, what is wrong and what would be right.
    """
    return parse(read(path, "a bench file in TOML", BenchError), str(path))


def parse(raw: Mapping[str, Any], name: str = "bench") -> Bench:
    """The bench in a mapping, checked; ``name`` stands for the file in messages."""
    try:
        bench = Bench.model_validate_json(json.dumps(with_owners(raw, AUXILIARY), default=str))
    except ValidationError as error:
        location, message, value_text = first_mistake(error)
        raise BenchError(f"{name}: {location}: {message}{value_text}") from None
    except BenchError as error:
        raise BenchError(f"{name}: {error}") from None
    for problem in _problems(bench):
        raise BenchError(f"{name}: {problem}")
    return bench


def _problems(bench: Bench) -> Iterator[str]:
    """What contradicts itself in a bench whose parts are right by themselves."""
    try:
        Path(bench.state).expanduser()
    except RuntimeError:
        yield f"state: there is no user {Path(bench.state).parts[0]} here"
    try:
        Path(bench.lease).expanduser()
    except RuntimeError:
        yield f"lease: there is no user {Path(bench.lease).parts[0]} here"
    for serial in _repeated([d.serial for d in bench.device if d.serial]):
        yield f"serial {serial!r} of a device stands twice"
    for resource in _repeated([i.address for i in bench.instruments.values() if not i.shares]):
        yield f"resource {resource!r} stands twice"
    for role, instrument in bench.instruments.items():
        for problem in (*instrument.link_problems(), *sharing_problems(role, bench.instruments)):
            yield f"{role}: {problem}"
    for name in _repeated([*(d.name for d in bench.device)]):
        yield f"device {name!r} stands twice; names differ"
    for channel in _repeated([*bench.channels]):
        yield f"channel {channel!r} stands twice; no two devices share a relay"
    for role in set(MAIN_ROLES) & set(bench.auxiliary):
        yield f"auxiliary.{role}: that is the name of a role; choose another"
    if bench.timing.speed != 1 and not bench.emulated:
        yield f"timing.speed: {bench.timing.speed:g} is for emulated instruments (serial {EMULATED}...); leave it out"
    if bench.switch is None and len(bench.device) > 1:
        yield f"{len(bench.device)} devices need a [switch]; without one a bench has one device"
    wired = [Wired(device, bench.range_of(device), bench.limits_of(device)) for device in bench.device]
    for name, instrument in bench.instruments.items():
        where = f"{AUXILIARY}.{name}: " if name in bench.auxiliary else ""
        yield from (where + problem for problem in instrument.problems(bench.timing, wired))
    yield from auxiliary_problems(bench.auxiliary)
    if bench.source.read_frequency_hz != bench.meter.read_frequency_hz:
        source, meter = (f"{i.read_frequency_hz:g} Hz" for i in (bench.source, bench.meter))
        yield f"the source reads with {source} and the meter reads at {meter} (0: direct); they have to be the same"
    for device in bench.device:
        for problem in _device_problems(bench, device, bench.limits_of(device)):
            yield f"device {device.name}: {problem}"


def _device_problems(bench: Bench, device: Device, limits: Limits) -> Iterator[str]:
    """What contradicts itself in the part of one device."""
    if (bench.switch is None) == bool(device.channels):
        remedy = "name its relays as channels" if bench.switch else "leave channels out, or describe the [switch]"
        yield f"channels {list(device.channels)}; {remedy}"
    if not limits.min_width <= bench.timing.pulse_width <= limits.max_width:
        yield (
            f"timing.pulse_width {bench.timing.pulse_width:g} s is not within "
            f"{limits.min_width:g} to {limits.max_width:g} s"
        )
    if bench.source.compliance > limits.max_compliance:
        yield (f"source.compliance {bench.source.compliance:g} V is above max_compliance {limits.max_compliance:g} V")
    if limits.max_read > limits.max_pulse:
        yield f"max_read {limits.max_read:g} A is above max_pulse {limits.max_pulse:g} A; a read is the smaller one"
    check = bench.check_of(device)
    if check is not None and (check.pulse > limits.max_pulse or check.read > limits.max_read):
        yield (
            f"check.pulse {check.pulse:g} A and check.read {check.read:g} A have to be within max_pulse "
            f"{limits.max_pulse:g} A and max_read {limits.max_read:g} A"
        )
    if bench.timing.gap < limits.min_gap:
        yield f"timing.gap {bench.timing.gap:g} s is below min_gap {limits.min_gap:g} s"


def _of_user(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise BenchError(f"{path}: there is no user {Path(path).parts[0]} here; give another folder") from None


def _repeated(items: list[str]) -> list[str]:
    return [item for position, item in enumerate(items) if item in items[:position]]


def _agree(have: Mapping[str, Label], requested: Mapping[str, Label]) -> bool:
    return all(k in have and _canonical(have[k]) == _canonical(v) for k, v in requested.items())


def _canonical(value: Label) -> Label:
    return canonical(value, "float") if isinstance(value, float | int) else value
