"""From a characterization to the network: its neurons are the devices whose curves a cube holds.

The cube is an input: the fits of its devices give the lines of bias and scale current against the width, and how far
each device deviates from them.  Each neuron of a chip is one of the devices, drawn with replacement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spinneurons.codesign.pulses_axis import PulsesAxis
from spinneurons.codesign.sweep import (
    CALIBRATE,
    FAULT_PARAMETERS,
    NETWORK_PARAMETERS,
    OUTPUTS,
    STEP,
    Chips,
    planes,
    sizes_of,
    train_networks,
)
from spinneurons.neurons.card import CardError
from spinneurons.neurons.family import Card
from spinneurons.neurons.parameters import WIDTH
from spinneurons.neurons.population import card_deviations
from spinneurons.neurons.registry import family_of
from spinsweep.axis import Axis
from spinsweep.errors import SpecError
from spinsweep.evaluate import Cells
from spinsweep.inputs import Input
from spinsweep.outputs import Output
from spinsweep.parameters import Parameter
from spinsweep.printable import say
from spinsweep.spec import Sweep
from spinsweep.views import View

if TYPE_CHECKING:  # slow to import
    import xarray as xr

_NOT_VARIED = {parameter.name: parameter.default for parameter in (*FAULT_PARAMETERS, CALIBRATE)}
"""Faults of the crossbar, and what a calibration estimates."""


@dataclass(frozen=True)
class NeuronDevices:
    """The devices of a characterization, as a network takes them."""

    card: Card
    """With their lines of i_bias and i0."""
    deviations: npt.NDArray[np.float64]
    """(devices, 2) of i_bias and i0 of each from its line, relative."""
    left_out: tuple[str, ...]
    """A line for each device without a good fit."""

    @classmethod
    def of(cls, cube: xr.Dataset, select: str = "") -> NeuronDevices:
        """The devices of a cube.

        Parameters
        ----------
        select : which curves of a cube with several of each device, such as ``polarity=1``

        Raises
        ------
        CardError
            None of them has a fit, or no line goes through them.
        SpecError
            ``select`` is not one curve of each.
        """
        from spinneurons.analysis.cubes import by_width, parameters
        from spinneurons.characterization.measured import (
            fitted_devices,
            measured_devices,
            one_curve_each,
            recording_of,
        )
        from spinneurons.neurons.cubes import family

        cube = one_curve_each(cube, select.split(",") if select else [], "select=")
        arranged = by_width(cube)
        kept, left_out, _ = fitted_devices(arranged)
        devices = measured_devices(arranged, kept, recording_of(cube, parameters(cube)))
        card = family(cube).measured(devices, "the characterization")
        return cls(card, card_deviations(family_of(card)).round(12), tuple(left_out))

    @property
    def largest(self) -> tuple[float, float]:
        """Of the deviations of i_bias and of i0."""
        i_bias, i0 = np.abs(self.deviations).max(axis=0).tolist()
        return i_bias, i0


def measured_network(cells: Cells) -> dict[str, npt.NDArray[Any]]:
    """All cells of a box: for each chip and calibration a plane of its widths, at the devices' own variation.

    Streams: those of :class:`spinneurons.codesign.sweep.Chips`.
    """
    devices = _devices_once(cells.params["characterization"], cells.params["select"])
    i_bias, i0 = devices.largest
    coords = {**cells.coords, "variation": np.array([i_bias]), "i0_variation": np.array([i0])}
    return planes(Chips(_params(cells.params, devices), coords, cells.rng), cells.shape)


_last: list[Any] = []
"""The cube and selection of the last block of this process, and their devices, which take 0.1 s."""


def _devices_once(cube: xr.Dataset, select: str) -> NeuronDevices:
    """The devices of a cube; all blocks of a run get the same Dataset."""
    if not _last or _last[0] is not cube or _last[1] != select:
        _last[:] = [cube, select, NeuronDevices.of(cube, select)]
    devices: NeuronDevices = _last[2]
    return devices


def _params(params: Mapping[str, Any], devices: NeuronDevices) -> dict[str, Any]:
    """Parameters of chips with these devices."""
    drawn = {"file": "", "deviations": devices.deviations.tolist()}
    return {**_NOT_VARIED, **params, "card": devices.card, "devices": drawn, "link": "card"}


def _devices_of(sweep: Sweep) -> NeuronDevices:
    try:
        return NeuronDevices.of(sweep.cell_params["characterization"], sweep.params["select"])
    except CardError as error:
        raise SpecError(f"input 'characterization': {error}") from None


def prepare(sweep: Sweep) -> None:
    """Say which devices are left out, and train the network unless it is there.

    Raises
    ------
    SpecError
        The characterization gives no devices.
    """
    for line in _devices_of(sweep).left_out:
        say(f"left out  {line}", error=True)
    train_networks(sweep.params, [0])


def artifact_ids(sweep: Sweep) -> dict[str, Any]:
    """Attributes of the cube: how many devices there are, and how far they deviate."""
    devices = _devices_of(sweep)
    i_bias, i0 = devices.largest
    return {
        "devices": len(devices.deviations),
        "devices_left_out": list(devices.left_out),
        "largest_deviation_i_bias": i_bias,
        "largest_deviation_i0": i0,
    }


def outputs(params: Mapping[str, Any]) -> tuple[Output, ...]:
    """Those of codesign; ``ValueError`` where layers cannot be."""
    sizes_of(params)
    return OUTPUTS


def widths(value: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """The axis of widths: those of the devices in the cube, falling; in a log with names of devices, each has one."""
    if not value:
        return {}
    measured = value["coords"].get("width") or sorted(set(_width_of_each(value["store"])), reverse=True)
    return {"width": tuple(measured)} if measured else {}


def _width_of_each(store: str) -> list[float]:
    from spinsweep.cube import Cube

    cube = Cube(store).dataset()
    widths: list[float] = cube["width"].values.tolist() if "width" in cube.coords else []
    return widths


SWEEP = Sweep(
    name="measured-network",
    title="Accuracy and energy of a spiking MNIST network whose neurons are the devices of a characterization",
    axes=(
        WIDTH,
        Axis("seed", tuple(range(20)), long_name="chip seed", low=0),
        PulsesAxis("calibration_cycles", ("0", "28"), long_name="pulses of a neuron's calibration, or exact"),
    ),
    dims=(STEP,),
    artifact_ids=artifact_ids,
    prepare=prepare,
    outputs=(),
    outputs_of=outputs,
    parameters=(
        Input("characterization", axes=widths, help="cube of a characterization: simulated, measured or imported"),
        Parameter("select", "", help="which curves of a log with several of each device, such as polarity=1"),
        *NETWORK_PARAMETERS,
    ),
    function=measured_network,
    shared_axes=("width",),
    views=(
        View("accuracy", x="width", lines="calibration_cycles", over=("seed",), inner="last"),
        View("spikes_output", x="timestep", lines="width", over=("seed",)),
    ),
    figures="spinneurons.measured_network.figures:FIGURES",
    source="Islam et al. 2024, Fig. 2 and Fig. 3(c) joined",
)
