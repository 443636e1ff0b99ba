"""Hardware-in-loop training as a sweep: one network trained with the devices and in software, both tested on them.

A cell is one training and its test.  Both modes of a seed have the same images, initial weights and Poisson trains,
and in the test the same luck of the pulses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from spinneurons.hil import images, network, training
from spinneurons.hil.curves import Curve, characterize, most_probable_bias
from spinneurons.hil.decisions import DECISIONS, of_curves, of_inputs
from spinneurons.hil.images import Images
from spinneurons.hil.neurons import Drive, ModelNeurons, Neurons, drive
from spinneurons.hil.rules import AUTOMATIC, RULES, LearnBy
from spinneurons.hil.states import States
from spinneurons.hil.streams import Streams
from spinneurons.hil.training import Hardware, Shown
from spinneurons.mnist import data
from spinneurons.mnist.parameter import DATA
from spinneurons.neurons.family import Law, NeuronFamily
from spinneurons.neurons.outputs import rounded
from spinneurons.neurons.parameters import CURVES, LINK, READOUT, WIDTH, card_of, readings
from spinneurons.neurons.registry import family_of
from spinsweep.axis import Axis
from spinsweep.errors import SpecError
from spinsweep.evaluate import Cell
from spinsweep.outputs import Dim, Output
from spinsweep.parameters import Parameter
from spinsweep.spec import Sweep, per_cell
from spinsweep.views import View

Floats = npt.NDArray[np.float64]

MODES = ("hil", "software")
MODE_OF = {"calibrated": "software", "in-the-loop-calibrated": "hil"}
"""How the network of a method is trained."""


@dataclass(frozen=True)
class Layout:
    """Which neurons there are."""

    classes: tuple[int, ...]
    """Digit of each output neuron."""
    layers: tuple[int, ...]
    """Pixels, hidden neurons of each layer, output neurons."""
    neuron_device: tuple[int, ...]
    """Device of each neuron: devices in turn, so that fewer devices are several neurons in one time step."""


def layout(params: dict[str, Any]) -> Layout:
    """The neurons that the parameters describe; ``ValueError`` with one line where they do not fit together."""
    classes = images.class_list(params["classes"])
    hidden, devices = (images.whole_numbers(params[name], name) for name in ("hidden", "devices"))
    for size in hidden:
        if not 1 <= size <= data.PIXELS:
            raise ValueError(f"hidden: {size} neurons in a layer; 1 to {data.PIXELS} can be kept")
    needed = sum(hidden) + len(classes)
    if params["neurons"] != needed:
        of = f"{len(classes)} classes" + (f" and hidden layers of {', '.join(map(str, hidden))}" if hidden else "")
        raise ValueError(f"neurons: {params['neurons']}, but {of} need {needed}; set neurons={needed}")
    if not devices:
        raise ValueError("devices: none given; at least one device number is needed, such as 0")
    turns = tuple(devices[n % len(devices)] for n in range(needed))
    return Layout(tuple(classes), (data.PIXELS, *hidden, len(classes)), turns)


@per_cell
def hil(cell: Cell) -> dict[str, Any]:
    """One training and its test on the devices of the card.

    Streams, each at the seed: ``pulses`` (luck and noise of the pulses), and those of :func:`experiment`.
    """
    p = cell.params
    family = family_of(p["card"])
    devices = {d: family.individual(p["width"], d) for d in layout(p).neuron_device}
    streams = Streams(cell.rng("pulses", axes=("seed",)))
    return experiment(cell, family, ModelNeurons(family, devices, family.law(p["link"]), streams))


def experiment(
    cell: Cell, family: NeuronFamily, neurons: Neurons, on_loss: Callable[[float], None] = lambda loss: None
) -> dict[str, Any]:
    """The cell's outputs with any hardware: curves, training, test.

    Streams, each at the seed: ``images`` (which ones), ``weights`` (initial), ``trains`` (Poisson).

    Parameters
    ----------
    family : decides what the neurons' readings say
    on_loss : called with the loss so far while a network is trained

    Raises
    ------
    ValueError
        Parameters do not fit together, or a device has no fitted curve where its bias is wanted.
    """
    p, plan = cell.params, layout(cell.params)
    law = family.law(p["link"])
    learned, tested = images_of(cell)
    trains = Streams(cell.rng("trains", axes=("seed",)))
    initial = network.start(cell.rng("weights", axes=("seed",)), plan.layers, p["initial"])

    states = States(family)
    i_curve = family.write_currents(p["width"], p["currents"])
    curves = characterize(neurons, states, plan.neuron_device, i_curve, p["cycles"], law)
    hardware = Hardware(neurons, _drive(plan, p, family, curves, i_curve), states)
    in_loop = hardware if cell["mode"] == "hil" else None
    by = LearnBy(p["rule"], p["learning_rate"], p["perturbation"], p["steps"])
    trained = training.train(initial, learned, trains, by, p["epochs"], in_loop, lambda loss, _: on_loss(loss))
    shown, inputs = training.test(trained.weights[-1], tested, trains, p["steps"], hardware)

    outputs = slice(-len(plan.classes), None)
    confidence = np.full(shown.activation.shape, np.nan)
    mean_inputs = np.full(shown.activation.shape, np.nan)
    mean_inputs[:, outputs] = inputs.mean(axis=1)
    confidence[:, outputs] = _confidence(p["decision"], shown.activation[:, outputs], inputs, hardware, curves, law)
    best = training.most_confident(confidence[:, outputs])
    digits = np.array([*plan.classes, -1])  # place -1: undecided
    by_neuron = [curves[d] for d in plan.neuron_device]
    return {
        "loss": trained.loss,
        "weights": np.stack([_columns(w) for w in trained.weights]),
        "label": digits[learned.targets],
        "activation": trained.shown.activation,
        "trials": trained.shown.trials,
        **_readings("", family, trained.shown, p["steps"]),
        "test_label": digits[tested.targets],
        "test_activation": shown.activation,
        "test_trials": shown.trials,
        **_readings("test_", family, shown, p["steps"]),
        **({} if p["decision"] == "counts" else {"test_input": mean_inputs}),
        "confidence": confidence,
        "predicted": digits[best],
        "device_number": np.array(plan.neuron_device),
        "bias_current": hardware.drive.i_bias,
        "curve_i_write": i_curve,
        "curve_switches": np.stack([c.switches for c in by_neuron]),
        "curve_trials": np.stack([c.trials for c in by_neuron]),
        "curve_i_bias": np.array([c.fit.i_bias for c in by_neuron]),
        "curve_i0": np.array([c.fit.i0 for c in by_neuron]),
    }


def _confidence(
    decision: str, activation: Floats, z: Floats, hardware: Hardware, curves: Mapping[int, Curve], law: Law
) -> Floats:
    """(images, classes) confidence by counts, inputs, or inputs through the fitted curves.

    Parameters
    ----------
    activation : (images, classes) of the output neurons
    z : (images, steps, classes) that they were given
    """
    if decision == "inputs":
        return of_inputs(z)
    if decision == "normalised":
        outputs = slice(-z.shape[-1], None)
        fits = [curves[d].fit for d in hardware.drive.neuron_device[outputs]]
        i_bias, i0 = np.array([(fit.i_bias, fit.i0) for fit in fits]).T
        activation = of_curves(z, lambda one: law.probability((hardware.drive.i_write(one, outputs) - i_bias) / i0))
    return training.confidence(activation)


def _readings(prefix: str, family: NeuronFamily, shown: Shown, steps: int) -> dict[str, Any]:
    """The readings as outputs; NaN in software, which has none."""
    *images, neurons = shown.activation.shape
    none = np.full((*images, steps, neurons), np.nan, np.float32)
    values = shown.readings or (none,) * len(family.readings)
    return {prefix + reading.name: v for reading, v in zip(family.readings, values, strict=True)}


def _drive(plan: Layout, p: dict[str, Any], family: NeuronFamily, curves: dict[int, Curve], i_curve: Floats) -> Drive:
    """How the neurons are driven: about the bias of their own calibration or fit, or about the width's mean."""
    bias: Any = float(family.i_bias(p["width"]))
    if p["method"] in MODE_OF:
        calibrated = most_probable_bias(curves, i_curve, family, p["width"], family.law(p["link"]))
        bias = [calibrated[d] for d in plan.neuron_device]
    elif p["bias"] == "fitted":
        for device, curve in curves.items():
            if curve.fit.reason:
                raise ValueError(f"device {device}: {curve.fit.reason}; drive it with bias=mean")
        bias = [curves[d].fit.i_bias for d in plan.neuron_device]
    return drive(family, plan.neuron_device, bias, float(family.i0(p["width"])), p["z_limit"])


