"""What all tiles of a plane share: which cells differ, the layers as tables, and exact sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from spinneurons.codesign.calibrated import NeuronEstimates
from spinneurons.codesign.chip import Chip, on_grid
from spinneurons.codesign.draws import neuron_thresholds

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_LARGEST = 127 * (256**2 + 256 + 1)
"""Largest whole number of three digits -128..127 to the base 256."""


@dataclass(frozen=True)
class CellGrid:
    """The cells of a plane: every variation at every width."""

    etas: Sequence[float]
    """Variations."""
    ratios: Sequence[float]
    """I_bias/i0 of each width."""
    steps: int
    ties: str = "fraction"
    """"fraction" (one of k classes with most spikes: 1/k right) or "random" (one of the k is drawn)."""
    thresholds: npt.NDArray[np.float32] = field(default_factory=neuron_thresholds)
    """(65536,) the neurons' law and noise, from :func:`neuron_thresholds`; by default the sigmoid without noise."""
    zeta: float = 0.0
    """Spread of i0."""
    estimates: NeuronEstimates | None = None
    """Of a calibration; None: there was none."""
    class_by: str = "spikes"
    """Of the output neurons: "spikes", or "membrane", the sum of what they were given from the layer before."""

    @property
    def rescaled(self) -> bool:
        """Whether each neuron is driven in units of its own estimate of i0, so that cells differ in what they add."""
        return self.estimates is not None and bool(np.any(self.estimates.gain != 1))


class Variation:
    """All layers of one variation, at the widths that differ in it: a neuron fires where z - shift > gain L.

    That is (g^ z - (s - s^))/g > L, divided by g^/g.
    """

    def __init__(self, chip: Chip, grid: CellGrid, e: int) -> None:
        self.eta, moves = grid.etas[e], bool(np.any(chip.x))
        distinct = grid.ratios if self.eta != 0 and moves else [0.0] * len(grid.ratios)
        ratios, first, self.column = np.unique(np.array(distinct, np.float64), return_index=True, return_inverse=True)
        self.widths = len(ratios)
        self.shifted = self.eta != 0 and moves and not grid.rescaled
        """Whether neurons of the first layer are compared after a division by x."""
        shift = np.array([chip.shift(self.eta, ratio) for ratio in ratios])
        gain = np.broadcast_to(chip.gain(grid.zeta), shift.shape)
        if grid.estimates is not None:
            drive = grid.estimates.gain[e, first]
            shift, gain = (shift - grid.estimates.shift[e, first]) / drive, gain / drive
        ends = np.cumsum(chip.sizes)[:-1]
        shifts, self.gains = np.split(shift, ends, axis=1), np.split(gain, ends, axis=1)
        """(widths, neurons) of each layer."""
        if grid.rescaled:
            self.limits = shifts[0] / self.gains[0]
        elif grid.estimates is not None and self.shifted:
            self.limits = shifts[0] * inverse_of(chip.x1).astype(np.float64) / self.eta
        else:
            self.limits = ratios[:, None]
        """(widths, hidden), or (widths, 1) where it is the same for all: what the first layer is compared with."""
        folded = (chip.x1 < 0) & self.shifted
        self.layers: list[SpikeLayer] = []
        for w, d, of_layer in zip(chip.w[1:], chip.d[1:], shifts[1:], strict=True):
            self.layers.append(SpikeLayer(w + np.float64(self.eta) * d, of_layer, folded))
            folded = np.zeros(w.shape[1], bool)


class SpikeLayer:
    """A layer whose inputs are spikes of neurons, in whole numbers.

    A sum of weights is exact as a whole number, so the order in which a library adds cannot change a spike.  Bytes
    multiply fastest, but 8 bits are too coarse: a weight is three digits to the base 256, 24 bits as in float32.
    """

    def __init__(self, w: Floats, shift: Floats, folded: npt.NDArray[np.bool_]) -> None:
        # For a neuron with x < 0 the comparison of the first layer turns round: it tells who does not spike.  Such
        # a neuron enters as 1 - spike: its weights change sign, and their sum is added once as a constant.
        self.outputs = w.shape[1]
        self.shift = shift.T
        """(outputs, widths) s of the neurons."""
        rows = np.column_stack([w, np.abs(w).sum(axis=1)])
        # The step has to leave each weight within three digits, and the sum of all of them (and of what each of
        # them may round up by) within int32.
        self.step = np.maximum(np.abs(rows).max(axis=0) / _LARGEST, np.abs(rows).sum(axis=0) / (2**31 - len(w) - 1))
        """(outputs + 1,) value of 1 in the whole numbers below; the last is |w| summed over the outputs."""
        self.step = np.maximum(self.step, np.finfo(np.float32).tiny)
        whole = np.column_stack([np.rint(rows / self.step), np.ones(len(w))]).astype(np.int64)
        self.constant = whole[folded].sum(axis=0).astype(np.int32)
        """(outputs + 2,) what the neurons that enter as 1 - spike add; the last counts them."""
        whole[folded] *= -1
        high, middle, low = _digits(whole[:, :-1].T)
        self.digits = np.concatenate([high, middle, low, whole[:, -1:].T]).astype(np.int8)
        """(3 (outputs + 1) + 1, inputs) three digits of each weight, then +-1, whose product counts the spikes."""


