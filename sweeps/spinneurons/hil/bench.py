"""Hardware-in-loop training on a bench: the same training, its neurons are devices behind a lane.

The bench's journal is the checkpoint: a cell that is begun again asks for the same trains and gets what was read, so
that it comes to where it was, with the same weights bit for bit, before it fires anything new.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spinneurons.device import recorded
from spinneurons.device.pulse_cycle import CALIBRATION_CYCLES, PulseTrains
from spinneurons.hil.rules import PRESENTATIONS
from spinneurons.hil.sweep import check, experiment, layout
from spinneurons.neurons.family import NeuronFamily, Readings
from spinneurons.neurons.parameters import with_whole_card
from spinneurons.neurons.registry import family_of
from spinsweep.bench.acquire import current_session
from spinsweep.bench.bench_file import Bench, fingerprint, parse
from spinsweep.evaluate import Cell
from spinsweep.messages import Series
from spinsweep.parameters import Parameter
from spinsweep.spec import Sweep, per_cell

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class BenchNeurons:
    """Devices of one width on a bench, by their numbers; see :class:`spinneurons.hil.neurons.Neurons`."""

    experiment: PulseTrains
    family: NeuronFamily
    width: float
    i_reset: float
    """A, signed."""

    def name(self, device: int) -> str:
        """What the bench file calls a device."""
        return self.experiment.bench.device_with(width=self.width, device=device).name

    def read(self, key: str, neuron_device: Sequence[int], i_write: Floats) -> Readings:
        """As :meth:`spinneurons.hil.neurons.Neurons.read`; a device at fault is lost, the others go on."""
        sign = -self.experiment.bench.polarity.reset_pulse
        names = [self.name(device) for device in neuron_device]
        resets = [self.i_reset] * len(names)
        run = self.experiment.run(key, names, sign * i_write, resets, self.family.read_current, leave_out=True)
        return self.family.of_voltages(run.v_reset, run.v_write)


@per_cell
def hil_on_bench(cell: Cell) -> dict[str, Any]:
    """One training and its test on the devices of a bench; see :func:`spinneurons.hil.sweep.experiment`."""
    p = cell.params
    bench = parse(p["bench"])
    family = family_of(p["card"]).with_reset_state(bench.polarity.reset_state)
    i_reset = bench.polarity.reset_pulse * abs(family.reset_current(p["width"]))
    with PulseTrains(current_session(bench), cell.address) as at_bench:
        neurons = BenchNeurons(at_bench, family, p["width"], i_reset)
        for device in dict.fromkeys(layout(p).neuron_device):
            at_bench.calibrate(neurons.name(device), -i_reset, i_reset, family.read_current)
        losses: list[float] = []

        def note(loss: float) -> None:
            losses.append(loss)
            at_bench.say(loss=loss)

        at_bench.curves = lambda: [loss_curve(losses)]
        at_bench.expected = sum(number * sum(each.values()) for number, each in _trains_of(p, str(cell["mode"])))
        outputs = experiment(cell, family, neurons, note)
        rows = [row for record in at_bench.journal.trains.values() for row in record.measured]
        return {**outputs, **recorded.of_cell(bench, rows)}


def loss_curve(losses: Sequence[float]) -> Series:
    """The loss after each image, as the reports of the bench draw it."""
    labels = {"x_label": "image", "y_label": "mean loss of the epoch so far"}
    return Series.of("loss", range(1, len(losses) + 1), losses, line=True, **labels)


def trains(sweep: Sweep) -> list[tuple[int, dict[str, int]]]:
    """The trains of all cells asked for: their number, and the cycles of each device in one, by name."""
    modes = Counter(str(cell["mode"]) for cell in sweep.wanted_cells())
    return [(n * number, each) for mode, n in modes.items() for number, each in _trains_of(sweep.params, mode)]


def _trains_of(p: Mapping[str, Any], mode: str) -> list[tuple[int, dict[str, int]]]:
    """Those of one cell: levels, curves, and for each image that is shown one train a layer."""
    bench, plan = parse(p["bench"]), layout(dict(p))
    names = [bench.device_with(width=p["width"], device=device).name for device in plan.neuron_device]
    different = dict.fromkeys(names)
    learned = p["images"] * p["epochs"] * PRESENTATIONS[p["rule"]] if mode == "hil" else 0
    shown = p["test_images"] + learned
    ends = list(itertools.accumulate(plan.layers[1:]))
    layers = [Counter(names[begin:end]) for begin, end in itertools.pairwise([0, *ends])]
    return [
        *((1, {name: CALIBRATION_CYCLES}) for name in different),
        (1, dict.fromkeys(different, p["currents"] * p["cycles"])),
        *((shown, {name: number * p["steps"] for name, number in layer.items()}) for layer in layers),
    ]


def cycles(sweep: Sweep) -> dict[str, int]:
    """How many cycles the devices take in all cells asked for, by name of the device."""
    return dict(sum((Counter({n: number * k for n, k in each.items()}) for number, each in trains(sweep)), Counter()))


def prepare(sweep: Sweep) -> None:
    """``SpecError`` or ``BenchError`` where parameters and bench do not fit together: before anything is fired."""
    check(sweep)
    cycles(sweep)


def on_bench(sweep: Sweep, bench: Bench) -> Sweep:
    """The training with the devices of a bench in the loop."""
    described = Parameter("bench", bench.model_dump(mode="json"), help="the bench file", fingerprint=fingerprint)
    return dataclasses.replace(
        sweep,
        title=f"{sweep.title}, on bench {bench.name}",
        parameters=(*with_whole_card(sweep.parameters), described),
        outputs_of=recorded.by_cell(bench, sweep),
        prepare=prepare,
        function=hil_on_bench,
        resources=bench.needs,
        measured=True,
        bench_cycles=cycles,
        bench_trains=trains,
    )