def _columns(weights: list[Floats]) -> Floats:
    """(784, neurons) incoming weights of each neuron of all layers, NaN beyond a layer's inputs."""
    padded = [np.pad(w, ((0, data.PIXELS - len(w)), (0, 0)), constant_values=np.nan) for w in weights]
    return np.concatenate(padded, axis=1)


def images_of(cell: Cell) -> tuple[Images, Images]:
    """Training and test images of the cell's seed."""
    plan = layout(cell.params)
    p, rng = cell.params, cell.rng("images", axes=("seed",))
    learned = images.some(data.checked("train", **p["data"]), plan.classes, p["images"], "images", rng)
    return learned, images.some(data.checked("test", **p["data"]), plan.classes, p["test_images"], "test_images", rng)


def check(sweep: Sweep) -> None:
    """``SpecError`` with one line where the parameters do not fit together: before anything runs."""
    _require_width(sweep.params)
    _require_one_method(sweep)
    modes, rule = sweep.axis("mode").values, sweep.params["rule"]
    if rule != AUTOMATIC and modes != ("hil",):
        raise SpecError(f"mode: {', '.join(map(str, modes))}, but rule={rule} learns from devices; set mode=hil")
    cell = Cell(sweep, {axis.name: axis.values[0] for axis in sweep.axes})
    try:
        images_of(cell)
    except ValueError as error:
        raise SpecError(f"sweep {sweep.name!r}: {error}") from None


