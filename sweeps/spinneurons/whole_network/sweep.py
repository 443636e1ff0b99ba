"""What makes up for variation in a whole network, and how many cycles of each device it takes, by method and budget.

A seed stands for one chip, the weights of a random start, the order of the training images and their spikes; all
methods, budgets and points of a seed are tested with the same spikes and the same luck.  The network of software is
the one of ``codesign``, and so are chips and test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from spinneurons.codesign import sweep as codesign
from spinneurons.codesign.draws import Batch, Draws
from spinneurons.hil.frontier import CYCLE
from spinneurons.hil.rules import RULES, LearnBy
from spinneurons.hil.streams import Streams
from spinneurons.mnist import data
from spinneurons.neurons.outputs import rounded
from spinneurons.neurons.parameters import WIDTH, card_of, require_law
from spinneurons.neurons.registry import family_of
from spinneurons.whole_network.chip import ON_DEVICES, LearningChip, Point
from spinneurons.whole_network.methods import METHODS, Floats, NetworkOutcome, NetworkSchedule, outcomes
from spinsweep.axis import Axis, Value, listed
from spinsweep.errors import SpecError
from spinsweep.evaluate import Cells
from spinsweep.outputs import Output
from spinsweep.parameters import Parameter
from spinsweep.spec import Sweep
from spinsweep.views import View

PULSES = (0, 28, 140, 1400, 14_000, 140_000, 560_000)
"""None; 2, 10 and 100 cycles at each of 14 currents; 700, 7,000 and 28,000 images of 20 steps."""


class LayersAxis(Axis):
    """An axis of networks such as ``784-400-10``."""

    @property
    def allowed(self) -> str:
        """In words, for messages and help."""
        return "networks such as 784-400-10 and 784-400-100-10"

    def check(self, values: Iterable[Any] | Value) -> tuple[Value, ...]:
        """The values as they are; ``SpecError`` for what is no network of the data."""
        texts = [str(value).strip() for value in listed(values)]
        for text in texts:
            try:
                codesign.sizes_of({"layers": text, "weights": {}})
            except ValueError as error:
                raise SpecError(f"axis {self.name!r}: {error}") from None
        return super().check(texts)


def whole_network(cells: Cells) -> dict[str, npt.NDArray[Any]]:
    """All outputs of the cells of a box.

    Streams, each at its seed: ``neurons``, ``weights``, ``scales`` and ``calibration`` as in ``codesign``; ``start``
    (weights of a random start), ``trains`` (order and spikes of the images), ``pulses`` (luck in training), and
    ``spikes`` (trains and luck of the test).
    """
    budgets, p = cells.coords["pulses"].tolist(), cells.params
    lengths = {name: len(values) for name, values in cells.coords.items()}  # also of axes at their neutral value
    result = {name: np.empty(tuple(lengths.values()), dtype) for name, dtype in _OUTPUTS.items()}
    for index in np.ndindex(*(1 if name == "pulses" else length for name, length in lengths.items())):
        position = dict(zip(lengths, index, strict=True))
        point = {name: cells.coords[name][i].item() for name, i in position.items() if name != "pulses"}
        chip = _chip(cells, point)
        reached = outcomes(METHODS[point["method"]], chip, _schedule(cells, point), budgets)
        values: dict[str, Any] = {
            "accuracy": _accuracies(cells, chip, reached, point["seed"]),
            "loss": [one.loss for one in reached],
            "pulses_used": [one.cycles for one in reached],
            "hours": [one.cycles * p["cycle_time"] / 3600 for one in reached],
        }
        where = tuple(slice(None) if name == "pulses" else i for name, i in position.items())
        for name, numbers in values.items():
            result[name][where] = numbers
    return {name: numbers.reshape(cells.shape) for name, numbers in result.items()}


def _accuracies(cells: Cells, chip: LearningChip, reached: list[NetworkOutcome], seed: int) -> list[float]:
    """Of each outcome; one that stands more than once is tested once."""
    p, test = cells.params, data.checked("test", **cells.params["data"])
    batch = Batch.first(test.images, test.labels, p["test_images"])
    known: dict[tuple[int, int], float] = {}
    for one in reached:
        if (key := (id(one.weights), id(one.estimates))) not in known:
            draws = Draws.of(cells.rng("spikes", seed=seed))
            known[key] = chip.accuracy(one.weights, one.estimates, batch, draws, p["test_steps"])
    return [known[id(one.weights), id(one.estimates)] for one in reached]


def _params(cells: Cells, point: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of ``codesign`` for the network of a point."""
    return {**cells.params, "layers": point["layers"], "w2": "folded"}


def _chip(cells: Cells, point: Mapping[str, Any]) -> LearningChip:
    p, rngs = cells.params, [cells.rng(name, seed=point["seed"]) for name in ("neurons", "weights", "scales")]
    ratio = float(codesign.z_shift_scale(np.array([point["width"]]), p)[0])
    deviates = Point(point["variation"], ratio, point["i0_variation"])
    law = family_of(p["card"]).law(p["link"])
    sizes = codesign.sizes_of(_params(cells, point))
    return LearningChip.draw(
        sizes, (rngs[0], rngs[1], rngs[2]), deviates, law, p["vary"], p["distribution"], p["on_devices"]
    )


