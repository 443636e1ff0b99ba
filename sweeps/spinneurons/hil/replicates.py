"""The experiment many times over: what hardware in the loop gains, and its spread, on all test images of the classes.

A seed stands for four devices, the training images, the initial weights and the trains.  Its devices deviate by
``variation`` times the same numbers in all cells: I_bias (1 + variation x), x uniform on [-1, 1), as in equation 3;
they are driven about the width's mean, or each about its own bias current.  All cells of a seed are tested with the
same trains and the same luck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from spinneurons.hil import images, network, training
from spinneurons.hil.accuracy import NetworkOnDevices, accuracy, evidence, exact
from spinneurons.hil.decisions import DECISIONS
from spinneurons.hil.neurons import ModelNeurons, drive
from spinneurons.hil.rules import AUTOMATIC, LearnBy
from spinneurons.hil.states import States
from spinneurons.hil.streams import Streams
from spinneurons.hil.sweep import MODES, TRAINING
from spinneurons.hil.training import Hardware, Training
from spinneurons.mnist import data
from spinneurons.neurons.outputs import rounded
from spinneurons.neurons.parameters import READOUT, card_of, require_law
from spinneurons.neurons.registry import family_of
from spinsweep.axis import Axis
from spinsweep.evaluate import Cells
from spinsweep.outputs import Dim, Output
from spinsweep.parameters import Parameter
from spinsweep.spec import Sweep
from spinsweep.views import View

Floats = npt.NDArray[np.float64]

WIDTH = 0.5
"""um; gives i0, and with the ratio I_bias."""
EPOCHS = 20
"""With 10, the loss of devices that deviate by 25 % at I_bias/i0 = 35 still falls."""


def replicates(cells: Cells) -> dict[str, npt.NDArray[Any]]:
    """Accuracy and loss of all cells of a box.

    Streams, each at its seed: ``devices`` (x), ``images``, ``weights``, ``trains``, ``pulses`` (of the training),
    ``test`` (trains and luck of the test).
    """
    p = cells.params
    classes = images.class_list(p["classes"])
    tested = images.every(data.checked("test", **p["data"]), classes, p["test_images"])
    result = {"accuracy": np.empty(cells.shape), "loss": np.empty((*cells.shape, p["epochs"]))}
    decisions = cells.coords["decision"].tolist()
    points = list(product(*(cells.coords[name].tolist() for name in ("mode", "variation", "ratio", "bias"))))
    for index, seed in enumerate(cells.coords["seed"].tolist()):
        software = _train(cells, seed, None)  # one network for all variations, ratios and drives
        bars = [_Bars(cells, seed, *chip) for _, *chip in points]
        trained = [
            _train(cells, seed, b) if mode == "hil" else software for (mode, *_), b in zip(points, bars, strict=True)
        ]
        contenders = [
            NetworkOnDevices(exact(t.weights[-1][0]), b.neurons, b.drive) for t, b in zip(trained, bars, strict=True)
        ]
        compared = evidence(contenders, tested, Streams(cells.rng("test", seed=seed)), p["steps"], decisions)
        right = np.stack([accuracy(compared[name], tested.targets) for name in decisions], axis=-1)
        losses = np.repeat([t.loss for t in trained], len(decisions), axis=0)
        result["accuracy"][..., index] = right.reshape(cells.shape[:-1])
        result["loss"][..., index, :] = losses.reshape(*cells.shape[:-1], p["epochs"])
    return result


class _Bars:
    """The devices of a seed, one a class, with their deviations, driven about their mean or each about its own."""

    def __init__(self, cells: Cells, seed: int, variation: float, ratio: float, bias: str) -> None:
        p, family = cells.params, family_of(cells.params["card"])
        i0 = float(family.i0(WIDTH))
        classes = images.class_list(p["classes"])
        x = cells.rng("devices", seed=seed).uniform(-1, 1, len(classes))
        devices = {d: (ratio * i0 * (1 + variation * float(deviation)), i0) for d, deviation in enumerate(x)}
        self.neurons = ModelNeurons(family, devices, family.law(p["link"]), Streams(cells.rng("pulses", seed=seed)))
        self.states = States(family)
        about = ratio * i0 if bias == "mean" else [bias_of_each for bias_of_each, _ in devices.values()]
        self.drive = drive(family, tuple(devices), about, i0, p["z_limit"])


def _train(cells: Cells, seed: int, bars: _Bars | None) -> Training:
    """The training of a seed, with these bars or in software."""
    p, classes = cells.params, images.class_list(cells.params["classes"])
    digits = data.checked("train", **p["data"])
    return training.train(
        network.start(cells.rng("weights", seed=seed), (data.PIXELS, len(classes)), p["initial"]),
        images.some(digits, classes, p["images"], "images", cells.rng("images", seed=seed)),
        Streams(cells.rng("trains", seed=seed)),
        LearnBy(AUTOMATIC, p["learning_rate"], 0.0, p["steps"]),
        p["epochs"],
        Hardware(bars.neurons, bars.drive, bars.states) if bars else None,
    )


def outputs(params: Mapping[str, Any]) -> tuple[Output, ...]:
    """The same for every family; ``ValueError`` where the card's has no such law."""
    require_law(params)
    return (
        Output("accuracy", long_name="accuracy on the test images of the classes"),
        rounded("loss", ("epoch",), long_name="mean squared error of an image in training"),
    )


_OWN = {
    # the axes ratio and variation say what the devices are, with the i0 of one width
    "card": replace(card_of("i0.intercept", "i0.slope", *READOUT, "switching.link"), axes=None),
    "epochs": replace(next(p for p in TRAINING if p.name == "epochs"), default=EPOCHS),
}
"""Parameters of a training that are others here."""

REPLICATES = Sweep(
    name="hil-replicates",
    title="What hardware in the loop gains, over networks, devices and variation",
    axes=(
        Axis("mode", MODES, long_name="how it is trained", choices=MODES),
        Axis("variation", (0.0, 0.05, 0.1, 0.125, 0.15, 0.2, 0.25), long_name="variation", low=0.0, high=0.7),
        Axis("ratio", (10.0, 20.0, 35.0), long_name="I_bias/i0", low=9.21, high=200.0),
        Axis(
            "bias",
            ("mean",),
            long_name="bias current: the mean, or each device's own, exactly",
            choices=("mean", "own"),
            neutral="mean",
        ),
        Axis(
            "decision", ("counts",), long_name="by what a class is chosen", choices=tuple(DECISIONS), neutral="counts"
        ),
        Axis("seed", tuple(range(20)), long_name="seed of devices, images, weights, trains", low=0),
    ),
    dims=(Dim("epoch", "epochs", start=1, long_name="epoch"),),
    outputs=(),
    outputs_of=outputs,
    parameters=(
        *(_OWN.get(p.name, p) for p in TRAINING),
        Parameter("test_images", 10_000, help="test images, the first of the classes", low=1, high=1_000_000),
    ),
    function=replicates,
    shared_axes=("mode", "variation", "ratio", "bias", "decision"),
    views=(
        View("accuracy", x="variation", lines="mode", over=("seed",)),
        View("loss", x="epoch", lines="mode", over=("seed",)),
    ),
    figures="spinneurons.hil.figures:FIGURES_REPLICATES",
    source="Islam et al. 2024, Fig. 4(c-e), beyond the paper",
)
