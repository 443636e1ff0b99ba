"""What hangs on the wires of an emulated bench: all that the emulator knows of devices."""

from __future__ import annotations

from typing import Any, Protocol


class DutModel(Protocol):
    """Devices by name.  The emulator calls from one thread at a time."""

    def pulse(self, device: str, current: float, width: float) -> None:
        """A current (A) has flowed through the device for ``width`` (s)."""

    def voltage(self, device: str, current: float, nplc: float) -> float:
        """Voltage at the meter (V) while ``current`` (A) flows, with the noise of ``nplc`` power line cycles."""

    def resistance(self, device: str) -> float:
        """Resistance of the path of the current, ohm; above 0."""

    def state(self, device: str) -> Any:
        """The device's state as a JSON value, for the control port."""
