"""A grid plane at once: all widths and all variations of one chip seed, on shared numbers.

It equals :mod:`spinneurons.codesign.reference` cell by cell and spike by spike, but for float rounding at a
threshold.
What makes it fast:

* Input spikes, the products x W1 and x D1 and the thresholds L of the hidden neurons do not depend on the cell, which
  is left with a comparison and the second layer.
* With s = eta x r, r = I_bias/i0 of the width, and x W1(eta) = a + eta b,

      a + eta b - s > L   <=>   (a - L)/(eta x) + b/x > r      for x > 0,   < r for x < 0:

  one number on the right for all neurons, with which the comparison is two to three times as fast.
* Only lit pixels are drawn and multiplied, image by image: 151 of MNIST's 784 on average.
* The second layer is a product of bytes: spikes are 0 or 1, weights are three digits to the base 256, 24 bits in all.
  A neuron with x < 0 enters as 1 - spike and with its weights negated.
* Arrays are reused and small, so that they stay in the processor's cache; a thread has 16 images at a time.

Sums are exact (whole numbers here, :func:`spinneurons.codesign.chip.on_grid` in the first layer), so that no result
depends on the tile, the threads, or which cells are computed together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from spinneurons.codesign.chip import Chip, on_grid
from spinneurons.codesign.draws import CHUNK, LEVELS, Batch, Draws, input_limits, neuron_thresholds
from spinneurons.torch_determinism import exact_torch

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Observer = Callable[["Spikes"], None]

TILE = 16
"""Images at a time; a multiple of 8, the bytes of a word."""
SHARES = 2520
"""Least common multiple of 1..10: one of k tied classes gets SHARES/k, a whole number."""
_LARGEST = 127 * (256**2 + 256 + 1)
"""Largest whole number of three digits -128..127 to the base 256."""


@dataclass(frozen=True)
class Plane:
    """Results of all cells, (etas, ratios, steps); element t - 1 is after t steps, all are means of the images."""

    accuracy: Floats
    """Part that is classified right."""
    spikes_hidden: Floats
    """Spikes of the hidden layer in steps 1..t."""
    spikes_output: Floats
    weight_read: Floats
    """Sum of |w| over the synapses that spikes read in steps 1..t."""


@dataclass(frozen=True)
class Spikes:
    """What an observer is shown: the spikes of some images in some steps of one cell."""

    eta: int
    """Index of the cell's variation."""
    ratios: list[int]
    """Indices of the widths; more than one where the width makes no difference."""
    numbers: Whole
    """Of the images."""
    first: int
    """First step."""
    hidden: npt.NDArray[np.bool_]
    """(images, steps, hidden)."""
    output: npt.NDArray[np.bool_]
    """(images, steps, classes)."""


