"""What can go wrong on an emulated bench, when, and for how long.

A fault belongs to an instrument and may be limited to one device.  *Occasional* faults (a reply cut short) wait for
an occasion; ``after`` of these pass unharmed, then ``times`` are hit, or all until the fault is cleared.  *Lasting*
ones (an open contact) hold for a while; ``after`` and ``times`` then count messages to the instrument.  With
``match`` only messages count that contain this text.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from instrument_emulator.errors import EmulatorError

SOURCE, METER, SWITCH = "source", "meter", "switch"
"""Roles that kinds of faults belong to."""


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault: what it does, which instruments can have it, its values with their defaults."""

    effect: str
    roles: tuple[str, ...] = ()
    """Instruments that can have it; empty: every one."""
    _: KW_ONLY
    lasting: bool = False
    of_device: bool = False
    """Whether it can be limited to a device."""
    values: Mapping[str, Any] = field(default_factory=dict)


KINDS: Mapping[str, FaultKind] = {
    "refuse": FaultKind("nobody listens at the address", lasting=True),
    "hold": FaultKind("after a connection ends, new ones are closed at once for `seconds` (real time)",
                      lasting=True, values={"seconds": 30.0}),
    "drop": FaultKind("the connection is closed instead of a reply", values={"executed": True}),
    "reset": FaultKind("the connection is reset instead of a reply", values={"executed": True}),
    "partial": FaultKind("half a reply; the rest comes before the next one"),
    "slow": FaultKind("the reply is late by `seconds` (real time)", values={"seconds": 1.0}),
    "stray": FaultKind("a second line follows the reply", values={"text": "0"}),
    "garbage": FaultKind("bytes that are no text instead of the reply"),
    "crlf": FaultKind("replies end in CR LF", lasting=True),
    "idn": FaultKind("another identity in *IDN?", lasting=True, values={"text": "ACME INC.,MODEL 1,0,1"}),
    "swap": FaultKind("the address leads to the `other` instrument, and back", lasting=True, values={"other": METER}),
    "power_cycle": FaultKind("off and on before a message: settings of *RST, PON"),
    "errors": FaultKind("the error queue overflows before a message"),
    "foreign": FaultKind("another program sends `text` just before a message, as on GPIB it may",
                         values={"text": "*RST"}),
    "local_key": FaultKind("somebody presses LOCAL, and types in `text`, just before a message",
                           values={"text": ""}),
    "quench": FaultKind("the magnet has quenched, or its supply has tripped: no current flows", lasting=True),
    "flow_switch": FaultKind("the flow switch of a magnet's cooling water is open", lasting=True),
    "read_back": FaultKind("a magnet's current is measured larger by 1 + `relative`", lasting=True,
                           values={"relative": 0.05}),
    "temperature": FaultKind("the thermometer is at `kelvin`", lasting=True, values={"kelvin": 300.0}),
    "sensor": FaultKind("the sensor of the thermometer is open", lasting=True),
    "overload": FaultKind("a stage of the lock-in is overloaded: `bits` of LIAS?", (METER,), lasting=True,
                          values={"bits": 1}),
    "unlocked": FaultKind("the lock-in sees no reference", (METER,), lasting=True),
    "compliance": FaultKind("only a `fraction` of a current flows, at the voltage limit", (SOURCE,),
                            of_device=True, values={"fraction": 0.5}),
    "range_low": FaultKind("arming fails with -222", (SOURCE,)),
    "slow_arm": FaultKind("arming takes `seconds` (bench time)", (SOURCE,), values={"seconds": 3.0}),
    "interlock": FaultKind("the interlock is open", (SOURCE,), lasting=True),
    "open": FaultKind("a contact of the device is open", (SOURCE,), lasting=True, of_device=True),
    "short": FaultKind("the device is shorted", (SOURCE,), lasting=True, of_device=True),
    "stuck": FaultKind("pulses have no effect", (SOURCE,), lasting=True, of_device=True),
    "offset": FaultKind("`ohm` are added to the resistance", (SOURCE,),
                        lasting=True, of_device=True, values={"ohm": 1.0}),
    "bias": FaultKind("the device acts as if the current were smaller by 1 + `relative`", (SOURCE,),
                      lasting=True, of_device=True, values={"relative": 0.05}),
    "overflow": FaultKind("a reading is the overflow mark", (METER,), of_device=True),
    "nan": FaultKind("a reading is NAN", (METER,), of_device=True),
    "units": FaultKind("a reading carries its unit", (METER,), of_device=True),
    "stale": FaultKind("a reading is the one before", (METER,), of_device=True),
    "relay_open": FaultKind("a relay does not close", (SWITCH,), lasting=True, values={"channel": ""}),
    "relay_closed": FaultKind("a relay does not open", (SWITCH,), lasting=True, values={"channel": "1!1"}),
}  # fmt: skip


