"""What all instruments have in common: common commands, status commands, settings and their queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from instrument_emulator.circuit import Circuit
from instrument_emulator.errors import EmulatorError
from instrument_emulator.scpi import Command, Language, ScpiError
from instrument_emulator.status import OPERATION_COMPLETE, Register, Status
from instrument_emulator.values import Choice, Integer, ParameterType, exactly_one, limit_of

_BASES = {"HEX": "#H{:X}", "OCT": "#Q{:o}", "BIN": "#B{:b}"}


@dataclass(frozen=True)
class ScpiSetting:
    """A value that a command sets and its query gives; with MIN, MAX or DEF behind it the query gives that one."""

    pattern: str
    name: str
    kind: ParameterType
    default: Any
    """Its value after ``*RST``."""
    acts: str = ""
    """What follows from it, in a few words; empty: nothing, it is kept and read back."""
    preset: Any = None
    """Its value after ``SYSTem:PRESet``, where that is another one."""


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
    sources: Mapping[str, str] = {}
    """What the commands whose patterns begin so were checked against, for the page of commands."""
    single_client = False
    """Whether a second connection is closed at once while there is one."""
    memories = 1
    """How many setups ``*SAV`` keeps."""
    queue_overflow = 350
    """The error that says that the error queue is full."""

    def __init__(self, role: str, serial: str, circuit: Circuit) -> None:
        self.role, self.serial, self.circuit = role, serial, circuit
        self.status = Status(self.queue_overflow)
        self.values: dict[str, Any] = {}
        self._saved: dict[int, dict[str, Any]] = {}
        self._language = Language(self.commands())
        self.reset()

    def commands(self) -> Iterator[Command]:
        """All commands; an instrument adds its own."""
        yield Command("*IDN?", self._identify)
        yield Command("*OPT?", lambda: "0", does="no option is installed")
        yield Command("*RST", self.reset, does="settings at their defaults; status and saved setups stay")
        yield Command("*CLS", lambda: self.status.clear(), does="clears events and errors")
        yield from self._mask("*ESE", lambda: self.status, "event_enable", 255)
        yield Command("*ESR?", lambda: self._bits(self.status.take_events()))
        yield from self._mask("*SRE", lambda: self.status, "service_enable", 255)
        yield Command("*STB?", lambda: self._bits(self.status.byte()))
        yield Command("*OPC", self._operation_complete, does="sets bit 0 of the standard events at once")
        yield Command("*OPC?", lambda: "1")
        yield Command("*WAI", lambda: None, does="nothing: commands are done one after the other")
        yield Command("*TST?", lambda: "0")
        memory = exactly_one(Integer(0, self.memories - 1))
        yield Command("*SAV", self._save, memory, does=f"keeps the settings, at 0 to {self.memories - 1}")
        yield Command("*RCL", self._recall, memory, does="settings as kept, or those of *RST; outputs are off")
        yield Command("SYSTem:PRESet", self._preset, does="settings of a bench without a computer")
        yield Command("SYSTem:VERSion?", lambda: "1999.0")
        yield Command("SYSTem:CLEar", lambda: self.status.errors.clear(), does="empties the error queue")
        yield Command("SYSTem:ERRor[:NEXT]?", lambda: self.status.next_error())
        yield Command("STATus:QUEue[:NEXT]?", lambda: self.status.next_error())
        yield Command("STATus:QUEue:CLEar", lambda: self.status.errors.clear(), does="empties the error queue")
        yield Command("STATus:PRESet", lambda: self.status.preset(), does="no event is summarised")
        for pattern in ("OPERation", "MEASurement", "QUEStionable"):
            yield from self._register(f"STATus:{pattern}", pattern.lower())
        for setting in self.settings:
            yield Command(setting.pattern, self._setter(setting), exactly_one(setting.kind, setting.default))
            yield Command(f"{setting.pattern}?", self._asker(setting), limit_of(setting.kind, setting.default))

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
        self.status = Status(self.queue_overflow)

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
        return lambda *limit: show(limit[0] if limit else values[name])

    def _save(self, memory: int) -> None:
        self._saved[memory] = dict(self.values)

    def _recall(self, memory: int) -> None:
        self.reset()
        self.values.update(self._saved.get(memory, {}))

    def _preset(self) -> None:
        self.reset()
        self.values.update({s.name: s.preset for s in self.settings if s.preset is not None})

    def _register(self, path: str, name: str) -> Iterator[Command]:
        def register() -> Register:
            register: Register = getattr(self.status, name)
            return register

        yield Command(f"{path}[:EVENt]?", lambda: self._bits(register().take()))
        yield Command(f"{path}:CONDition?", lambda: self._bits(register().condition))
        yield from self._mask(f"{path}:ENABle", register, "enable", 65535)

    def _mask(self, pattern: str, owner: Callable[[], Any], name: str, most: int) -> Iterator[Command]:
        """Bits that a command sets and its query gives; a power cycle gives them a new owner."""
        enable = exactly_one(Integer(0, most))
        yield Command(pattern, lambda mask: setattr(owner(), name, mask), enable, does="which bits are summarised")
        yield Command(f"{pattern}?", lambda: self._bits(getattr(owner(), name)))

    def _bits(self, register: int) -> str:
        """The value of a register as ``FORMat:SREGister`` wants it (6221 reference manual p. 11-10)."""
        base = _BASES.get(self.values.get("register_format", ""))
        return base.format(register) if base else str(register)

    def _identify(self) -> str:
        fault = self.circuit.faults.lasting("idn", self.role)
        return str(fault["text"]) if fault else self.identity.format(serial=self.serial)

    def _operation_complete(self) -> None:
        self.status.events |= OPERATION_COMPLETE


REGISTER_FORMAT = ScpiSetting(
    "FORMat:SREGister",
    "register_format",
    Choice("ASCii", "HEXadecimal", "OCTal", "BINary"),
    "ASC",
    "base of status registers",
)
"""For instruments that have it among their settings."""
