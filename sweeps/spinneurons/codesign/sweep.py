"""The co-design grid as a sweep: accuracy and energy against width and variation, for many chips, at every step.

One chip seed gives the deviations of a chip and the spikes of its run; both are the same at every width and every
variation, so that cells of a seed are compared without their common noise.  A plane of all widths and variations
costs little more than one cell: blocks hold whole planes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.codesign import chip as chips
from spinneurons.codesign import crossbar, own_devices, own_weights
from spinneurons.codesign.calibrated import Method, estimate, spread_of
from spinneurons.codesign.draws import Batch, Draws, neuron_thresholds
from spinneurons.codesign.pulses_axis import EXACT, PulsesAxis, pulses_of
from spinneurons.codesign.tables import CellGrid
from spinneurons.mnist import data
from spinneurons.mnist.data import CLASSES, PIXELS
from spinneurons.mnist.parameter import DATA
from spinneurons.neurons.parameters import LINK, WIDTH, card_of, require_law
from spinneurons.neurons.registry import family_of
from spinsweep.axis import Axis
from spinsweep.errors import SpecError
from spinsweep.evaluate import Cells
from spinsweep.outputs import Coordinate, Dim, Output
from spinsweep.parameters import Parameter
from spinsweep.printable import brief, say
from spinsweep.spec import Sweep
from spinsweep.views import View

if TYPE_CHECKING:  # loaded where it computes: a look at the sweeps does not need torch
    from spinneurons.codesign.chip import Floats
    from spinneurons.codesign.network import Network, Recipe

_VARIATIONS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)
_BOTH = "i_bias,i0"
_LAYERS = "-".join(map(str, crossbar.SIZES))
_FAULTS = ("levels", "stuck_off", "stuck_on", "read_noise")
"""Properties of the crossbar: parameters of one sweep, axes of the other."""


def codesign(cells: Cells) -> dict[str, npt.NDArray[Any]]:
    """All cells of a box: planes of widths and variations, one for each chip seed and each kind of crossbar."""
    return planes(Chips(cells.params, cells.coords, cells.rng), cells.shape)


class Chips(NamedTuple):
    """Which chips are computed, and their random numbers."""

    params: Mapping[str, Any]
    """Of the sweep; ``card`` and ``devices`` are those of the chips."""
    coords: Mapping[str, npt.NDArray[Any]]
    """Values along each axis, ``width``, ``variation`` and ``seed`` at least."""
    rng: Callable[..., np.random.Generator]
    """By stream and seed. Streams: ``neurons``, ``weights`` and ``scales`` of a chip (x and xi of equation 3, and y
    of the spread of i0), ``faults`` (stuck cells), ``calibration`` (pulses at the neurons) and ``spikes``."""


def planes(box: Chips, shape: tuple[int, ...]) -> dict[str, npt.NDArray[Any]]:
    """The outputs of all chips, float64 (*shape, steps).

    Parameters
    ----------
    shape : lengths along the axes of ``box.coords``, width, variation and seed first; those of length one may be
        left out
    """
    from spinneurons.codesign import model

    p, widths, steps = box.params, box.coords["width"], box.params["steps"]
    weights = {offset: weights_of(p, offset) for offset in box.coords.get("training", np.zeros(1, int)).tolist()}
    test = data.checked("test", **p["data"])
    batch = Batch.first(test.images, test.labels, p["images"])
    family = family_of(p["card"])
    names = list(box.coords)
    in_order = sorted(_kinds(p).items(), key=lambda one: names.index(one[0]) if one[0] in names else len(names))
    kinds = {name: box.coords.get(name, np.array([default])) for name, default in in_order}
    # (width, variation, seed, levels, ...): what comes after the seed is squeezed away where it is no axis
    lengths = box.coords["variation"], box.coords["seed"], *kinds.values()
    grid = (len(widths), *(len(values) for values in lengths))
    arrays = {n: np.empty((*grid, steps)) for n in ("accuracy", "spikes_hidden", "spikes_output", "weight_read")}
    every_synapse = np.empty(grid)
    for index in np.ndindex(grid[2:]):
        seed = int(box.coords["seed"][index[0]])
        kind = {name: values[i].item() for (name, values), i in zip(kinds.items(), index[1:], strict=True)}
        chip = _chip(box, weights[kind["training"]], seed, kind)
        plane = model.plane(chip, batch, Draws.of(box.rng("spikes", seed=seed)), _plane_cells(box, chip, seed, kind))
        every_synapse[..., *index] = float(sum(np.abs(w).sum() for w in weights[kind["training"]]))
        for name, array in arrays.items():
            array[(slice(None), slice(None), *index)] = getattr(plane, name).swapaxes(0, 1)
    results = {name: array.reshape(*shape, steps) for name, array in arrays.items()}
    read = results.pop("weight_read")
    i0 = family.i0(widths).reshape(-1, *(1,) * len(shape))
    unit = float(family.i0(max(family.labels()["width"])))
    return {
        **results,
        "synaptic_energy": i0**2 / p["conductance"] * p["dt"] * read,
        "energy_normalised": (i0 / unit) ** 2 * read / every_synapse.reshape(*shape, 1),
    }


def _kinds(params: Mapping[str, Any]) -> dict[str, Any]:
    """What makes planes of a chip differ: the value where it is no axis."""
    return {
        "calibration_cycles": "0",
        "i0_variation": 0.0,
        "training": 0,
        **{name: params.get(name) for name in _FAULTS},
    }


def _plane_cells(box: Chips, chip: chips.Chip, seed: int, kind: dict[str, Any]) -> CellGrid:
    """The cells of a plane, with the estimates of the chip's neurons if they are calibrated."""
    p, law = box.params, family_of(box.params["card"]).law(box.params["link"])
    ratios = z_shift_scale(box.coords["width"], p).tolist()
    thresholds = neuron_thresholds(law, kind["read_noise"])
    zeta = kind["i0_variation"]
    grid = CellGrid(
        box.coords["variation"].tolist(), ratios, p["steps"], p["ties"], thresholds, zeta, class_by=p["class_by"]
    )
    if kind["calibration_cycles"] == "0":
        return grid
    spread = spread_of(p["distribution"], own_devices.measured(p["devices"]))
    method = Method(pulses_of(kind["calibration_cycles"]), law, p["calibrate"] == _BOTH, spread)
    rng = box.rng("calibration", seed=seed)
    return replace(grid, estimates=estimate(chip, grid.etas, grid.ratios, zeta, method, rng))


