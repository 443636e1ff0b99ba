"""What is emulated: instruments by role, the wiring between them, and how fast time runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

EMULATED = "EMU"
"""Serial numbers of emulated instruments begin so: no driver can take one for a real instrument."""


@dataclass(frozen=True)
class InstrumentDescription:
    """One instrument."""

    model: str
    """Name of its class among the entry points ``instrument_emulator.instruments``, such as ``keithley-6221``."""
    serial: str
    """Serial number of its identity; begins with :data:`EMULATED`."""
    resource: str
    """Its address as a VISA resource name, ``TCPIP::127.0.0.1::PORT::SOCKET``; port 0 takes a free one."""
    terminator: str = "\n"
    """What ends a message and a reply."""
    shares: str = ""
    """The role whose instrument plays this one too."""
    behind: str = ""
    """The role of the instrument at whose serial port it hangs, and which relays; it has no address of its own."""
    adapter: str = ""
    """The address of the Prologix adapter on whose GPIB bus it is; ``resource`` is then ``GPIB0::NUMBER::INSTR``."""


@dataclass(frozen=True)
class BenchDescription:
    """Instruments that are wired to the same devices."""

    instruments: Mapping[str, InstrumentDescription]
    """By role; faults know the roles ``source``, ``meter`` and ``switch``, others may have any name."""
    routes: Mapping[str, frozenset[str]]
    """Device -> relays (``card!channel``) that connect it; without a switch one device with none."""
    mains: float = 50.0
    """Frequency of the mains, Hz."""
    speed: float = 1.0
    """Bench seconds that pass in a real one."""
