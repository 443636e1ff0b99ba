"""What makes up for variation, and how many cycles of a device that takes: every method against its budget.

A seed stands for one chip, the training images, the initial weights and the trains, as in ``hil-replicates``; all
methods, budgets, variations and ratios of a seed are tested with the same trains and the same luck.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from spinneurons.hil import images, network
from spinneurons.hil.accuracy import accuracy, counts
from spinneurons.hil.chips import Deviations, OutputDevices, population
from spinneurons.hil.images import Images
from spinneurons.hil.methods import METHODS, Outcome, Schedule
from spinneurons.hil.replicates import REPLICATES, WIDTH
from spinneurons.hil.streams import Streams
from spinneurons.mnist import data
from spinneurons.neurons.family import Card
from spinneurons.neurons.outputs import rounded
from spinneurons.neurons.parameters import CARD, READOUT, CardUse, require_law
from spinneurons.neurons.population import card_deviations
from spinneurons.neurons.registry import family_of
from spinsweep.axis import Axis
from spinsweep.errors import SpecError
from spinsweep.evaluate import Cells
from spinsweep.outputs import Output
from spinsweep.parameters import Parameter
from spinsweep.spec import Sweep
from spinsweep.views import View

PULSES = (0, 28, 140, 1400, 5600, 16000, 32000)
"""None; 2, 10 and 100 cycles at each of 14 currents; and 56, 160 and 320 images of 100 steps."""
CYCLE = 2 * (1e-4 + 0.5 + 2.0)
"""s: two pulses of 100 us, two reads of 0.5 s and two rests of 2 s (the paper's methods)."""


def frontier(cells: Cells) -> dict[str, npt.NDArray[Any]]:
    """All outputs of the cells of a box.

    Streams, each at its seed: ``devices`` (how they deviate), ``images``, ``weights``, ``trains``, ``later trains``
    (of a training that goes on from software), ``sampled devices`` (of variation-aware training), ``pulses`` (of
    calibration and training), ``test`` (trains and luck of the test).
    """
    p = cells.params
    tested = images.every(data.checked("test", **p["data"]), images.class_list(p["classes"]), p["test_images"])
    names, budgets = (cells.coords[name].tolist() for name in ("method", "pulses"))
    points = list(product(*(cells.coords[name].tolist() for name in ("variation", "ratio", "i0_variation"))))
    result = {name: np.empty(cells.shape, dtype) for name, dtype in _OUTPUTS.items()}
    for index, seed in enumerate(cells.coords["seed"].tolist()):
        schedule = schedule_of(cells, seed)
        chips = [chip_of(cells, seed, *point) for point in points]
        outcomes = [[METHODS[name](chip, schedule, budgets) for chip in chips] for name in names]
        flat = [outcomes[m][c][b] for m, b, c in np.ndindex(len(names), len(budgets), len(chips))]
        right = _accuracies(flat, tested, Streams(cells.rng("test", seed=seed)), p["steps"])
        values: dict[str, Any] = {
            "accuracy": right,
            "loss": [one.loss for one in flat],
            "pulses_used": [one.cycles for one in flat],
            "hours": [one.cycles * p["cycle_time"] / 3600 for one in flat],
        }
        for name, numbers in values.items():
            result[name][..., index] = np.reshape(numbers, cells.shape[:-1])
    return result


def _accuracies(outcomes: Sequence[Outcome], tested: Images, streams: Streams, steps: int) -> list[float]:
    """Of each outcome; a network that stands more than once is tested once."""
    different = {id(one.network): one.network for one in outcomes}
    right = accuracy(counts(list(different.values()), tested, streams, steps), tested.targets)
    by_network = dict(zip(different, right.tolist(), strict=True))
    return [by_network[id(one.network)] for one in outcomes]


def schedule_of(cells: Cells, seed: int) -> Schedule:
    """What all methods of a seed have in common."""
    p, classes = cells.params, images.class_list(cells.params["classes"])
    digits = data.checked("train", **p["data"])
    return Schedule(
        images.some(digits, classes, p["images"], "images", cells.rng("images", seed=seed)),
        network.start(cells.rng("weights", seed=seed), (data.PIXELS, len(classes)), p["initial"])[0],
        Streams(cells.rng("trains", seed=seed)),
        Streams(cells.rng("later trains", seed=seed)),
        Streams(cells.rng("sampled devices", seed=seed)),
        p["steps"],
        p["epochs"],
        p["learning_rate"],
        p["trim_rate"],
        p["currents"],
        p["calibration_pulses"],
    )


def chip_of(cells: Cells, seed: int, variation: float, ratio: float, i0_variation: float) -> OutputDevices:
    p, family = cells.params, family_of(cells.params["card"])
    devices = population(family, p["chips"])
    return OutputDevices(
        family,
        family.law(p["link"]),
        float(family.i0(WIDTH)),
        devices.draw(cells.rng("devices", seed=seed), len(images.class_list(p["classes"]))),
        Deviations(ratio, variation, i0_variation),
        devices,
        Streams(cells.rng("pulses", seed=seed)),
        p["z_limit"],
    )


def check(sweep: Sweep) -> None:
    """``SpecError`` with one line where the parameters do not fit together: before anything runs."""
    cells = Cells(sweep, {axis.name: axis.values[:1] for axis in sweep.axes})
    try:
        schedule_of(cells, int(sweep.axis("seed").values[0]))
    except ValueError as error:
        raise SpecError(f"sweep {sweep.name!r}: {error}") from None


def axes_of_card(card: Card) -> dict[str, Sequence[float]]:
    """Ratio and largest deviations of a card's devices."""
    family = family_of(card)
    bias, scale = np.abs(card_deviations(family)).max(axis=0).tolist()
    ratio = float(family.i_bias(WIDTH) / family.i0(WIDTH))
    return {"ratio": (ratio,), "variation": (bias,), "i0_variation": (scale,)}


_OUTPUTS = {"accuracy": "float64", "loss": "float64", "pulses_used": "int64", "hours": "float64"}


def outputs(params: Mapping[str, Any]) -> tuple[Output, ...]:
    """The same for every family; ``ValueError`` where the card's has no such law."""
    require_law(params)
    return (
        Output("accuracy", long_name="accuracy on the test images of the classes"),
        rounded("loss", long_name="mean squared error of an image in the last pass of the training"),
        Output("pulses_used", dtype="int64", long_name="cycles of each device that the method used"),
        Output("hours", unit="h", long_name="time that these take of each device"),
    )


USED = ("i0.intercept", "i0.slope", *READOUT, "switching.link")
"""Entries of the card that count."""


def fingerprint_of(*entries: str) -> Callable[[Card], dict[str, Any]]:
    """The entries of a card that count, and how the devices deviate relative to each other."""
    return partial(_fingerprint, CardUse(entries))


def _fingerprint(use: CardUse, card: Card) -> dict[str, Any]:
    deviations = population(family_of(card), "card").measured
    assert deviations is not None
    return {**use(card), "deviations": deviations.tolist()}


OWN_CARD = replace(
    CARD,
    help="device card, a TOML file; where it is given, ratio, variation and i0_variation are by default its own",
    fingerprint=fingerprint_of(*USED),
    axes=axes_of_card,
)

FRONTIER = Sweep(
    name="frontier",
    title="What makes up for variation, and how many cycles of a device it takes",
    axes=(
        Axis("method", tuple(METHODS), long_name="what makes up for variation", choices=tuple(METHODS)),
        Axis("pulses", PULSES, long_name="cycles of each device, the most", low=0, high=10_000_000),
        Axis("variation", (0.125, 0.25), long_name="variation", low=0.0, high=0.7),
        Axis("ratio", (25.2, 35.0), long_name="I_bias/i0", low=9.21, high=200.0),
        Axis("i0_variation", (0.0,), long_name="variation of i0", low=0.0, high=0.7, neutral=0.0),
        Axis("seed", tuple(range(20)), long_name="seed of devices, images, weights, trains", low=0),
    ),
    outputs=(),
    outputs_of=outputs,
    parameters=(
        *(OWN_CARD if p.name == "card" else p for p in REPLICATES.parameters),
        Parameter("trim_rate", 30.0, help="learning rate of output-trim; assumed", low=0.0, high=100_000.0),
        Parameter("currents", 14, help="write currents of a calibration", low=2, high=10_000),
        Parameter(
            "calibration_pulses", 28, help="cycles that in-the-loop-calibrated calibrates with", low=0, high=1_000_000
        ),
        Parameter(
            "cycle_time", CYCLE, "s", "of reset, read, write, read and two rests of 2 s; paper", low=0, high=1e6
        ),
        Parameter(
            "chips",
            "uniform",
            help="uniform: devices deviate as in equation 3; card: as devices of the card, drawn with replacement",
            choices=("uniform", "card"),
            neutral="uniform",
        ),
    ),
    prepare=check,
    function=frontier,
    shared_axes=("method", "pulses", "variation", "ratio", "i0_variation"),
    views=(View("accuracy", x="pulses", lines="method", over=("seed",)),),
    figures="spinneurons.hil.frontier_figures:FIGURES",
    source="Islam et al. 2024, Fig. 4, beyond the paper",
)