def _chip(box: Chips, weights: Sequence[Floats], seed: int, kind: dict[str, Any]) -> chips.Chip:
    faults = box.rng("faults", seed=seed)
    layers = [crossbar.program(w, faults, kind["levels"], kind["stuck_off"], kind["stuck_on"]) for w in weights]
    neurons, deviations, scales = (box.rng(stream, seed=seed) for stream in ("neurons", "weights", "scales"))
    p = box.params
    devices = own_devices.measured(p["devices"])
    return chips.make(layers, neurons, deviations, p["vary"], p["distribution"], scales, devices)


def sizes_of(params: Mapping[str, Any]) -> tuple[int, ...]:
    """Pixels, neurons of each hidden layer, classes of the parameters' network.

    Raises
    ------
    ValueError
        ``layers`` is no such network, or is not that of ``weights``; one line.
    """
    text, stored = params["layers"], tuple(params["weights"].get("sizes", ()))
    if stored and text in (_LAYERS, "-".join(map(str, stored))):
        return stored
    if stored:
        raise ValueError(
            f"layers {text} are not those of the weights, {'-'.join(map(str, stored))}; leave layers out"
        )
    if not re.fullmatch(rf"{PIXELS}(-[1-9][0-9]{{0,3}})+-{CLASSES}", text):
        raise ValueError(
            f"layers {brief(text)}: write {PIXELS} pixels, one or more hidden layers of at most 9999 neurons, and "
            f"{CLASSES} classes, such as {PIXELS}-400-100-{CLASSES}"
        )
    return tuple(map(int, text.split("-")))


def _recipe(params: Mapping[str, Any]) -> Recipe:
    from spinneurons.codesign.network import Recipe

    _, hidden, *further, _ = sizes_of(params)
    return Recipe(epochs=params["epochs"], hidden=hidden, further=tuple(further))


def weights_of(params: Mapping[str, Any], offset: int = 0) -> tuple[Floats, ...]:
    """Layers as they are used: those of the file, or of the network trained with the seed ``network`` + offset."""
    if stored := params["weights"]:
        return own_weights.checked(stored["file"], stored["sha256"])
    network = _network(
        params["data"]["folder"], params["data"]["sha256"], _recipe(params), params["network"] + offset
    )
    return network.folded if params["w2"] == "folded" else network.w


@lru_cache(maxsize=8)
def _network(folder: str, sha256: str, recipe: Recipe, seed: int) -> Network:
    from spinneurons.codesign.network import obtain

    return obtain(recipe, {"folder": folder, "sha256": sha256}, seed)


def _offsets(sweep: Sweep) -> list[int]:
    """Training seeds of a sweep, counted from the parameter ``network``."""
    names = [axis.name for axis in sweep.every_axis]
    return [int(value) for value in sweep.axis("training").values] if "training" in names else [0]


