"""The section of the bench file that an instrument has: how to reach it, and what its driver lets you set.

Each driver's file has a subclass of its own.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from spinsweep.bench.parts import Device, Limits, Part, Positive, Timing

EMULATED = "EMU"
"""Serial numbers of emulated instruments begin so; only on those may time run faster."""

TERMINATORS = {"LF": "\n", "CR": "\r", "CRLF": "\r\n", "LFCR": "\n\r"}
"""What ends a message and a reply, by the names that instruments give it in their menus."""
LINK_KEYS = ("resource", "adapter", "timeout", "terminator", "baud", "flow")
"""Keys that say how an instrument is reached."""
BAUD = 9600
FLOW = "none"
GPIB_ADDRESSES = range(31)


REMOTE = "VISA://"
"""An instrument of another machine's VISA server begins so: ``visa://HOST/GPIB0::12::INSTR`` (NI-VISA)."""


class Wired(NamedTuple):
    """A device as an instrument's section is checked against it."""

    device: Device
    range: float
    """The source's range for it, A."""
    limits: Limits
    """That hold for it."""


class InstrumentSection(Part):
    """How to reach one instrument, and which one it has to be."""

    model: ClassVar[str]
    """Model number that ``*IDN?`` has to give."""
    reading_keys: ClassVar[tuple[str, ...]] = ("driver",)
    """Keys whose values can change a reading: they are part of the identity of what is measured."""

    driver: str
    """Name of its driver among the entry points ``spinsweep.instruments``."""
    resource: Annotated[str, Field(min_length=1)]
    """VISA resource name, such as ``TCPIP::127.0.0.1::1394::SOCKET`` or ``GPIB0::16::INSTR``.

    Left out in a section that has ``shares`` or ``behind``.
    """
    serial: Annotated[str, Field(min_length=1)]
    """Serial number that ``*IDN?`` has to give."""
    timeout: Annotated[float, Field(gt=0, le=120)] = 5.0
    """Longest wait for a reply beyond the time that the action itself takes, s."""
    shares: str = ""
    """The role of another section, where one instrument plays both: it has one address, one link and one owner."""
    behind: str = ""
    """The role of the instrument whose serial port leads to this one: its link carries the messages of both."""
    adapter: str = ""
    """VISA resource name of a Prologix or AR488 adapter, where ``resource`` is an address on its GPIB bus."""
    terminator: Literal["LF", "CR", "CRLF", "LFCR"] = "LF"
    """What ends a message and a reply where no interface does: sockets and RS-232."""
    baud: Annotated[int, Field(ge=300, le=921600)] = BAUD
    """Of RS-232, bit/s; eight data bits, no parity, one stop bit."""
    flow: Literal["none", "xon-xoff", "rts-cts", "dtr-dsr"] = "none"
    """Flow control of RS-232."""

    @property
    def address(self) -> str:
        """Where it is, in one spelling, with the board and the class that VISA adds where they are left out."""
        if self.adapter:
            return f"{_spelled(self.adapter)} GPIB {self.gpib_address}"
        return f"{_spelled(self.resource)} RELAYED" if self.behind else _spelled(self.resource)

    @property
    def gpib_address(self) -> int:
        """Its address on the bus of its adapter; -1 if the resource is none on a GPIB bus."""
        bus, _, rest = self.resource.upper().partition("::")
        number = rest.partition("::")[0]
        is_one = bus.startswith("GPIB") and number.isdecimal() and int(number) in GPIB_ADDRESSES
        return int(number) if is_one else -1

    @property
    def place(self) -> str:
        """Where it is, in words: ``at GPIB0::16::INSTR``."""
        if self.behind:
            return f"behind the {self.behind} at {self.resource}"
        return f"at {self.resource}" + (f" of {self.adapter}" if self.adapter else "")

    @property
    def exclusive_names(self) -> tuple[str, ...]:
        """What nobody else may hold while this instrument has an owner: where it is reached, and which one it is.

        A host has its number: ``localhost`` and ``127.1`` are one address.  An adapter has one owner with its whole
        bus.  All emulated instruments have the same serial numbers, so that these say nothing.
        """
        bus, *rest = (_spelled(self.adapter) if self.adapter else self.address).split("::")
        if bus.startswith("TCPIP") and rest:
            with suppress(OSError, UnicodeError):  # of a host that is not known, the name stands for itself
                rest[0] = socket.gethostbyname(rest[0])
            bus = "TCPIP"  # the board says which of ours it is, and not which of theirs
        elif bus.startswith(REMOTE):
            host, _, board = bus.removeprefix(REMOTE).partition("/")
            with suppress(OSError, UnicodeError):
                bus = f"{REMOTE}{socket.gethostbyname(host.partition(':')[0])}/{board}"
        numbers = () if self.emulated else (f"{self.model} serial {self.serial}",)
        return ("::".join([bus, *rest]), *numbers)

    @property
    def emulated(self) -> bool:
        """Whether this is an emulator's instrument, by its serial number."""
        return self.serial.startswith(EMULATED)

    def link_problems(self) -> Iterator[str]:
        """What contradicts itself in how the instrument is reached, one line each, without its role."""
        if self.adapter and self.gpib_address < 0:
            yield f"resource {self.resource!r}; behind an adapter it is an address such as GPIB0::12::INSTR"
        line = self.adapter or self.resource
        if not line.upper().startswith("ASRL") and (self.baud, self.flow) != (BAUD, FLOW):
            yield f"baud and flow are of RS-232, and {line!r} is not; leave them out"

    @property
    def columns(self) -> Mapping[str, str]:
        """What an auxiliary instrument records beside the readings: name of the column -> its unit."""
        return {}

    @property
    def ramp_times(self) -> tuple[float, float]:
        """How long an auxiliary instrument takes at most to get safe, and then to start, s."""
        return 0.0, 0.0

    @property
    def read_frequency_hz(self) -> float:
        """Frequency of the read current that a source drives, or a meter expects, Hz; 0: a direct current."""
        return 0.0

    def identified(self, fields: Sequence[str]) -> tuple[str, str]:
        """Model and serial number that the fields of a reply to ``*IDN?`` name, ("", "") where they do not."""
        model = fields[1].split()[-1] if len(fields) > 2 and fields[1] else ""
        return model, fields[2] if model else ""

    def problems(self, timing: Timing, wired: Sequence[Wired]) -> Iterator[str]:
        """What the instrument cannot do on this bench, one line each: what, where, and what would be right."""
        yield from ()


class SourceSection(InstrumentSection):
    """A pulse source's."""

    range: Positive
    """Fixed range, A; a device may have its own."""
    compliance: Positive
    """Voltage limit of the source, V."""


def _spelled(resource: str) -> str:
    """A VISA resource name in capitals, with the board and the class that may be left out."""
    bus, *rest = resource.upper().split("::")
    bus += "" if bus[-1].isdigit() else "0"
    return "::".join([bus, *rest] if rest[-1:] in (["INSTR"], ["SOCKET"], ["RAW"]) else [bus, *rest, "INSTR"])
