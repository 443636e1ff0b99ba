"""Hall bars on the wires of an emulated bench: the device card's model, or a recording that is played back.

Which pulse resets and which one writes is a matter of its sign.  A device's k-th write pulse, and its j-th reading
since then, depend on the seed, the device and these numbers only.  Reset pulses use no random number, so a run that
was interrupted, and resets a device once more, goes on with the same outcomes and, from the next write pulse on, with
the same noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.card import device_key
from spinneurons.neurons.hall_bar import HallBar
from spinsweep.bench.errors import BenchError
from spinsweep.seeds import generator

if TYPE_CHECKING:  # a bench without a recording is emulated without it
    import xarray as xr

PATH_RESISTANCE = 4 * 456.0
"""Resistance of the path of the current, ohm: four squares (assumed) of 456 ohm (Ta/CoFeB: raw data of cmtj, arXiv
2202.00364)."""

NPLC = (0.01, 0.1, 1.0, 10.0)
NOISE = (100.0, 22 / 1.5, 4 / 1.5, 1.0)
"""Noise of a Keithley 2000 relative to that at 10 power line cycles (its data sheet: 150, 22, 4 and 1.5 uV)."""


class HallBars:
    """Devices of a card that are pulsed and read.

    Parameters
    ----------
    card : parameters of the devices
    devices : name -> (width in um, index), which individual of the card it is
    seed : of the outcomes and the noise
    reset_sign : sign of the current that resets; the other one writes

    A write pulse of another width than the card's switches with 1 - (1 - p)^(width/card's width): a reset device has
    a constant rate of switching while the current flows, so that nothing changes if a pulse is cut in two.  A reset
    pulse works if a write pulse of its size would switch more often than not, and then always, as in the card's
    model.  Currents up to the read current do nothing if the card says so.
    """

    def __init__(
        self, card: Mapping[str, Any], devices: Mapping[str, tuple[float, int]], seed: int = 0, reset_sign: int = -1
    ) -> None:
        self._bars, self._seed, self._reset_sign = HallBar(card), seed, reset_sign
        self._reset_state = self._bars.reset_state
        self._keys = {name: device_key(*labels) for name, labels in devices.items()}
        self._parameters = {name: self._bars.individual(*labels) for name, labels in devices.items()}
        # unknown before a reset: the worse case
        self._states: dict[str, int] = dict.fromkeys(devices, -self._reset_state)
        self._writes = dict.fromkeys(devices, 0)
        self._readings = dict.fromkeys(devices, 0)

    def pulse(self, device: str, current: float, width: float) -> None:
        """A current (A) has flowed for ``width`` (s)."""
        if self._bars.value("read.never_switches") and abs(current) <= self._bars.read_current:
            return
        p = self.probability(device, abs(current), width)
        if current * self._reset_sign > 0:
            if p >= 0.5:
                self._states[device] = self._reset_state
            return
        if self._random("write", device, self._writes[device]).random() < p:
            self._states[device] = -self._reset_state
        self._writes[device] += 1
        self._readings[device] = 0

    def probability(self, device: str, current: float, width: float) -> float:
        """Probability that a write pulse of that current (A) and width (s) switches the device when it is reset."""
        p = float(self._bars.probability(current, *self._parameters[device], self._bars.law()))
        exponent = width / self._bars.value("switching.pulse_width")
        return p if exponent == 1 else 1 - (1 - p) ** exponent

    def voltage(self, device: str, current: float, nplc: float) -> float:
        """Hall voltage (V) at a current (A), with the noise of the card at that integration time."""
        normal = self._random("read", device, self._writes[device], self._readings[device]).standard_normal()
        self._readings[device] += 1
        noise = self._bars.value("read.noise") * np.exp(np.interp(np.log(nplc), np.log(NPLC), np.log(NOISE)))
        return float(current * self._bars.resistance(self._states[device]) + normal * noise)

    def resistance(self, device: str) -> float:
        """Resistance of the path of the current, ohm."""
        return PATH_RESISTANCE

    def state(self, device: str) -> int:
        """-1 for the low Hall resistance, 1 for the high one."""
        return self._states[device]

    def _random(self, stream: str, device: str, *numbers: int) -> np.random.Generator:
        address: dict[str, float | int | str] = {f"number{i}": number for i, number in enumerate(numbers)}
        address["device"] = self._keys[device]
        return generator(self._seed, "emulator", stream, address)


class ReplayedDevices:
    """Devices that give back what a characterization has recorded, cycle by cycle.

    Parameters
    ----------
    cube : i_write (width, device, current) in A; r_reset, r_write (width, device, current, cycle) in ohm
    devices : name -> (width in um, label), which recorded device it is
    read_current : currents up to this one (A) are reads
    reset_sign : sign of the current that resets; the other one writes

    A write pulse takes the next cycle of the recorded current that is nearest: until the next pulse the device gives
    that cycle's reading.  After a reset pulse it gives the readings of the recorded resets, one after the other.
    Cycles with a lost sample are left out; after the last one comes the first.  The width of pulses and the meter's
    noise play no part.

    Raises
    ------
    BenchError
        The recording has no usable cycle of a device.
    """

    def __init__(
        self,
        cube: xr.Dataset,
        devices: Mapping[str, tuple[float, int]],
        read_current: float = 50e-6,
        reset_sign: int = -1,
    ) -> None:
        self._read_current, self._reset_sign = read_current, reset_sign
        self._currents: dict[str, npt.NDArray[np.float64]] = {}
        self._cycles: dict[str, list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]] = {}
        self._resets: dict[str, npt.NDArray[np.float32]] = {}
        for name, (width, label) in devices.items():
            self._load(cube, name, width, label)
        self._played = {name: [0] * len(currents) for name, currents in self._currents.items()}
        self._resets_played = dict.fromkeys(devices, 0)
        self._reading: dict[str, float] = {name: float(self._resets[name][0]) for name in devices}

    def pulse(self, device: str, current: float, width: float) -> None:
        """A current (A) has flowed; its sign and size choose what is read next."""
        if abs(current) <= self._read_current:
            return
        if current * self._reset_sign > 0:
            resets = self._resets[device]
            self._reading[device] = float(resets[self._resets_played[device] % len(resets)])
            self._resets_played[device] += 1
            return
        nearest = int(np.argmin(np.abs(self._currents[device] - abs(current))))
        written = self._cycles[device][nearest][1]
        self._reading[device] = float(written[self._played[device][nearest] % len(written)])
        self._played[device][nearest] += 1

    def voltage(self, device: str, current: float, nplc: float) -> float:
        """Recorded resistance times the current, V."""
        return current * self._reading[device]

    def resistance(self, device: str) -> float:
        """Resistance of the path of the current, ohm."""
        return PATH_RESISTANCE

    def state(self, device: str) -> float:
        """The recorded Hall resistance that is read now, ohm."""
        return self._reading[device]

    def _load(self, cube: xr.Dataset, name: str, width: float, label: int) -> None:
        keys = [device_key(w, d) for w in cube["width"].values for d in cube["device"].values]
        if device_key(width, label) not in keys:
            raise BenchError(
                f"device {name}: the recording has no width {width:g} um, device {label}; it has {', '.join(keys)}"
            )
        w, d = divmod(keys.index(device_key(width, label)), cube.sizes["device"])
        recording = cube[["i_write", "r_reset", "r_write"]].isel(width=w, device=d).load()
        currents, cycles = [], []
        for i in range(recording.sizes["current"]):
            reset, write = recording["r_reset"].values[i], recording["r_write"].values[i]
            whole = np.isfinite(reset) & np.isfinite(write)
            if whole.any():
                currents.append(abs(float(recording["i_write"][i])))
                cycles.append((reset[whole], write[whole]))
        if not cycles:
            raise BenchError(f"device {name}: no cycle of width {width:g} um, device {label} is in the recording")
        self._currents[name], self._cycles[name] = np.array(currents), cycles
        self._resets[name] = np.concatenate([reset for reset, _ in cycles])
