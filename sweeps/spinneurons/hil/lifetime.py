"""How long a network lasts: accuracy against weeks of use, without another pulse, while the devices change.

A chip is calibrated or trained in week 0, as in ``frontier``, and tested in later weeks with the same weights and
drive.  Meanwhile the bias current of each device drifts by the card's law, and follows the temperature of the week by
the card's coefficient.  All methods of a seed have the same chip, drift and weather; all weeks are tested with the
same trains and luck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from spinneurons.hil import images
from spinneurons.hil.accuracy import NetworkOnDevices, accuracy, counts
from spinneurons.hil.frontier import FRONTIER, OWN_CARD, USED, chip_of, fingerprint_of, schedule_of
from spinneurons.hil.methods import METHODS
from spinneurons.hil.neurons import ModelNeurons
from spinneurons.hil.streams import Streams
from spinneurons.mnist import data
from spinneurons.neurons.family import NeuronFamily
from spinneurons.neurons.parameters import require_law
from spinneurons.neurons.registry import family_of
from spinsweep.axis import Axis
from spinsweep.evaluate import Cells
from spinsweep.outputs import Output
from spinsweep.parameters import Parameter
from spinsweep.spec import Sweep
from spinsweep.views import View

Floats = npt.NDArray[np.float64]

WEEKS = (0, 1, 4, 13, 26, 52, 104, 208)
DAYS = 7
"""Of a week."""


def lifetime(cells: Cells) -> dict[str, npt.NDArray[Any]]:
    """All outputs of the cells of a box.

    Streams, each at its seed: those of :func:`spinneurons.hil.frontier.frontier`, ``drift`` (a step of each device a
    day) and ``weather`` (a temperature a week).
    """
    p = cells.params
    family = family_of(p["card"])
    tested = images.every(data.checked("test", **p["data"]), images.class_list(p["classes"]), p["test_images"])
    names, weeks = (cells.coords[name].tolist() for name in ("method", "week"))
    points = list(product(*(cells.coords[name].tolist() for name in ("variation", "ratio", "i0_variation"))))
    result = {name: np.empty(cells.shape, dtype) for name, dtype in _OUTPUTS.items()}
    for index, seed in enumerate(cells.coords["seed"].tolist()):
        schedule = schedule_of(cells, seed)
        chips = [chip_of(cells, seed, *point) for point in points]
        budgets = {name: p["calibrated_pulses"] if name.startswith("calibrated") else p["pulses"] for name in names}
        fresh = [[METHODS[name](chip, schedule, [budgets[name]])[0] for chip in chips] for name in names]
        factors = factors_of(family, weeks, cells.rng("drift", seed=seed), cells.rng("weather", seed=seed),
                             len(chips[0].numbers))  # fmt: skip
        aged = [
            replace(fresh[m][c].network, neurons=older(fresh[m][c].network, factors[w]))
            for m, w, c in np.ndindex(len(names), len(weeks), len(chips))
        ]
        right = accuracy(counts(aged, tested, Streams(cells.rng("test", seed=seed)), p["steps"]), tested.targets)
        used = np.array([[[one.cycles for one in row]] * len(weeks) for row in fresh])
        result["accuracy"][..., index] = right.reshape(cells.shape[:-1])
        result["pulses_used"][..., index] = used.reshape(cells.shape[:-1])
    return result


def factors_of(
    family: NeuronFamily,
    weeks: list[int],
    drift: np.random.Generator,
    weather: np.random.Generator,
    devices: int,
) -> Floats:
    """(weeks, devices) factor on I_bias since week 0: drift by the card's law, and the week's temperature.

    A week has the same factor whichever other weeks are given.

    Parameters
    ----------
    drift : its next numbers are the steps of all devices, day by day
    weather : its next numbers are the temperatures, week by week
    """
    days = DAYS * np.array(weeks)
    steps = drift.standard_normal((int(days.max(initial=0)), devices)).T
    drifted = np.stack([family.drift(days, one) for one in steps], axis=-1)
    coefficient, sd = family.temperature
    temperature = sd * weather.standard_normal(max(weeks) + 1)
    warmer = temperature[weeks] - temperature[0]
    return np.asarray(drifted * (1 + coefficient * warmer)[:, None])


def older(network: NetworkOnDevices, factors: Floats) -> ModelNeurons:
    """The devices of a network with their bias currents times the (devices,) factors."""
    devices = network.neurons.devices
    changed = {
        d: (bias * float(factor), i0) for factor, (d, (bias, i0)) in zip(factors, devices.items(), strict=True)
    }
    return replace(network.neurons, devices=changed)


_OUTPUTS = {"accuracy": "float64", "pulses_used": "int64"}


def outputs(params: Mapping[str, Any]) -> tuple[Output, ...]:
    """The same for every family; ``ValueError`` where the card's has no such law."""
    require_law(params)
    return (
        Output("accuracy", long_name="accuracy on the test images of the classes"),
        Output("pulses_used", dtype="int64", long_name="cycles of each device that the method used in week 0"),
    )


_AXES = {
    "method": Axis(
        "method",
        ("none", "calibrated", "in-the-loop"),
        long_name="what makes up for variation",
        choices=tuple(METHODS),
    ),
    "pulses": Axis("week", WEEKS, long_name="weeks since the calibration or training", low=0, high=5200),
    "variation": Axis("variation", (0.25,), long_name="variation", low=0.0, high=0.7),
}
"""In the place of those of ``frontier``."""

SWEEP = Sweep(
    name="lifetime",
    title="How long a calibrated or trained network lasts while its devices drift",
    axes=tuple(_AXES.get(axis.name, axis) for axis in FRONTIER.every_axis),
    outputs=(),
    outputs_of=outputs,
    parameters=(
        *(
            replace(
                OWN_CARD,
                fingerprint=fingerprint_of(*USED, "drift", "use.temperature_coefficient", "use.temperature_sd"),
            )
            if p.name == "card"
            else p
            for p in FRONTIER.parameters
            if p.name != "cycle_time"
        ),
        Parameter("pulses", 32_000, help="cycles of a device that a training has, the most", low=0, high=10_000_000),
        Parameter("calibrated_pulses", 140, help="cycles of a device that a calibration has", low=0, high=1_000_000),
    ),
    prepare=FRONTIER.prepare,
    function=lifetime,
    shared_axes=("method", "week", "variation", "ratio", "i0_variation"),
    views=(View("accuracy", x="week", lines="method", over=("seed",)),),
    figures="spinneurons.hil.lifetime_figures:FIGURES",
    source="Islam et al. 2024, Fig. 4 and S4, beyond the paper",
)
