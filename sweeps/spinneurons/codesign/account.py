"""The energy ledger of a co-design cube: which pulses its network takes, with the bars of its card."""

from __future__ import annotations

import numpy as np
import xarray as xr

from spinneurons.analysis.cubes import parameters
from spinneurons.codesign.analysis import final, layer_sizes
from spinneurons.codesign.energy_ledger import Bars, EnergyLedger, InferenceLoad, ledger
from spinneurons.neurons.cubes import family
from spinneurons.neurons.hall_bar import HallBar

WITHOUT_READS = ("synapse", "write", "reset")
"""Terms of the network itself: a reading of 0.5 s is one of the characterization."""


def missing(cube: xr.Dataset) -> str:
    """Why the cube has no ledger, in words; empty if it has one."""
    if not parameters(cube):
        return "the cube does not say its parameters"
    return "" if isinstance(family(cube), HallBar) else "the devices of this card have no bar"


def bars_of(bars: HallBar, width: xr.DataArray) -> Bars:
    """Currents and pulses of a card's bars at these widths (um)."""
    w = width.values.astype(np.float64)
    return Bars(
        w,
        bars.i_bias(w),
        bars.i0(w),
        np.array([bars.reset_current(one) for one in w.tolist()]),
        bars.read_current,
        bars.value("switching.pulse_width"),
        bars.shape("sheet_resistance"),
    )


def of_cube(cube: xr.Dataset, *, calibration_cycles: int = 0, images: int = 1) -> dict[str, xr.Dataset]:
    """Energies of an image, J, of each term over ``width`` (rising), by the shape of the bars in words.

    After the last step, without variation, the mean of the chips.

    Parameters
    ----------
    cube : of ``codesign`` with a card of Hall bars; ``width``, ``variation``, ``seed``, ``timestep``
    calibration_cycles, images : cycles of each neuron for its calibration, and images over which they are spread
    """
    bars, params = family(cube), parameters(cube)
    assert isinstance(bars, HallBar)
    least = float(cube["variation"].min())
    energy = final(cube, "synaptic_energy").sel(variation=least).mean("seed").dropna("width").sortby("width")
    pulsed = bars_of(bars, energy["width"])
    neurons = sum(layer_sizes(params)[1:])
    conductance, dt = params["conductance"], params["dt"]
    read = float((energy * conductance / (np.asarray(pulsed.i0) ** 2 * dt)).mean())  # the same at each width
    load = InferenceLoad(read, neurons, cube.sizes["timestep"], dt, conductance, calibration_cycles, images)
    squares, length = bars.shape("squares"), bars.shape("length")
    shapes = {
        f"{squares:g} squares": pulsed.resistance(squares=squares),
        f"{length:g} µm long": pulsed.resistance(length=length),
    }
    return {name: _dataset(ledger(pulsed, resistance, load), energy["width"]) for name, resistance in shapes.items()}


def _dataset(energies: EnergyLedger, width: xr.DataArray) -> xr.Dataset:
    columns = {name: ("width", values, {"units": "J"}) for name, values in energies._asdict().items()}
    return xr.Dataset(columns, {"width": width})