def prepare(sweep: Sweep) -> None:
    """Train the networks of the sweep, unless they are there, and say how far it is.

    Raises
    ------
    SpecError
        Several trainings are asked for of weights that were trained elsewhere.
    """
    p = sweep.params
    if p["weights"] and _offsets(sweep) != [0]:
        raise SpecError("axis 'training': the weights of a file are not trained here; leave training or weights out")
    train_networks(p, _offsets(sweep))


def train_networks(params: Mapping[str, Any], offsets: Sequence[int]) -> None:
    """Train the networks of these seeds, counted from the parameter ``network``, unless they are there or in a file.

    How far it is, is said on stderr.
    """
    from spinneurons.codesign.network import obtain

    if not params["weights"]:
        for offset in offsets:
            seed = params["network"] + offset
            obtain(_recipe(params), params["data"], seed, say=lambda line: say(line, error=True))


def artifact_ids(sweep: Sweep) -> dict[str, Any]:
    """Attributes of the cube: each network's file, the SHA-256 of its weights, and the tiles of its layers."""
    p = sweep.params
    tiles = [layer.count for layer in crossbar.layers(p["tile_rows"], p["tile_columns"], sizes_of(p))]
    if stored := p["weights"]:
        return {
            "network_file": Path(stored["file"]).name,
            "network_sha256": stored["sha256"],
            "crossbar_tiles": tiles,
        }
    from spinneurons.codesign.network import network_file

    ids: dict[str, Any] = {}
    for offset in _offsets(sweep):
        network = _network(p["data"]["folder"], p["data"]["sha256"], _recipe(p), p["network"] + offset)
        suffix = f"_{offset}" if offset else ""
        ids[f"network_file{suffix}"] = network_file(network.recipe, network.data, network.seed).name
        ids[f"network_sha256{suffix}"] = network.digest
    return {**ids, "crossbar_tiles": tiles}