@dataclass
class Fault:
    """One fault that is set."""

    name: str
    role: str
    device: str | None
    after: int
    times: float
    """Occasions left to hit; infinite until cleared."""
    match: str
    values: Mapping[str, Any]
    active: bool
    """Whether a lasting fault holds now."""

    def concerns(self, name: str, role: str, devices: Collection[str]) -> bool:
        """Whether this is a fault of that name, instrument and, if it is limited, device."""
        return self.name == name and self.role == role and (self.device is None or self.device in devices)

    def report(self) -> dict[str, Any]:
        """The fault as a JSON value."""
        times = None if math.isinf(self.times) else int(self.times)
        what = {"fault": self.name, "instrument": self.role, "device": self.device}
        return {**what, "after": self.after, "times": times, **self.values}

    def passes(self) -> bool:
        """Count one occasion; whether it is hit."""
        if self.after:
            self.after -= 1
            return False
        self.times -= 1
        return True


class Faults:
    """The faults that are set on one bench."""

    def __init__(self, roles: Collection[str], devices: Collection[str]) -> None:
        self._roles, self._devices = roles, devices
        self._set: list[Fault] = []

    def __bool__(self) -> bool:
        return bool(self._set)

    def set(
        self,
        fault: str,
        instrument: str | None = None,
        device: str | None = None,
        after: int = 0,
        times: int | None = None,
        match: str = "",
        **values: Any,
    ) -> None:
        """Set a fault; ``times`` None is once for an occasional one, until cleared for a lasting one, and 0 until
        cleared for both.

        Raises
        ------
        EmulatorError
            There is no such fault, instrument, device or value.
        """
        kind = KINDS.get(fault)
        if kind is None:
            raise EmulatorError(unknown(fault))
        role = kind.roles[0] if instrument is None and len(kind.roles) == 1 else instrument
        possible = [r for r in self._roles if r in kind.roles or not kind.roles]
        if role not in possible:
            raise EmulatorError(
                f"fault {fault}: instrument {role!r}; it is one of {', '.join(possible) or 'none on this bench'}"
                f"{_meant(role, possible)}"
            )
        if device is not None and (not kind.of_device or device not in self._devices):
            devices = f"it is one of {', '.join(self._devices)}{_meant(device, self._devices)}"
            expected = devices if kind.of_device else "this fault has none"
            raise EmulatorError(f"fault {fault}: device {device!r}; {expected}")
        for key, value in {"after": after, "times": times or 0}.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise EmulatorError(f"fault {fault}: {key} {value!r}; it must be a whole number from 0")
        for key, value in values.items():
            if key not in kind.values or not _same_kind(value, kind.values[key]):
                known = ", ".join(f"{k} (such as {v!r})" for k, v in kind.values.items())
                raise EmulatorError(f"fault {fault}: {key}={value!r}; its values are {known or 'none'}")
        if values.get("other", role) not in self._roles:
            raise EmulatorError(f"fault {fault}: other {values['other']!r}; it is one of {', '.join(self._roles)}")
        if times is None:
            times = 0 if kind.lasting else 1
        all_values = {**kind.values, **values}
        active = kind.lasting and not after
        self._set.append(Fault(fault, role, device, after, times or math.inf, match, all_values, active))

    def clear(self, fault: str | None = None, instrument: str | None = None) -> None:
        """Clear all faults, or those of that name, or of that instrument."""
        self._set = [f for f in self._set if fault not in (None, f.name) or instrument not in (None, f.role)]

    def message(self, role: str, message: str) -> bool:
        """Count a message for the lasting faults of an instrument; whether any begins or ends with it."""
        changed = False
        for fault in list(self._set):
            if fault.role != role or not KINDS[fault.name].lasting or fault.match not in message:
                continue
            before = fault.active
            fault.active = fault.times > 0 and fault.passes()
            if fault.times <= 0 and not fault.active:
                self._set.remove(fault)
            changed |= fault.active != before
        return changed

    def take(
        self, name: str, role: str, message: str = "", devices: Collection[str] = ()
    ) -> Mapping[str, Any] | None:
        """An occasion for an occasional fault: its values if it is hit, else None."""
        for fault in self._set:
            if fault.concerns(name, role, devices) and fault.match in message:
                if not fault.passes():
                    return None
                if fault.times <= 0:
                    self._set.remove(fault)
                return fault.values
        return None

    def lasting(self, name: str, role: str, device: str | None = None) -> Mapping[str, Any] | None:
        """The values of a lasting fault that holds now, else None."""
        devices = () if device is None else (device,)
        return next((f.values for f in self._set if f.active and f.concerns(name, role, devices)), None)

    def every(self, name: str, role: str) -> list[Mapping[str, Any]]:
        """The values of all faults of one lasting kind that hold now."""
        return [f.values for f in self._set if f.active and f.concerns(name, role, ())]

    def swapped(self, role: str) -> str:
        """The instrument that answers at the address of ``role``."""
        for fault in self._set:
            if fault.name == "swap" and fault.active and role in (fault.role, fault.values["other"]):
                return fault.values["other"] if role == fault.role else fault.role
        return role

    def report(self) -> list[dict[str, Any]]:
        """The faults that are set, as JSON values."""
        return [fault.report() for fault in self._set]


def unknown(fault: str) -> str:
    """What to say of a fault that there is not, in one line."""
    return f"there is no fault {fault!r}{_meant(fault, KINDS)}; faults are {', '.join(KINDS)}"


def _meant(word: str | None, known: Iterable[str]) -> str:
    """' (did you mean ...?)' or '' for a word that is none of those."""
    close = difflib.get_close_matches(word or "", known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _same_kind(value: Any, default: Any) -> bool:
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, type(default))