def _require_one_method(sweep: Sweep) -> None:
    """Refuse a method beside another mode or bias than its own."""
    method, modes = sweep.params["method"], sweep.axis("mode").values
    if method not in MODE_OF:
        return
    if modes != (MODE_OF[method],):
        raise SpecError(f"mode: {', '.join(map(str, modes))}, but method={method} has mode={MODE_OF[method]}")
    if sweep.params["bias"] != "mean":
        raise SpecError(f"bias: fitted, but method={method} has bias currents of its own; leave bias out")


def _require_width(params: Mapping[str, Any]) -> None:
    """Refuse another width than that of a card which was measured at one alone: it has no line against the width."""
    widths, entry = family_of(params["card"]).labels()["width"], params["card"]["devices"]["widths"]
    if len(widths) == 1 and entry["provenance"] == "measured" and params["width"] != widths[0]:
        raise SpecError(
            f"width: {params['width']:g} um, but the card was measured at {widths[0]:g} um; set width={widths[0]:g}"
        )


def mode_of_method(method: str) -> dict[str, tuple[str, ...]]:
    """The axis ``mode`` of a method; {} where the axis says how it is."""
    return {"mode": (MODE_OF[method],)} if method in MODE_OF else {}


def mode_of_rule(rule: str) -> dict[str, tuple[str, ...]]:
    """The axis ``mode`` of a rule of learning; {} where there are both."""
    return {} if rule == AUTOMATIC else {"mode": ("hil",)}


TRAINING = (
    Parameter("classes", "0,2,4,6", help="digits, one output neuron each"),
    Parameter("images", 16, help="training images, of all classes together", low=2, high=60_000),
    Parameter("steps", 100, help="time steps of an image", low=1, high=100_000),
    Parameter("epochs", 10, help="times that each training image is shown", low=1, high=10_000),
    Parameter("learning_rate", 0.3, help="of the gradient descent; assumed", low=0.0, high=1000.0),
    Parameter("initial", 0.1, help="initial weights are uniform up to +- this; assumed", low=0.0, high=100.0),
    Parameter("z_limit", 12.0, help="largest z that a write current is made for", low=1.0, high=100.0),
    card_of(*CURVES, *READOUT, "switching.link", individuals=("i_bias", "i0")),
    LINK,
    DATA,
)
"""Parameters of a training, which the replicates share."""
_PARAMETERS = (
    *TRAINING,
    Parameter("hidden", "", help="neurons of each hidden layer, such as 8,6"),
    Parameter("neurons", 4, help="neurons of all layers together", low=2, high=10_000),
    Parameter("test_images", 4, help="test images, of all classes together", low=2, high=10_000),
    Parameter("width", 0.5, "um", "bar width", low=WIDTH.low, high=WIDTH.high),
    Parameter("devices", "0,1,2,3", help="devices of the width, neurons in turn"),
    Parameter("bias", "mean", help="bias current: the width's mean, or of each device", choices=("mean", "fitted")),
    Parameter(
        "method",
        "mode",
        help="mode: as mode and bias say; calibrated: software, each device about its most probable bias current by "
        "its curve and the card's spread; in-the-loop-calibrated: the same drive, trained in the loop",
        choices=("mode", *MODE_OF),
        axes=mode_of_method,
        neutral="mode",
    ),
    Parameter(
        "rule",
        AUTOMATIC,
        help="of learning on the devices; all but gradient and physics-aware show each image twice, and need no "
        "model of a device; the cube has the readings of the first time",
        choices=tuple(RULES),
        axes=mode_of_rule,
        neutral=AUTOMATIC,
    ),
    Parameter(
        "perturbation",
        1.0,
        help="of node-perturbation in z, of weight-perturbation in weight; assumed",
        low=1e-6,
        high=100.0,
        neutral=1.0,
    ),
    Parameter(
        "decision",
        "counts",
        help=f"by what a class is chosen: {'; '.join(f'{name}: {text}' for name, text in DECISIONS.items())}",
        choices=tuple(DECISIONS),
        neutral="counts",
    ),
    Parameter("currents", 14, help="write currents of a device's curve", low=2, high=10_000),
    Parameter("cycles", 100, help="cycles at each of them", low=1, high=1_000_000),
)
_SHOWN = ("image", "neuron")
_READ = ("image", "step", "neuron")
_TEST = ("test_image", "neuron")
_CONFIDENCE = {
    "counts": "share of the class in the activations of the test image",
    "inputs": "softmax of the mean inputs of the output neurons",
    "normalised": "share of the class in what the curves of the devices make of the inputs",
}
_INPUT = (rounded("test_input", _TEST, long_name="mean input z of the output neuron, in the test"),)


