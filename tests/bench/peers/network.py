"""(b) The network: accuracy of a spiking 784-400-10 network on the same images, with the same weights, in 50 steps.

All ways make the same decisions by chance: a pixel fires with its intensity, a neuron with the sigmoid of its drive.
Libraries of integrate-and-fire neurons express that exactly: without memory, a neuron whose drive has a standard
logistic number added fires above 0 with that probability.  Their numbers are torch's own; so accuracies agree as far
as chance allows, and that is checked.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tests.bench.peers.child import Clock
from tests.bench.peers.turns import LeftOut, Table, Way
from torch import Tensor

from spinneurons.codesign import chip as chips
from spinneurons.codesign import model, reference
from spinneurons.codesign.draws import Batch, Draws
from spinneurons.codesign.network import Recipe, obtain
from spinneurons.codesign.sweep import SWEEP
from spinneurons.mnist import data
from spinneurons.neurons import card as cards
from spinneurons.neurons.hall_bar import HallBar

STEPS, ETA, BATCH, EPOCHS = 50, 0.1, reference.BATCH, 5


@dataclass(frozen=True)
class Case:
    """Weights, shifts and images."""

    chip: chips.Chip
    batch: Batch
    etas: list[float]
    ratios: list[float]

    @property
    def weights(self) -> list[Tensor]:
        """(inputs, outputs) float32 of each layer."""
        pairs = zip(self.chip.w, self.chip.d, strict=True)
        return [torch.from_numpy(w + np.float64(ETA) * d).float() for w, d in pairs]

    @property
    def shifts(self) -> list[Tensor]:
        """(outputs,) of each layer, subtracted from the drive."""
        ends = np.cumsum(self.chip.sizes)[:-1]
        return [torch.from_numpy(s).float() for s in np.split(self.chip.shift(ETA, self.ratios[0]), ends)]

    @property
    def pixels(self) -> Tensor:
        """(images, 784) intensities from 0 to 1."""
        return torch.from_numpy(self.batch.images.astype(np.float32) / 255)

    def layers(self) -> list[torch.nn.Linear]:
        """The layers as torch's own."""
        found = []
        for w, s in zip(self.weights, self.shifts, strict=True):
            layer = torch.nn.Linear(*w.shape)
            with torch.no_grad():
                layer.weight.copy_(w.T)
                layer.bias.copy_(-s)
            found.append(layer)
        return found

    def accuracy(self, counts_of: Callable[[Tensor], Tensor]) -> float:
        """Of the classes with most spikes, from the counts (n, 10) of batches of pixels (n, 784)."""
        with torch.no_grad():
            counts = torch.cat([counts_of(part) for part in self.pixels.split(BATCH)])
        return float((counts.argmax(1).numpy() == self.batch.labels).mean())


def _logistic(like: Tensor) -> Tensor:
    """Standard logistic numbers."""
    return torch.special.logit(torch.rand_like(like), eps=1e-7)


