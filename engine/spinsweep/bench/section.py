"""The section of the bench file that an instrument has: how to reach it, and what its driver lets you set.

Each driver's file has a subclass of its own.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from spinsweep.bench.parts import Device, Limits, Part, Positive, Timing

EMULATED = "EMU"
"""Serial numbers of emulated instruments begin so; only on those may time run faster."""


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
    def exclusive_names(self) -> tuple[str, ...]:
        """What nobody else may hold while this instrument has an owner: where it is reached, and which one it is.

        A host has its number: ``localhost`` and ``127.1`` are one address.  All emulated instruments have the same
        serial numbers, so that these say nothing.
        """
        bus, *rest = self.address.split("::")
        if bus.startswith("TCPIP") and rest:
            with suppress(OSError, UnicodeError):  # of a host that is not known, the name stands for itself
                rest[0] = socket.gethostbyname(rest[0])
            bus = "TCPIP"  # the board says which of ours it is, and not which of theirs
        numbers = () if self.emulated else (f"{self.model} serial {self.serial}",)
        return ("::".join([bus, *rest]), *numbers)

    @property
    def emulated(self) -> bool:
        """Whether this is an emulator's instrument, by its serial number."""
        return self.serial.startswith(EMULATED)

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