def plane(
    chip: Chip,
    batch: Batch,
    draws: Draws,
    etas: Sequence[float],
    ratios: Sequence[float],
    steps: int,
    ties: str = "fraction",
    thresholds: npt.NDArray[np.float32] | None = None,
    threads: int = 0,
    device: str = "",
    observe: Observer | None = None,
) -> Plane:
    """All cells of ``etas`` x ``ratios`` of one chip.

    Parameters
    ----------
    etas : variations
    ratios : I_bias/i0 of each width
    ties : "fraction" (one of k classes with most spikes: 1/k right) or "random" (one of the k is drawn)
    thresholds : the neurons' law and noise, from :func:`neuron_thresholds`; None: the sigmoid, without noise
    threads : 0: as many as torch has
    device : torch's name of it; "": a CUDA device where there is one
    observe : is shown all spikes, for tests
    """
    grid = _Grid(chip, etas, ratios, steps, ties, neuron_thresholds() if thresholds is None else thresholds)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    tiles = (batch[i : i + TILE] for i in range(0, len(batch), TILE))
    lock = Lock()

    def taken() -> Iterator[Batch]:
        while True:
            with lock:
                tile = next(tiles, None)
            if tile is None:
                return
            yield tile

    def work(_: int) -> _Sums:
        torch.set_num_threads(1)  # torch keeps this number for each thread
        worker = (CpuKernel if device == "cpu" else TorchKernel)(grid, Draws(draws.key), device, observe)
        for tile in taken():
            worker.add(tile)
        return worker.sums

    n = 1 if device != "cpu" else min(threads or torch.get_num_threads(), -(-len(batch) // TILE))
    with exact_torch():
        if n == 1:
            return _means([work(0)], grid, len(batch))
        with ThreadPoolExecutor(n) as pool:
            return _means(list(pool.map(work, range(n))), grid, len(batch))


class OutputLayer:
    """The second layer of one variation, and the widths that differ in it."""

    def __init__(self, chip: Chip, eta: float, ratios: Sequence[float]) -> None:
        self.eta = eta
        self.shifted = eta != 0 and bool(np.any(chip.x1) or np.any(chip.x2))
        """Whether the width makes a difference."""
        distinct = ratios if self.shifted else [0.0] * len(ratios)
        self.ratios, self.column = np.unique(np.array(distinct, np.float64), return_inverse=True)
        w = chip.w2 + np.float64(eta) * chip.d2
        self.shift = eta * self.ratios * chip.x2[:, None].astype(np.float64)
        """(classes, widths) s of the output neurons."""
        folded = (chip.x1 < 0) & self.shifted
        rows = np.column_stack([w, np.abs(w).sum(axis=1)])
        self.step = np.maximum(np.abs(rows).max(axis=0) / _LARGEST, np.abs(rows).sum(axis=0) / (2**31 - len(w) - 1))
        """(classes + 1,) value of 1 in the whole numbers below; the last is |w| summed over the classes."""
        self.step = np.maximum(self.step, np.finfo(np.float32).tiny)
        whole = np.column_stack([np.rint(rows / self.step), np.ones(len(w))]).astype(np.int64)
        self.constant = whole[folded].sum(axis=0).astype(np.int32)
        """(classes + 2,) what the neurons that enter as 1 - spike add; the last counts them."""
        whole[folded] *= -1
        high, middle, low = _digits(whole[:, :-1].T)
        self.digits = np.concatenate([high, middle, low, whole[:, -1:].T]).astype(np.int8)
        """(3 (classes + 1) + 1, hidden) three digits of each weight, then +-1."""


def _digits(whole: Whole) -> list[Whole]:
    """Three digits -128..127 to the base 256, the highest first."""
    digits = []
    for _ in range(3):
        digits.append((whole + 128) % 256 - 128)
        whole = (whole - digits[-1]) // 256
    return digits[::-1]


class _Grid:
    """What all tiles of a plane share."""

    def __init__(
        self,
        chip: Chip,
        etas: Sequence[float],
        ratios: Sequence[float],
        steps: int,
        ties: str,
        thresholds: npt.NDArray[np.float32],
    ) -> None:
        self.steps, self.ties = steps, ties
        self.hidden, self.classes = chip.w2.shape
        self.x = chip.x1
        self.varied = bool(np.any(chip.d1))
        self.shifted = bool(np.any(chip.x1) or np.any(chip.x2))
        self.seconds = [OutputLayer(chip, eta, ratios) for eta in etas]
        starts = np.cumsum([0, *(len(s.ratios) for s in self.seconds)])
        self.starts, self.cells = starts[:-1].tolist(), int(starts[-1])
        self.columns = np.array([start + s.column for start, s in zip(self.starts, self.seconds, strict=True)])
        """(etas, ratios) column of each cell among those that differ."""
        self.widest = max(len(s.ratios) for s in self.seconds)
        reads = [on_grid(np.abs(chip.w1 + np.float64(eta) * chip.d1).sum(axis=1, keepdims=True)) for eta in etas]
        layers = [chip.w1, *([chip.d1] if self.varied else []), *reads]
        columns = sum(layer.shape[1] for layer in layers)
        self.reads = slice(columns - len(etas), columns)
        self.first_layer = np.zeros((len(chip.w1), -(-columns // 16) * 16), np.float32)
        """(inputs, columns) W1, then D1 if it is not 0, then in ``reads`` the sum of |w| that a spike reads at each
        variation; a multiple of 16 columns is faster."""
        self.first_layer[:, :columns] = np.column_stack(layers)
        self.thresholds = thresholds
        with np.errstate(divide="ignore"):
            self.inverse = np.where(np.abs(chip.x1) > 1e-20, 1 / chip.x1, np.float32(1e20)).astype(np.float32)
        """(hidden,) 1/x; a neuron with x = 0 is so much above or below each ratio that its sign decides."""


@dataclass
class _Sums:
    """Sums over images, of whole numbers below 2^53 or of numbers on a grid: exact in any order."""

    shares: Floats
    """(cells, steps)."""
    hidden: Floats
    """(cells, steps), of each step."""
    output: Floats
    """(cells, steps), of steps 1..t."""
    read_second: Floats
    """(cells, steps), of each step, in units of the second layer's."""
    read_first: Floats
    """(steps, etas), of each step."""


def _means(parts: list[_Sums], grid: _Grid, n: int) -> Plane:
    shares, hidden, output, read_second, read_first = (
        np.sum([getattr(part, field.name) for part in parts], axis=0) for field in fields(_Sums)
    )
    unit = np.concatenate([np.full(len(s.ratios), s.step[-1]) for s in grid.seconds])
    read = (read_second * unit[:, None]).cumsum(axis=1)[grid.columns] + read_first.cumsum(axis=0).T[:, None]
    return Plane(
        shares[grid.columns] / (SHARES * n),
        hidden.cumsum(axis=1)[grid.columns] / n,
        output[grid.columns] / n,
        read / n,
    )


class _Arrays:
    """Room for one tile of some steps, made once; rows are (step, image).  ``new(shape, dtype)`` makes an array."""

    def __init__(self, grid: _Grid, steps: int, new: Callable[..., Any]) -> None:
        rows, hidden, classes, widest = TILE * steps, grid.hidden, grid.classes, grid.widest
        self.a = new((rows, hidden), "float32")
        """x W1 - L, then the same divided by x."""
        self.b = new((rows, hidden), "float32")
        """x D1, divided by x where the width makes a difference."""
        self.d = new((rows, hidden), "float32")
        """What is compared with the ratios."""
        self.fired = new((widest, rows, hidden), "bool")
        self.sums = new((3 * (classes + 1) + 1, widest * rows), "int32")
        self.z = new((classes, widest, rows), "float32")
        self.levels = new((classes, widest, rows), "float32")
        self.by_row = new((rows, classes), "float32")
        self.limits = new((classes, 1, rows), "float32")
        """Thresholds of the output neurons; as they come, and by class."""
        self.u_tie = np.zeros(rows, np.int64)
        """Numbers that decide among tied classes."""
        self.output = new((classes, grid.cells, rows), "bool")


class CpuKernel:
    """One thread's work on a CPU: NumPy compares and adds, torch multiplies."""

    xp: Any = np

    def __init__(self, grid: _Grid, draws: Draws, device: str, observe: Observer | None) -> None:
        self.grid, self.draws, self.device, self.observe = grid, draws, device, observe
        shares, hidden, output, read_second = np.zeros((4, grid.cells, grid.steps))
        self.sums = _Sums(shares, hidden, output, read_second, np.zeros((grid.steps, len(grid.seconds))))
        self.arrays: dict[int, _Arrays] = {}
        self.inverse = self.to_device(grid.inverse)
        self.zero = self.to_device(np.zeros(1, np.int32))
        self.shares = self.to_device(np.array([0, *(SHARES // k for k in range(1, 11))], np.int32))
        self.digits = [torch.from_numpy(s.digits).to(device) for s in grid.seconds]
        self.constant = [self.to_device(s.constant[:, None]) for s in grid.seconds]
        self.step = [self.to_device(s.step[: grid.classes, None].astype(np.float32)) for s in grid.seconds]
        self.ratios = [self.to_device(s.ratios[:, None, None].astype(np.float32)) for s in grid.seconds]
        self.shift = [self.to_device(s.shift[:, :, None].astype(np.float32)) for s in grid.seconds]
        self.prepare()

    # Done in another way on a CUDA device

    def prepare(self) -> None:
        """Room for one image."""
        grid, steps = self.grid, min(self.grid.steps, CHUNK)
        inputs, columns = grid.first_layer.shape
        self.weights = np.empty((inputs, columns), np.float32)
        self.x = np.empty(steps * inputs, np.float32)
        self.z = np.empty((steps, columns), np.float32)
        self.thresholds = np.empty((steps, grid.hidden + grid.classes), np.float32)

    def to_device(self, array: npt.NDArray[Any]) -> Any:
        """The array where it is worked with."""
        return array

    def new(self, shape: tuple[int, ...], dtype: str) -> Any:
        return np.zeros(shape, dtype)

    def product(self, digits: Any, fired: Any, out: Any) -> None:
        """out = digits @ fired.T in whole numbers."""
        torch._int_mm(digits, torch.from_numpy(fired).view(torch.int8).t(), out=torch.from_numpy(out))

    def scaled(self, whole: Any, step: Any, out: Any) -> None:
        """out = whole * step in float32."""
        np.multiply(whole, step, out=out, dtype=np.float32, casting="unsafe")

    def combine_digits(self, high: Any, middle: Any, low: Any) -> None:
        """high = the whole numbers of these digits."""
        high, middle, low = map(torch.from_numpy, (high, middle, low))
        torch.add(middle, high, alpha=256, out=middle)
        torch.add(low, middle, alpha=256, out=high)

    def total(self, whole: Any) -> Floats:
        """Sum over the last axis, the images of the tile, of whole numbers; on the CPU."""
        return np.asarray(whole.astype(np.float64) @ self.used)  # exact, and faster than a sum over so short an axis

    def take(self, table: Any, index: Any) -> Any:
        return np.take(table, index, mode="clip")

    def fetched(self, array: Any) -> npt.NDArray[Any]:
        """The array on the CPU."""
        return np.asarray(array)

    def running(self, output: Any) -> Any:
        """Sums over the steps up to each, (classes, cells, steps, TILE); CHUNK = 50 at most, so they fit bytes."""
        words = output.view(np.uint64)  # of eight images, whose bytes are added at once
        return np.add.accumulate(words, axis=2).view(np.uint8)

    def image(
        self, intensity: npt.NDArray[np.uint8], number: int, chunk: int, steps: int, k: int, at: _Arrays
    ) -> npt.NDArray[np.float32]:
        """Fill the rows of one image; returns (steps, etas) the sum of |w| that its inputs read."""
        grid, hidden, rows = self.grid, self.grid.hidden, slice(k, None, TILE)
        active_pixels = np.flatnonzero(intensity)
        u = self.draws.draw_chunk(number, chunk, steps, len(active_pixels) + hidden + grid.classes + 1)
        at.u_tie[rows] = u[:, -1]
        x = self.x[: steps * len(active_pixels)].reshape(steps, len(active_pixels))
        np.copyto(x, u[:, : len(active_pixels)] <= input_limits()[intensity[active_pixels]])
        weights, z, thresholds = self.weights[: len(active_pixels)], self.z[:steps], self.thresholds[:steps]
        np.take(grid.first_layer, active_pixels, axis=0, out=weights, mode="clip")
        torch.mm(torch.from_numpy(x), torch.from_numpy(weights), out=torch.from_numpy(z))
        np.take(grid.thresholds, u[:, len(active_pixels) : -1], out=thresholds, mode="clip")
        np.subtract(z[:, :hidden], thresholds[:, :hidden], out=at.a[rows])
        if grid.varied:
            np.multiply(z[:, hidden : 2 * hidden], self.inverse if grid.shifted else 1.0, out=at.b[rows])
        at.by_row[rows] = thresholds[:, hidden:]
        return z[:, grid.reads]

    # The same everywhere

    def add(self, tile: Batch) -> None:
        """Add a tile of images to the sums."""
        self.used = self.to_device((np.arange(TILE) < len(tile)).astype(np.float64))
        counts: Any = 0
        for first in range(0, self.grid.steps, CHUNK):
            steps = min(CHUNK, self.grid.steps - first)
            if steps not in self.arrays:
                self.arrays[steps] = _Arrays(self.grid, steps, self.new)
            at, part = self.arrays[steps], slice(first, first + steps)
            for k in range(len(tile)):
                self.sums.read_first[part] += self.image(
                    tile.images[k], int(tile.numbers[k]), first // CHUNK, steps, k, at
                )
            if len(tile) < TILE:  # or old rows would be divided by x again and again
                at.a.reshape(steps, TILE, -1)[:, len(tile) :] = 0
            at.limits[:, 0] = at.by_row.T
            self.cells(at, tile, part)
            counts = self.decide(at, tile, part, counts)

    def cells(self, at: _Arrays, tile: Batch, part: slice) -> None:
        """Spikes of all cells: those first whose neurons are not shifted, because the others divide ``a`` by x."""
        xp, grid = self.xp, self.grid
        for i, second in enumerate(grid.seconds):
            if not second.shifted:
                at.d[...] = at.a
                if second.eta != 0 and grid.varied:
                    at.d += at.b * second.eta
                xp.greater(at.d, 0.0, out=at.fired[0])
                self.second(i, at, tile, part)
        if grid.shifted:
            at.a *= self.inverse
        for i, second in enumerate(grid.seconds):
            if second.shifted:
                xp.multiply(at.a, 1 / second.eta, out=at.d)
                if grid.varied:
                    xp.add(at.d, at.b, out=at.d)
                xp.greater(at.d, self.ratios[i], out=at.fired[: len(second.ratios)])
                self.second(i, at, tile, part)

    def second(self, i: int, at: _Arrays, tile: Batch, part: slice) -> None:
        """Output spikes of one variation at all widths, from the hidden spikes in ``fired``."""
        xp, grid, second = self.xp, self.grid, self.grid.seconds[i]
        steps, widths, classes = part.stop - part.start, len(second.ratios), grid.classes
        rows = TILE * steps
        fired, n = at.fired[:widths].reshape(-1, grid.hidden), widths * rows
        sums = at.sums.reshape(-1)[: len(at.sums) * n].reshape(-1, n)
        self.product(self.digits[i], fired, sums)
        whole, middle, low = (sums[k * (classes + 1) : (k + 1) * (classes + 1)] for k in range(3))
        self.combine_digits(whole, middle, low)
        whole += self.constant[i][:-1]
        z, levels = (b.reshape(-1)[: classes * n].reshape(classes, widths, rows) for b in (at.z, at.levels))
        self.scaled(whole[:classes], self.step[i], z.reshape(classes, n))
        xp.add(at.limits, self.shift[i], out=levels)
        cells = slice(grid.starts[i], grid.starts[i] + widths)
        xp.greater(z, levels, out=at.output[:, cells])
        count = sums[-1] + self.constant[i][-1]
        for total, of_rows in ((self.sums.read_second, whole[-1]), (self.sums.hidden, count)):
            total[cells, part] += self.total(of_rows.reshape(widths, steps, TILE))
        if self.observe is not None:
            self.show(i, at, tile, part)

    def decide(self, at: _Arrays, tile: Batch, part: slice, before: Any) -> Any:
        """Add what is classified right after each step; returns the counts of output spikes after the last."""
        xp, grid = self.xp, self.grid
        counts = self.running(at.output.reshape(grid.classes, grid.cells, -1, TILE))
        if part.start:
            counts = counts + before
        most = counts == xp.amax(counts, 0)
        tied = most.sum(0, dtype=xp.uint8)
        among = self.new(tuple(tied.shape), "bool")
        for k, label in enumerate(tile.labels.tolist()):
            among[..., k] = most[label, ..., k]
        if grid.ties == "random":
            won = self.to_device(at.u_tie).reshape(-1, TILE) * tied < LEVELS  # with probability 1/k
            shares = (among & won) * SHARES
        else:
            shares = among * self.take(self.shares, tied)
        self.sums.shares[:, part] += self.total(shares)
        self.sums.output[:, part] += self.total(counts.sum(0, dtype=xp.int32))
        return counts[:, :, -1:] + self.zero

    def show(self, i: int, at: _Arrays, tile: Batch, part: slice) -> None:
        """Tell the observer of one variation's spikes."""
        assert self.observe is not None
        grid, second, used = self.grid, self.grid.seconds[i], len(tile)
        folded = (grid.x < 0) & second.shifted
        for j in range(len(second.ratios)):
            hidden = self.fetched(at.fired[j].reshape(-1, TILE, grid.hidden)[:, :used]) ^ folded
            output = self.fetched(at.output[:, grid.starts[i] + j].reshape(grid.classes, -1, TILE)[..., :used])
            ratios = np.flatnonzero(second.column == j).tolist()
            self.observe(
                Spikes(i, ratios, tile.numbers, part.start, hidden.swapaxes(0, 1), output.transpose(2, 1, 0).copy())
            )


class TorchKernel(CpuKernel):
    """The same on another device of torch, such as "cuda"; random numbers come from the CPU, so they are equal."""

    xp: Any = torch

    def prepare(self) -> None:
        self.one = self.to_device(np.ones(1, np.float32))
        self.first_layer, self.thresholds = (
            self.to_device(self.grid.first_layer),
            self.to_device(self.grid.thresholds),
        )

    def to_device(self, array: npt.NDArray[Any]) -> Any:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def new(self, shape: tuple[int, ...], dtype: str) -> Any:
        return torch.zeros(shape, dtype=getattr(torch, dtype), device=self.device)

    def product(self, digits: Any, fired: Any, out: Any) -> None:
        torch._int_mm(digits, fired.view(torch.int8).t(), out=out)

    def scaled(self, whole: Any, step: Any, out: Any) -> None:
        torch.multiply(whole, step, out=out)

    def combine_digits(self, high: Any, middle: Any, low: Any) -> None:
        torch.add(middle, high, alpha=256, out=middle)
        torch.add(low, middle, alpha=256, out=high)

    def total(self, whole: Any) -> Floats:
        return self.fetched(whole.double() @ self.used)

    def take(self, table: Any, index: Any) -> Any:
        return table[index.long()]

    def fetched(self, array: Any) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = array.cpu().numpy()
        return found

    def running(self, output: Any) -> Any:
        return torch.cumsum(output, 2, dtype=torch.uint8)

    def image(
        self, intensity: npt.NDArray[np.uint8], number: int, chunk: int, steps: int, k: int, at: _Arrays
    ) -> npt.NDArray[np.float32]:
        grid, hidden, rows = self.grid, self.grid.hidden, slice(k, None, TILE)
        active_pixels = np.flatnonzero(intensity)
        u = self.draws.draw_chunk(number, chunk, steps, len(active_pixels) + hidden + grid.classes + 1)
        at.u_tie[rows] = u[:, -1]
        x = self.to_device(u[:, : len(active_pixels)] <= input_limits()[intensity[active_pixels]]).float()
        z = x @ self.first_layer[self.to_device(active_pixels)]
        thresholds = self.thresholds[self.to_device(u[:, len(active_pixels) : -1].astype(np.int64))]
        torch.subtract(z[:, :hidden], thresholds[:, :hidden], out=at.a[rows])
        if grid.varied:
            torch.multiply(z[:, hidden : 2 * hidden], self.inverse if grid.shifted else self.one, out=at.b[rows])
        at.by_row[rows] = thresholds[:, hidden:]
        return self.fetched(z[:, grid.reads])
