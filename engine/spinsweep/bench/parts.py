"""What a bench file says of devices, times and limits, whatever instruments are wired to them.

All currents in A, voltages in V, times in s.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Width = Annotated[float, Field(gt=0, le=10)]
"""Of a pulse, s."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
"""Of a bench or a device: it names files, so that it begins with no dot."""
Sign = Literal[-1, 1]
Label = float | int | str
Channel = Annotated[str, Field(pattern=r"^[1-9]\d*![1-9]\d*$")]


class Part(BaseModel):
    """A section of a bench file: no other keys, no other types, nothing that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Timing(Part):
    """When things happen; the defaults are the paper's (Islam et al. 2024, section 4.3)."""

    pulse_width: Width = 100e-6
    """Of write and reset pulses."""
    read_time: Annotated[float, Field(gt=0, le=10)] = 0.5
    """How long the read current flows."""
    gap: Annotated[float, Field(ge=0, le=600)] = 2.0
    """Rest after each pulse and each read."""
    mains: Literal[50, 60] = 50
    """Frequency of the mains, Hz."""
    interleave: bool | Literal["auto"] = "auto"
    """Let the devices of a train take turns in each other's rests; saves hours, moves the relays at each action.
    ``"auto"``: as many as have time in a rest."""
    speed: Annotated[float, Field(ge=1, le=1e7)] = 1.0
    """Waits are shorter by this factor; other than 1 on an emulated bench only."""


class Polarity(Part):
    """Signs, which the paper's text and its Fig. S3 give differently."""

    reset_pulse: Sign = -1
    """Sign of the current that resets."""
    reset_state: Sign = -1
    """-1 if reset gives the low Hall resistance, 1 if the high one."""


class Limits(Part):
    """What must never be exceeded at a device; the bench refuses more before anything is sent."""

    max_pulse: Positive
    """Largest current of a pulse, either sign, A."""
    max_read: Positive
    """Largest current of a read, either sign, A."""
    max_compliance: Positive
    """Largest voltage limit of the source, V."""
    min_width: Width = 50e-6
    """Shortest pulse, s."""
    max_width: Width = 200e-6
    """Longest pulse, s."""
    min_gap: Annotated[float, Field(ge=0)] = 0.0
    """Shortest rest between two pulses, s."""
    max_pulses: Annotated[int, Field(ge=1)] = 10_000_000
    """Pulses of a device in its life on this bench (write and reset)."""


class DeviceLimits(Part):
    """Limits of one device where they differ."""

    max_pulse: Positive | None = None
    """Largest current of a pulse, either sign, A."""
    max_read: Positive | None = None
    """Largest current of a read, either sign, A."""
    max_compliance: Positive | None = None
    """Largest voltage limit of the source, V."""
    min_width: Width | None = None
    """Shortest pulse, s."""
    max_width: Width | None = None
    """Longest pulse, s."""
    min_gap: Annotated[float, Field(ge=0)] | None = None
    """Shortest rest between two pulses, s."""
    max_pulses: Annotated[int, Field(ge=1)] | None = None
    """Pulses in its life on this bench (write and reset)."""


class Check(Part):
    """Currents with which ``spinsweep bench check`` tries the devices."""

    pulse: Positive
    """Size of write and reset pulses that switch for sure, A."""
    read: Positive
    """Read current, A."""


class Device(Part):
    """One device under test."""

    name: Name
    """Of the device, in journals and messages."""
    labels: dict[str, Label]
    """Its coordinates in sweeps, such as ``{width = 0.5, device = 0}``."""
    serial: str = ""
    """Names the device itself, such as ``wafer 7, bar 3``: its pulses are counted wherever it hangs."""
    channels: tuple[Channel, ...] = ()
    """Relays that connect it, such as ``["1!1", "1!11"]``; empty without a switch."""
    range: Positive | None = None
    """Range of the source for this device, A."""
    check: Check | None = None
    """Where it differs from that of the bench."""
    limits: DeviceLimits = DeviceLimits()
    """Where they differ from those of the bench."""