def _schedule(cells: Cells, point: Mapping[str, Any]) -> NetworkSchedule:
    """What all methods of a seed have in common at a point."""
    p, params, seed = cells.params, _params(cells, point), point["seed"]

    def random_start() -> tuple[Floats, ...]:
        from spinneurons.codesign.network import initial

        rng = cells.rng("start", seed=seed)
        return tuple(initial(rng, shape) for shape in pairwise(codesign.sizes_of(params)))

    sizes = {"node-perturbation": p["node_size"], "weight-perturbation": p["weight_size"]}
    rates = {"gradient": p["learning_rate"], "physics-aware": p["learning_rate"]}
    rates |= {"node-perturbation": p["node_rate"], "weight-perturbation": p["weight_rate"]}
    rates |= {"noise-based": p["noise_rate"]}
    return NetworkSchedule(
        data.checked("train", **p["data"]),
        {"software": lambda: codesign.weights_of(params), "random": random_start},
        Streams(cells.rng("trains", seed=seed)),
        Streams(cells.rng("pulses", seed=seed)),
        lambda: cells.rng("calibration", seed=seed),
        {name: LearnBy(name, rates[name], sizes.get(name, 0.0), p["steps"]) for name in RULES},
        p["calibration_pulses"],
    )


def _networks(sweep: Sweep) -> list[dict[str, Any]]:
    """Parameters of ``codesign`` of each network of software that the sweep needs."""
    if all(METHODS[str(name)].starts == "random" for name in sweep.axis("method").values):
        return []
    names = [axis.name for axis in sweep.every_axis]
    layers = sweep.axis("layers").values if "layers" in names else (_LAYERS,)
    return [{**sweep.params, "layers": one, "w2": "folded"} for one in layers]


def prepare(sweep: Sweep) -> None:
    """Train the networks of software that the sweep needs, unless they are there.

    Raises
    ------
    SpecError
        ``layers`` are not those of the file ``weights``.
    """
    for params in _networks(sweep):
        try:
            codesign.sizes_of(params)
        except ValueError as error:
            raise SpecError(f"sweep {sweep.name!r}: {error}") from None
        codesign.train_networks(params, [0])


def artifact_ids(sweep: Sweep) -> dict[str, Any]:
    """Attributes of the cube: the SHA-256 of the weights of each network of software."""
    from spinneurons.codesign.chip import digest_of

    return {f"network_sha256_{p['layers']}": digest_of(codesign.weights_of(p)) for p in _networks(sweep)}


_OUTPUTS = {"accuracy": "float64", "loss": "float64", "pulses_used": "int64", "hours": "float64"}


def outputs(params: Mapping[str, Any]) -> tuple[Output, ...]:
    """The same for every family; ``ValueError`` where the card's has no such law."""
    require_law(params)
    return (
        Output("accuracy", long_name="accuracy on the test images"),
        rounded("loss", long_name="mean squared error of the latest images that were learned from"),
        Output("pulses_used", dtype="int64", long_name="cycles of each device that the method used"),
        Output("hours", unit="h", long_name="time that these take of each device"),
    )


_SHARED = ("vary", "distribution", "network", "epochs", "link", "data", "weights")
_LAYERS = "784-400-10"

SWEEP = Sweep(
    name="whole-network",
    title="A whole network on devices: what makes up for variation, by the cycles of each device",
    axes=(
        Axis("method", tuple(METHODS), long_name="what makes up for variation", choices=tuple(METHODS)),
        Axis("pulses", PULSES, long_name="cycles of each device, the most", low=0, high=100_000_000),
        replace(WIDTH, values=(0.3,)),
        Axis("variation", (0.25,), long_name="variation", low=0.0, high=1.0),
        LayersAxis("layers", (_LAYERS,), long_name="pixels, hidden neurons, classes", neutral=_LAYERS),
        Axis("i0_variation", (0.0,), long_name="variation of i0", low=0.0, high=0.9, neutral=0.0),
        Axis("seed", tuple(range(5)), long_name="seed of chip, start, images and spikes", low=0),
    ),
    outputs=(),
    outputs_of=outputs,
    parameters=(
        *(p for p in codesign.SWEEP.parameters if p.name in _SHARED),
        card_of("i_bias.intercept", "i_bias.slope", "i0.intercept", "i0.slope", "switching.link"),
        Parameter("steps", 20, help="time steps of an image in training", low=1, high=100_000),
        Parameter("test_steps", 50, help="time steps of a test image", low=1, high=100_000),
        Parameter("test_images", 2000, help="test images, the first of the data", low=1, high=1_000_000),
        Parameter("on_devices", "both", help="layers whose neurons deviate", choices=ON_DEVICES),
        Parameter("learning_rate", 0.3, help="of gradient and physics-aware; assumed", low=0.0, high=1000.0),
        Parameter("node_rate", 0.005, help="of node-perturbation; assumed", low=0.0, high=1000.0),
        Parameter("noise_rate", 0.01, help="of noise-based; assumed", low=0.0, high=1000.0),
        Parameter("weight_rate", 0.003, help="of weight-perturbation; assumed", low=0.0, high=1000.0),
        Parameter("node_size", 1.0, help="perturbation of node-perturbation, in z; assumed", low=1e-6, high=100.0),
        Parameter("weight_size", 0.05, help="of weight-perturbation, in weight; assumed", low=1e-6, high=100.0),
        Parameter(
            "calibration_pulses", 28, help="cycles that calibrated-then-loop calibrates with", low=0, high=100_000
        ),
        Parameter(
            "cycle_time", CYCLE, "s", "of reset, read, write, read and two rests of 2 s; paper", low=0, high=1e6
        ),
    ),
    prepare=prepare,
    artifact_ids=artifact_ids,
    function=whole_network,
    shared_axes=("pulses",),
    views=(View("accuracy", x="pulses", lines="method", over=("seed",)),),
    figures="spinneurons.whole_network.figures:FIGURES",
    source="Islam et al. 2024, Fig. 3(c) and 4, beyond the paper",
)
