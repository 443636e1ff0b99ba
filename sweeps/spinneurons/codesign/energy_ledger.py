"""Where the energy of an image goes: synapses, write and reset pulses of the neurons, reads, and a calibration.

The paper's 50-fold is of synapses alone.  Of one image, with V0 = i0/G0 and R the resistance of a bar along its
current (sheet resistance times squares, or times length over width):

    synapse      = i0^2/G0 * dt * S              S: sum of |w| over the spikes that read a synapse (equations 4 and 5)
    write        = n I_bias^2 R t_p              n: pulses of all neurons, one each in a step; z = 0 is taken
    reset        = n I_reset^2 R t_p
    read         = 2 n I_read^2 R t_r            after reset and after write
    calibration  = m b (write + reset + read)/n  m: neurons, b: cycles of each; once, over so many images

Numbers only, SI but for widths in um.  What the instruments themselves and the wires take is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

READ_TIME = 0.5
"""Of one reading, s: methods of the paper."""


class EnergyLedger(NamedTuple):
    """Energies of an image, J, each (widths,)."""

    synapse: Floats
    write: Floats
    reset: Floats
    read: Floats
    calibration: Floats

    def total(self, *terms: str) -> Floats:
        """(widths,) sum of the terms of these names; of all without names."""
        return np.asarray(sum(getattr(self, name) for name in terms or self._fields))


@dataclass(frozen=True)
class Bars:
    """Hall bars of some widths."""

    width: npt.ArrayLike
    """(w,) um."""
    i_bias: npt.ArrayLike
    """(w,) A, as the two that follow."""
    i0: npt.ArrayLike
    i_reset: npt.ArrayLike
    i_read: float
    """A."""
    pulse: float
    """Length of write and reset pulses, s."""
    sheet_resistance: float
    """ohm."""

    def resistance(self, *, squares: float | None = None, length: float | None = None) -> Floats:
        """(w,) ohm, along the current: of so many squares at each width, or of one length (um) at all widths.

        Raises
        ------
        ValueError
            Both are given, or none.
        """
        if (squares is None) == (length is None):
            raise ValueError("a bar has so many squares, or a length: give one of the two")
        width = np.asarray(self.width, np.float64)
        ratio = np.full(width.shape, squares) if length is None else length / width
        return np.asarray(self.sheet_resistance * ratio)


@dataclass(frozen=True)
class InferenceLoad:
    """What the network does for one image."""

    weight_read: float
    """S, sum of |w| over all spikes."""
    neurons: int
    steps: int
    synapse_time: float
    """dt, for which a synapse is read in a step, s."""
    conductance: float
    """G0 of a weight of 1, S."""
    calibration_cycles: int = 0
    """b, of each neuron."""
    images: int = 1
    """Over which a calibration is spread."""


def ledger(bars: Bars, resistance: npt.ArrayLike, load: InferenceLoad, read_time: float = READ_TIME) -> EnergyLedger:
    """Energies of an image with bars of this ``resistance`` (w,) ohm; see the head of the module for the equations.

    Parameters
    ----------
    read_time : of one of the two readings of a cycle, s
    """
    i_bias, i0, i_reset, along = (np.asarray(a, np.float64) for a in (bars.i_bias, bars.i0, bars.i_reset, resistance))
    pulses = load.neurons * load.steps
    write, reset = (pulses * current**2 * along * bars.pulse for current in (i_bias, i_reset))
    read = 2 * pulses * bars.i_read**2 * along * read_time
    share = load.neurons * load.calibration_cycles / pulses / load.images
    return EnergyLedger(
        synapse=i0**2 / load.conductance * load.synapse_time * load.weight_read,
        write=write,
        reset=reset,
        read=read,
        calibration=share * (write + reset + read),
    )


def fold(energy: npt.ArrayLike, width: npt.ArrayLike) -> float:
    """Energy at the widest bar over that at the narrowest."""
    values, widths = np.asarray(energy, np.float64), np.asarray(width, np.float64)
    return float(values[np.argmax(widths)] / values[np.argmin(widths)])