def _summed(step: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Spikes of the output in all steps, from those of a step, given the spikes of the pixels."""

    def counts(pixels: Tensor) -> Tensor:
        total: Any = 0
        for _ in range(STEPS):
            total = total + step(torch.bernoulli(pixels))
        return total

    return counts


def _snntorch(case: Case) -> Callable[[], float]:
    import snntorch

    layers = case.layers()
    neurons = [snntorch.Leaky(beta=0.0, threshold=0.0, reset_mechanism="none") for _ in layers]

    def step(spikes: Tensor) -> Tensor:
        for layer, neuron in zip(layers, neurons, strict=True):
            drive = layer(spikes)
            spikes, _ = neuron(drive + _logistic(drive), torch.zeros_like(drive))
        return spikes

    return lambda: case.accuracy(_summed(step))


def _spikingjelly(case: Case) -> Callable[[], float]:
    from spikingjelly.activation_based import functional, neuron

    layers = case.layers()
    neurons = [neuron.IFNode(v_threshold=0.0, v_reset=0.0) for _ in layers]

    def step(spikes: Tensor) -> Tensor:
        for layer, node in zip(layers, neurons, strict=True):
            functional.reset_net(node)  # its neurons keep what they have not fired
            drive = layer(spikes)
            spikes = node(drive + _logistic(drive))
        return spikes

    return lambda: case.accuracy(_summed(step))


def _norse(case: Case) -> Callable[[], float]:
    import norse.torch as norse

    layers = case.layers()
    all_at_once = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(1000.0), v_th=torch.tensor(0.0))
    neurons = [norse.LIFBoxCell(all_at_once, dt=0.001) for _ in layers]

    def step(spikes: Tensor) -> Tensor:
        for layer, neuron in zip(layers, neurons, strict=True):
            drive = layer(spikes)
            spikes, _ = neuron(drive + _logistic(drive), None)
        return spikes

    return lambda: case.accuracy(_summed(step))


def _bindsnet(case: Case) -> Callable[[], float]:
    try:
        import torchvision  # noqa: F401
    except RuntimeError:  # its compiled part fits no CPU build of torch; BindsNET's networks use none of it
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou) -> Tensor")
    from bindsnet.network import Network
    from bindsnet.network.monitors import Monitor
    from bindsnet.network.nodes import Input, McCullochPitts
    from bindsnet.network.topology import Connection

    class Neurons(McCullochPitts):
        def forward(self, x: Tensor) -> None:
            super().forward(x + _logistic(x))

    network = Network(dt=1.0, learning=False)
    before = Input(n=case.weights[0].shape[0])
    network.add_layer(before, name="0")
    for number, (w, s) in enumerate(zip(case.weights, case.shifts, strict=True), 1):
        after = Neurons(n=w.shape[1], thresh=0.0)
        network.add_layer(after, name=str(number))
        connection = Connection(before, after, w=w, b=-s)
        network.add_connection(connection, source=str(number - 1), target=str(number))
        before = after
    monitor = Monitor(before, ["s"], time=STEPS)
    network.add_monitor(monitor, "output")

    def counts(pixels: Tensor) -> Tensor:
        spikes = torch.bernoulli(pixels.expand(STEPS, *pixels.shape))
        network.run({"0": spikes}, time=STEPS, one_step=True)
        total = monitor.get("s").sum(0)
        network.reset_state_variables()
        return total

    return lambda: case.accuracy(counts)


def case_of(smallest: bool, images: int) -> Case:
    """A trained network and test images; the smallest: a small network that has learned nothing."""
    widths, variations = (np.array(SWEEP.axis(name).values, np.float64) for name in ("width", "variation"))
    bars = HallBar(cards.default())
    etas, ratios = variations.tolist(), (bars.i_bias(widths) / bars.i0(widths)).tolist()
    test = data.load("test")
    if smallest:
        rng = np.random.default_rng(0)
        folded = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in ((784, 20), (20, 10))]
        etas, ratios = [ETA], ratios[:1]
    else:
        folded = obtain(Recipe(epochs=EPOCHS), data.describe(), 0, print).folded
    layers = [chips.Programmed.ideal(w) for w in folded]
    chip = chips.make(layers, np.random.default_rng(1), np.random.default_rng(2))
    return Case(chip, Batch.first(test.images, test.labels, images), etas, ratios)


def _way(name: str, make: Callable[[Case], Callable[[], float]], case: Case, uses: Sequence[str], note: str) -> Way:
    prepared: list[Callable[[], float]] = []

    def measure() -> dict[str, float]:
        if not prepared:
            try:
                prepared.append(make(case))
            except (ImportError, RuntimeError) as error:
                raise LeftOut(f"cannot be loaded: {str(error).splitlines()[0]}") from error
            prepared[0]()  # once to warm up
        with Clock() as clock:
            accuracy = prepared[0]()
        return {"s a cell": clock.seconds, "accuracy": accuracy}

    return Way(name, measure, tuple(uses), note)


def _plane(case: Case, etas: list[float], ratios: list[float]) -> Callable[[], dict[str, float]]:
    def once() -> dict[str, float]:
        grid = model.CellGrid(etas, ratios, STEPS)
        with Clock() as clock:
            found = model.plane(case.chip, case.batch, Draws((1, 2)), grid)
        accuracy = float(np.asarray(found.accuracy)[..., -1].ravel()[_first(etas) * len(ratios)])
        return {"s a cell": clock.seconds / (len(etas) * len(ratios)), "accuracy": accuracy}

    once()
    return once


def _first(etas: list[float]) -> int:
    """Where the variation of the other ways stands."""
    return etas.index(ETA)


def checked(ways: Sequence[Way], images: int) -> list[Way]:
    """The same, whose accuracies agree with the median of those so far.

    Images are shared, and 50 steps leave little to chance: an image that is decided by chance counts as one of two.
    """
    seen: list[float] = []

    def wrapped(way: Way) -> Callable[[], dict[str, float]]:
        def measure() -> dict[str, float]:
            found = dict(way.measure())
            seen.append(found["accuracy"])
            allowed = 0.01 + 3 / math.sqrt(images)
            if abs(found["accuracy"] - statistics.median(seen)) > allowed:
                raise AssertionError(f"{way.name}: accuracy {found['accuracy']}, others {seen}")
            return found

        return measure

    return [Way(way.name, wrapped(way), way.uses, way.note, way.cannot) for way in ways]


@contextmanager
def tables(smallest: bool) -> Iterator[Sequence[Table]]:
    """The network, in all of torch's threads."""
    images = 100 if smallest else 1000
    case = case_of(smallest, images)
    plane: list[Callable[[], dict[str, float]]] = []

    def whole() -> dict[str, float]:
        if not plane:
            plane.append(_plane(case, case.etas, case.ratios))
        return plane[0]()

    def loop(case: Case) -> Callable[[], float]:
        batch, ratio = case.batch, case.ratios[0]
        return lambda: reference.plain_loop(case.chip, batch.images, batch.labels, ETA, ratio, STEPS)

    def alone(case: Case) -> Callable[[], float]:
        once = _plane(case, [ETA], case.ratios[:1])
        return lambda: once()["accuracy"]

    cells = len(case.etas) * len(case.ratios)
    same = "the same update: noise in the drive, no memory"
    ways = [
        Way(f"spinsweep, a cell of a plane of {cells}", whole, note="the plane's time over its cells"),
        _way("spinsweep, one cell alone", alone, case, (), "no other cell to share work with"),
        _way("plain torch loop", loop, case, (), "torch.bernoulli of the sigmoid"),
        _way("snnTorch", _snntorch, case, ("snntorch",), f"Leaky(beta=0): {same}"),
        _way(
            "SpikingJelly",
            _spikingjelly,
            case,
            ("spikingjelly",),
            "IFNode, reset before each step; fires at 0",
        ),
        _way("Norse", _norse, case, ("norse", "nir", "nirtorch"), f"LIFBoxCell of one step's time constant: {same}"),
        _way(
            "BindsNET",
            _bindsnet,
            case,
            ("bindsnet", "torchvision", "gymnasium", "ale-py", "scikit-learn", "scikit-image", "tensorboardX"),
            f"McCullochPitts of our own subclass: {same}; fires at 0",
        ),
    ]
    threads = torch.get_num_threads()
    yield [
        Table(
            f"the network, {images:,} images, {STEPS} steps",
            checked(ways, images),
            ("s a cell", "accuracy"),
            f"{'-'.join(map(str, (784, *case.chip.sizes)))} network, same weights and images, batches of {BATCH}, "
            f"{threads} threads. A cell is one variation at one width; a sweep computes "
            f"{cells} of them for each chip.",
        )
    ]
