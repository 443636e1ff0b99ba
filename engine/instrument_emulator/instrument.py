"""What all instruments have in common: common commands, status commands, settings and their queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from instrument_emulator.circuit import Circuit
from instrument_emulator.errors import EmulatorError
from instrument_emulator.scpi import Command, Language, ScpiError
from instrument_emulator.status import OPERATION_COMPLETE, Register, Status
from instrument_emulator.values import Integer, ParameterType, exactly_one


@dataclass(frozen=True)
class ScpiSetting:
    """A value that a command sets and its query gives."""

    pattern: str
    name: str
    kind: ParameterType
    default: Any


class Instrument:
    """One instrument on a bench.

    Parameters
    ----------
    role : its name on the bench
    serial : serial number in its identity
    circuit : the bench
    """

    identity: str
    """Reply to ``*IDN?``, with ``{serial}``."""
    settings: Sequence[ScpiSetting] = ()
    single_client = False
    """Whether a second connection is closed at once while there is one."""

    def __init__(self, role: str, serial: str, circuit: Circuit) -> None:
        self.role, self.serial, self.circuit = role, serial, circuit
        self.status = Status()
        self.values: dict[str, Any] = {}
        self._language = Language(self.commands())
        self.reset()

    def commands(self) -> Iterator[Command]:
        """All commands; an instrument adds its own."""
        yield Command("*IDN?", self._identify)
        yield Command("*RST", self.reset)
        yield Command("*CLS", lambda: self.status.clear())
        yield from self._mask("*ESE", lambda: self.status, "event_enable", 255)
        yield Command("*ESR?", lambda: str(self.status.take_events()))
        yield from self._mask("*SRE", lambda: self.status, "service_enable", 255)
        yield Command("*STB?", lambda: str(self.status.byte()))
        yield Command("*OPC", self._operation_complete)
        yield Command("*OPC?", lambda: "1")
        yield Command("*WAI", lambda: None)
        yield Command("*TST?", lambda: "0")
        yield Command("SYSTem:VERSion?", lambda: "1999.0")
        yield Command("SYSTem:CLEar", lambda: self.status.errors.clear())
        yield Command("SYSTem:ERRor[:NEXT]?", lambda: self.status.next_error())
        yield Command("STATus:QUEue[:NEXT]?", lambda: self.status.next_error())
        yield Command("STATus:QUEue:CLEar", lambda: self.status.errors.clear())
        yield Command("STATus:PRESet", lambda: self.status.preset())
        for pattern in ("OPERation", "MEASurement", "QUEStionable"):
            yield from self._register(f"STATus:{pattern}", pattern.lower())
        for setting in self.settings:
            yield Command(setting.pattern, self._setter(setting), exactly_one(setting.kind))
            yield Command(f"{setting.pattern}?", self._asker(setting))

    def execute(self, message: str) -> str:
        """Do what a message says; the replies joined by ``;``, without terminator, empty if there are none."""
        replies: list[str] = []
        for act, parameters in self._language.compile(message):
            self.pass_time()
            try:
                reply = act(*parameters)
            except ScpiError as error:
                self.status.error(error.code)
                if error.ends_message:
                    break
            else:
                if reply is not None:
                    replies.append(reply)
        return ";".join(replies)

    def pass_time(self) -> None:
        """Called before each command of a message: time has passed since the one before."""

    def reset(self) -> None:
        """``*RST``: settings at their defaults; the status stays."""
        self.values.update({setting.name: setting.default for setting in self.settings})

    def power_cycle(self) -> None:
        """Off and on: settings at their defaults, a fresh status with the power-on bit."""
        self.reset()
        self.status = Status()

    def attach(self, other: Instrument) -> None:
        """Put another instrument at the serial port, to which this one relays.

        Raises
        ------
        EmulatorError
            It has no such port.
        """
        raise EmulatorError(f"{self.role}: it relays to no other instrument; {other.role} cannot be behind it")

    def faults_changed(self) -> None:
        """Called when a lasting fault has begun or ended."""

    def state(self) -> dict[str, Any]:
        """What the control port shows of the instrument; JSON values."""
        return {}

    def check(self, setting: ScpiSetting, value: Any) -> None:
        """Raise ``ScpiError`` if a setting must not take that value now."""

    def changed(self, setting: ScpiSetting) -> None:
        """Called after a setting has been set."""

    def _setter(self, setting: ScpiSetting) -> Any:
        def put(value: Any) -> None:
            self.check(setting, value)
            self.values[setting.name] = value
            self.changed(setting)

        return put

    def _asker(self, setting: ScpiSetting) -> Any:
        values, name, show = self.values, setting.name, setting.kind.show
        return lambda: show(values[name])

    def _register(self, path: str, name: str) -> Iterator[Command]:
        def register() -> Register:
            register: Register = getattr(self.status, name)
            return register

        yield Command(f"{path}[:EVENt]?", lambda: str(register().take()))
        yield Command(f"{path}:CONDition?", lambda: str(register().condition))
        yield from self._mask(f"{path}:ENABle", register, "enable", 65535)

    @staticmethod
    def _mask(pattern: str, owner: Callable[[], Any], name: str, most: int) -> Iterator[Command]:
        """Bits that a command sets and its query gives; a power cycle gives them a new owner."""
        yield Command(pattern, lambda mask: setattr(owner(), name, mask), exactly_one(Integer(0, most)))
        yield Command(f"{pattern}?", lambda: str(getattr(owner(), name)))

    def _identify(self) -> str:
        fault = self.circuit.faults.lasting("idn", self.role)
        return str(fault["text"]) if fault else self.identity.format(serial=self.serial)

    def _operation_complete(self) -> None:
        self.status.events |= OPERATION_COMPLETE