def outputs(params: Mapping[str, Any]) -> tuple[Output, ...]:
    """Training, test, and readings of the card's family."""
    return (
        rounded("loss", ("epoch",), long_name="mean squared error of an image"),
        rounded("weights", ("epoch", "pixel", "neuron"), long_name="weights after the epoch"),
        Output("label", ("image",), "int64", long_name="class of the training image"),
        rounded("activation", ("epoch", *_SHOWN), long_name="share of the valid steps that switched"),
        Output("trials", ("epoch", *_SHOWN), "int64", long_name="valid steps"),
        *readings(params, ("epoch", *_READ), suffix=", in training"),
        Output("test_label", ("test_image",), "int64", long_name="class of the test image"),
        rounded("test_activation", _TEST, long_name="share of the valid steps that switched, in the test"),
        Output("test_trials", _TEST, "int64", long_name="valid steps, in the test"),
        *readings(params, ("test_image", "step", "neuron"), "test_"),
        *(() if params["decision"] == "counts" else _INPUT),
        rounded("confidence", _TEST, long_name=_CONFIDENCE[params["decision"]]),
        Output("predicted", ("test_image",), "int64", long_name="most confident class; -1: not a single one"),
        Output("device_number", ("neuron",), "int64", long_name="device of the neuron"),
        rounded("bias_current", ("neuron",), unit="A", long_name="bias current that the neuron is driven about"),
        Output("curve_i_write", ("current",), unit="A", long_name="write current of the curves"),
        Output("curve_switches", ("neuron", "current"), "int64", long_name="cycles that switched"),
        Output("curve_trials", ("neuron", "current"), "int64", long_name="valid cycles"),
        rounded("curve_i_bias", ("neuron",), unit="A", long_name="fitted bias current of the neuron's device"),
        rounded("curve_i0", ("neuron",), unit="A", long_name="fitted scale current of the neuron's device"),
    )


SWEEP = Sweep(
    name="hil",
    title="A network trained with four devices in the loop, and the same trained in software",
    axes=(
        Axis("mode", MODES, long_name="how it is trained", choices=MODES),
        Axis("seed", tuple(range(10)), long_name="seed of images, weights, trains", low=0),
    ),
    dims=(
        Dim("epoch", "epochs", start=1, long_name="epoch"),
        Dim("image", "images", long_name="training image"),
        Dim("test_image", "test_images", long_name="test image"),
        Dim("step", "steps", start=1, long_name="time step"),
        Dim("neuron", "neurons", long_name="neuron, the output neurons last"),
        Dim("pixel", data.PIXELS, long_name="input of the neuron's layer"),
        Dim("current", "currents", long_name="write current, index"),
    ),
    outputs=(),
    outputs_of=outputs,
    parameters=_PARAMETERS,
    prepare=check,
    function=hil,
    on_bench="spinneurons.hil.bench:on_bench",
    views=(
        View("loss", x="epoch", lines="mode", over=("seed",)),
        View("confidence", x="test_image", lines="mode", over=("seed",)),
        View("curve_switches", x="curve_i_write", lines="neuron", over=("seed",)),
    ),
    figures="spinneurons.hil.figures:FIGURES",
    source="Islam et al. 2024, Fig. 4(b-e), S11",
)


def _with_defaults(**defaults: Any) -> tuple[Parameter, ...]:
    return tuple(replace(p, default=defaults.get(p.name, p.default)) for p in _PARAMETERS)


FITTED = replace(
    SWEEP,
    name="hil-fitted",
    title="The same, each device driven about its own fitted bias current",
    parameters=_with_defaults(bias="fitted"),
    figures="spinneurons.hil.figures:FIGURES_FITTED",
)
MULTIPLEXED = replace(
    SWEEP,
    name="hil-multiplexed",
    title="One device as two neurons in turn, trained in the loop",
    parameters=_with_defaults(classes="0,2", images=8, test_images=6, neurons=2, devices="0"),
    figures="spinneurons.hil.figures:FIGURES_MULTIPLEXED",
    source="Islam et al. 2024, Fig. S12",
)