def inverse_of(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """1/x; a neuron with x = 0 is so much above or below what it is compared with that its sign decides."""
    with np.errstate(divide="ignore"):
        return np.where(np.abs(x) > 1e-20, 1 / x, np.float32(1e20)).astype(np.float32)


def _digits(whole: Integers) -> list[Integers]:
    """Three digits -128..127 to the base 256, the highest first."""
    digits = []
    for _ in range(3):
        digits.append((whole + 128) % 256 - 128)
        whole = (whole - digits[-1]) // 256
    return digits[::-1]


class PlaneTables:
    """All layers of a chip for all cells of a grid.

    Cells that cannot differ are computed once: without variation, or with no neuron that is shifted, every width has
    the same spikes.  ``columns`` says which of the computed cells each cell of the grid is.
    """

    def __init__(self, chip: Chip, grid: CellGrid) -> None:
        self.steps, self.ties, etas = grid.steps, grid.ties, grid.etas
        self.by_membrane = grid.class_by == "membrane"
        self.sizes = chip.sizes
        self.hidden, self.classes, self.neurons = chip.sizes[0], chip.sizes[-1], sum(chip.sizes)
        """Neurons of the first layer, of the last, and of all."""
        self.x = chip.x1
        self.varied = bool(np.any(chip.d[0]))
        self.rescaled = grid.rescaled
        self.shifted = bool(np.any(chip.x)) and not self.rescaled
        """Whether neurons of the first layer are compared after a division by x, where there is variation."""
        self.gain = None if self.rescaled or not grid.zeta else chip.gain(grid.zeta).astype(np.float32)
        """(neurons,) factor on the thresholds, the same in all cells; None: there is none."""
        self.variations = [Variation(chip, grid, e) for e in range(len(etas))]
        starts = np.cumsum([0, *(variation.widths for variation in self.variations)])
        self.starts, self.cells = starts[:-1].tolist(), int(starts[-1])
        self.columns = np.array([start + one.column for start, one in zip(self.starts, self.variations, strict=True)])
        """(etas, ratios) column of each cell among those that differ."""
        self.widest = max(variation.widths for variation in self.variations)
        w, d = chip.w[0], chip.d[0]
        reads = [on_grid(np.abs(w + np.float64(eta) * d).sum(axis=1, keepdims=True)) for eta in etas]
        layers = [w, *([d] if self.varied else []), *reads]
        columns = sum(layer.shape[1] for layer in layers)
        self.reads = slice(columns - len(etas), columns)
        # one product for all that is summed over the input spikes; a multiple of 16 columns is faster
        self.first_layer = np.zeros((len(w), -(-columns // 16) * 16), np.float32)
        """(inputs, columns) W1, then D1 if it is not 0, then in ``reads`` the sum of |w| that a spike reads at each
        variation, then zeros."""
        self.first_layer[:, :columns] = np.column_stack(layers)
        self.thresholds = grid.thresholds
        self.inverse = inverse_of(chip.x1)
        """(hidden,) 1/x."""


@dataclass
class Totals:
    """Sums over images, of whole numbers below 2^53 or of numbers on a grid: exact, in whatever order threads add."""

    shares: Floats
    """(cells, steps)."""
    hidden: Floats
    """(cells, steps), of each step."""
    output: Floats
    """(cells, steps), of steps 1..t."""
    read_later: Floats
    """(layers but the first, cells, steps), of each step, in units of each layer's."""
    read_first: Floats
    """(steps, etas), of each step."""

    @classmethod
    def zeros(cls, tables: PlaneTables) -> Totals:
        """Before the first image."""
        shares, hidden, output = np.zeros((3, tables.cells, tables.steps))
        read_later = np.zeros((len(tables.sizes) - 1, tables.cells, tables.steps))
        return cls(shares, hidden, output, read_later, np.zeros((tables.steps, len(tables.variations))))