def z_shift_scale(widths: npt.NDArray[Any], params: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """(n,) I_bias/i0 of the card at each width: the shift of z for a deviation of 100 % (equation 3)."""
    family = family_of(params["card"])
    return np.asarray(family.i_bias(widths) / family.i0(widths), np.float64)


def outputs(params: Mapping[str, Any]) -> tuple[Output, ...]:
    """The same for every family; ``ValueError`` where the card's has no such law, or layers cannot be."""
    require_law(params)
    sizes_of(params)
    return OUTPUTS


OUTPUTS = (
    Output("accuracy", ("timestep",), "float32", long_name="accuracy on the test images"),
    Output("spikes_hidden", ("timestep",), "float32", long_name="hidden spikes of an image so far"),
    Output("spikes_output", ("timestep",), "float32", long_name="output spikes of an image so far"),
    Output("synaptic_energy", ("timestep",), "float64", "J", "synaptic read energy of an image so far"),
    Output("energy_normalised", ("timestep",), long_name="the same, in reads of all synapses at the widest bar"),
)
NETWORK_PARAMETERS = (
    Parameter("steps", 50, help="time steps of a run", low=1, high=1_000_000),
    Parameter("images", 10_000, help="test images, the first of the data", low=1, high=1_000_000),
    Parameter("vary", "both", help="what deviates on a chip", choices=chips.VARY),
    Parameter("distribution", "uniform", help="of the deviations", choices=chips.DISTRIBUTIONS),
    Parameter("w2", "folded", help="later layers with or without the dropout factor 0.5", choices=("folded", "raw")),
    Parameter("ties", "fraction", help="classes with the same count", choices=("fraction", "random")),
    Parameter("network", 0, help="seed of the training", low=0),
    Parameter("epochs", 40, help="epochs of the training", low=1, high=10_000),
    Parameter("conductance", 1e-4, "S", "G0, conductance of a weight of 1; assumed", low=1e-12, high=1.0),
    Parameter("tile_rows", crossbar.ROWS, help="inputs of a crossbar tile", low=1, high=1_000_000),
    Parameter("tile_columns", crossbar.COLUMNS, help="columns of a tile, two an output", low=2, high=1_000_000),
    Parameter("dt", 1e-3, "s", "duration of a step: rate 1000 1/s at intensity 255", low=1e-9, high=1.0),
    DATA,
    Parameter("layers", _LAYERS, help="pixels, neurons of each hidden layer, classes", neutral=_LAYERS),
    own_weights.WEIGHTS,
    Parameter(
        "class_by",
        "spikes",
        help="of the output neurons: spikes, or membrane, the sum of what they are given from the layer before",
        choices=("spikes", "membrane"),
        neutral="spikes",
    ),
)
"""Of any chip, whatever its neurons are."""
_PARAMETERS = (
    *NETWORK_PARAMETERS,
    # A chip's neurons deviate by the axis variation, as in equation 3, not by the card's spreads or as individuals of
    # it; the lines give I_bias/i0 and the energy, and the widest bar the unit of the normalised energy.
    card_of(
        *(f"{line}.{part}" for line in ("i_bias", "i0") for part in ("intercept", "slope")),
        "switching.link",
        "devices.widths",
    ),
    replace(LINK, help=f"{LINK.help}; standard: the first of the family", neutral="card"),
    own_devices.DEVICES,
)
CALIBRATE = Parameter(
    "calibrate",
    "i_bias",
    help="what the pulses of calibration_cycles estimate of each neuron",
    choices=("i_bias", _BOTH),
    neutral="i_bias",
)
FAULT_PARAMETERS = (
    Parameter("levels", 0, help="conductance levels of a cell; 0: any conductance", low=0, high=65_536),
    Parameter("stuck_off", 0.0, help="share of cells stuck at zero conductance", low=0, high=1),
    Parameter("stuck_on", 0.0, help="share of cells stuck at the largest conductance", low=0, high=1),
    Parameter("read_noise", 0.0, "i0", "noise of a neuron's current in a step, standard deviation", low=0, high=100),
)
_VARIATION = Axis("variation", _VARIATIONS, long_name="variation", low=0.0, high=1.0)
_LATER_AXES = (
    PulsesAxis("calibration_cycles", ("0",), long_name=f"pulses of a neuron's calibration, or {EXACT}", neutral="0"),
    Axis("i0_variation", (0.0,), long_name="variation of i0", low=0.0, high=0.9, neutral=0.0),
    Axis("training", (0,), long_name="training seed, counted from the parameter network", low=0, neutral=0),
)
STEP = Dim("timestep", "steps", start=1, long_name="time steps so far")
_RATIO = Coordinate(
    "z_shift_scale", "width", z_shift_scale, long_name="I_bias/i0: shift of z for a deviation of 100 %"
)

SWEEP = Sweep(
    name="codesign",
    title="Accuracy and energy of a spiking MNIST network against bar width and variation",
    axes=(WIDTH, _VARIATION, Axis("seed", tuple(range(20)), long_name="chip seed", low=0), *_LATER_AXES),
    dims=(STEP,),
    coordinates=(_RATIO,),
    artifact_ids=artifact_ids,
    prepare=prepare,
    outputs=(),
    outputs_of=outputs,
    parameters=(*_PARAMETERS, *FAULT_PARAMETERS, CALIBRATE),
    function=codesign,
    shared_axes=("width", "variation"),
    views=(
        View("accuracy", x="variation", lines="width", over=("seed",), inner="last"),
        View("energy_normalised", x="width", lines="variation", over=("seed",), inner="last"),
        View("spikes_output", x="timestep", lines="width", over=("seed",)),
    ),
    figures="spinneurons.codesign.figures:FIGURES",
    source="Islam et al. 2024, Fig. 3(c, d), S8, S9, S10",
)

NETWORKS = replace(
    SWEEP.with_values(width=(5.0,), variation=(0.0,), seed=(0, 1), training=tuple(range(5))),
    name="codesign-networks",
    title="Accuracy without variation of networks that were trained from different seeds",
    views=(View("accuracy", x="training", over=("seed",), inner="last"),),
    source="Islam et al. 2024, main text: 97.13 %",
)
CROSSBAR = replace(
    SWEEP,
    name="codesign-crossbar",
    title="The same network on crossbars with finite levels, stuck cells and read noise",
    axes=(
        replace(WIDTH, values=(5.0, 1.0)),
        replace(_VARIATION, values=(0.0, 0.1)),
        Axis("seed", tuple(range(3)), long_name="chip seed", low=0),
        Axis("levels", (0, 2, 4, 16), long_name="conductance levels, 0: any", low=0, high=65_536),
        Axis("stuck_off", (0.0, 0.05), long_name="share of cells stuck off", low=0.0, high=1.0),
        Axis("stuck_on", (0.0, 0.001), long_name="share of cells stuck on", low=0.0, high=1.0),
        Axis("read_noise", (0.0, 1.0), "i0", "read noise", low=0.0, high=100.0),
    ),
    parameters=(*_PARAMETERS, CALIBRATE),
    views=(
        View("accuracy", x="levels", lines="stuck_off", over=("seed",), inner="last"),
        *(view for view in SWEEP.views if view.output != "accuracy"),
    ),
    figures="spinneurons.codesign.figures:FIGURES_CROSSBAR",
    source="Islam et al. 2024, Fig. S10",
)
