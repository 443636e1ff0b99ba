"""The spikes of one tile of images in all cells of a plane, on a CPU or on another device of torch.

An array is made once for each length of a chunk of steps and used again for every tile: what a step touches has to
stay in the processor's cache, and fresh memory would cost more than the arithmetic on it.  ``model`` says what is
computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from spinneurons.codesign.draws import CHUNK, LEVELS, Batch, Draws, input_limits
from spinneurons.codesign.tables import Floats, Integers, PlaneTables, SpikeLayer, Totals

TILE = 16
"""Images at a time.  A multiple of 8: the counts of eight images are added as the bytes of one word."""
SHARES = 2520
"""Least common multiple of 1..10: one of k tied classes gets SHARES/k, a whole number."""


@dataclass(frozen=True)
class Spikes:
    """What an observer is shown: the spikes of some images in some steps of one cell."""

    eta: int
    """Index of the cell's variation."""
    ratios: list[int]
    """Indices of the widths; more than one where the width makes no difference."""
    numbers: Integers
    """The images' numbers in the data."""
    first: int
    """First step."""
    hidden: npt.NDArray[np.bool_]
    """(images, steps, hidden) of all hidden layers, one after the other."""
    output: npt.NDArray[np.bool_]
    """(images, steps, classes)."""


Observer = Callable[[Spikes], None]


@dataclass(frozen=True)
class StepChunk:
    """Successive steps of one tile, whose random numbers are drawn together."""

    tile: Batch
    first: int
    """First step."""
    steps: int

    @property
    def slice(self) -> slice:
        """The steps, as a slice of all steps."""
        return slice(self.first, self.first + self.steps)


class Buffers:
    """Memory for one tile in some steps, made once; rows are (step, image).  ``new(shape, dtype)`` makes an array.

    The image is the faster index of a row: the sums over a tile's images then run over neighbours in memory.
    """

    def __init__(self, tables: PlaneTables, steps: int, new: Callable[..., Any]) -> None:
        rows, hidden, widest, later = TILE * steps, tables.hidden, tables.widest, tables.sizes[1:]
        self.a = new((rows, hidden), "float32")
        """x W1 - L, then the same divided by x."""
        self.b = new((rows, hidden), "float32")
        """x D1, divided by x where the width makes a difference."""
        self.thresholds = new((rows, hidden) if tables.rescaled else (0, hidden), "float32")
        """L, where ``a`` is x W1 alone."""
        self.d = new((rows, hidden), "float32")
        """What is compared with the ratios."""
        self.fired = new((widest, rows, hidden), "bool")
        self.sums = [new((3 * (outputs + 1) + 1, widest * rows), "int32") for outputs in later]
        """Products of the digits, by row of ``SpikeLayer.digits``, of each later layer."""
        self.z = [new((outputs, widest, rows), "float32") for outputs in later]
        self.levels = [new((outputs, widest, rows), "float32") for outputs in later]
        """What ``z`` has to be above: threshold plus shift."""
        self.by_row = new((rows, sum(later)), "float32")
        self.limits = new((sum(later), 1, rows), "float32")
        """Thresholds of the neurons of the later layers; as they come, and by neuron."""
        self.middle = [new((outputs, widest, rows), "bool") for outputs in later[:-1]]
        """Spikes of the layers between the first and the last."""
        self.u_tie = np.zeros(rows, np.int64)
        """Numbers that decide among tied classes."""
        self.output = new((tables.classes, tables.cells, rows), "bool")
        self.membrane = new((tables.classes, tables.cells, rows) if tables.by_membrane else (0, 0, rows), "float64")
        """What the output neurons are given, where the class is decided by it."""


def _part(buffer: Any, shape: tuple[int, ...]) -> Any:
    """A contiguous part of a buffer, of that shape."""
    return buffer.reshape(-1)[: math.prod(shape)].reshape(shape)


def _multiply_bytes(digits: torch.Tensor, fired: torch.Tensor, out: torch.Tensor) -> None:
    """out = digits @ fired; torch's product is wrong where there is but one input (2.13)."""
    if digits.shape[1] == 1:
        torch.mul(digits.int(), fired.int(), out=out)
    else:
        torch._int_mm(digits, fired, out=out)


class LaterLayer:
    """A layer after the first where the kernel works."""

    def __init__(self, kernel: CpuKernel, layer: SpikeLayer, gain: Floats) -> None:
        self.outputs = layer.outputs
        self.digits = torch.from_numpy(layer.digits).to(kernel.device)
        self.constant = kernel.to_device(layer.constant[:, None])
        self.step = kernel.to_device(layer.step[:-1, None].astype(np.float32))
        self.fine_step = kernel.to_device(layer.step[:-1, None])
        self.shift = kernel.to_device(layer.shift[:, :, None].astype(np.float32))
        self.gain = kernel.to_device(gain.T[:, :, None].astype(np.float32))


class CpuKernel:
    """One thread's work on a CPU: NumPy compares and adds, torch multiplies.

    Methods are those of the algorithm, then the operations in which a CPU and another device differ.
    """

    xp: Any = np

    def __init__(self, tables: PlaneTables, draws: Draws, device: str, observe: Observer | None) -> None:
        self.tables, self.draws, self.device, self.observe = tables, draws, device, observe
        self.totals = Totals.zeros(tables)
        self.buffers: dict[int, Buffers] = {}
        variations = tables.variations
        self.inverse = self.to_device(tables.inverse)
        self.zero = self.to_device(np.zeros(1, np.int32))
        self.shares = self.to_device(np.array([0, *(SHARES // k for k in range(1, 11))], np.int32))
        # (widths, 1, TILE x hidden), so that a comparison runs over a long row
        self.compared = [
            self.to_device(np.tile(one.limits, TILE if one.limits.shape[1] > 1 else 1)[:, None].astype(np.float32))
            for one in variations
        ]
        self.per_gain = [self.to_device((1 / one.gains[0]).astype(np.float32)) for one in variations]
        self.gain = None if tables.gain is None else self.to_device(tables.gain)
        self.later = [
            [LaterLayer(self, layer, gain) for layer, gain in zip(one.layers, one.gains[1:], strict=True)]
            for one in variations
        ]
        self.prepare()

    # The algorithm

    def add(self, tile: Batch) -> None:
        """Add a tile of images to the totals."""
        self.used = self.to_device((np.arange(TILE) < len(tile)).astype(np.float64))
        counts: Any = 0
        membrane: Any = 0.0
        for first in range(0, self.tables.steps, CHUNK):
            chunk = StepChunk(tile, first, min(CHUNK, self.tables.steps - first))
            steps = chunk.steps
            if steps not in self.buffers:
                self.buffers[steps] = Buffers(self.tables, steps, self.new)
            buffers = self.buffers[steps]
            for index in range(len(tile)):
                self.totals.read_first[chunk.slice] += self.first_layer(chunk, index, buffers)
            if len(tile) < TILE:  # or old rows would be divided by x again and again, up to infinity
                buffers.a.reshape(steps, TILE, -1)[:, len(tile) :] = 0
            buffers.limits[:, 0] = buffers.by_row.T
            self.hidden_spikes(chunk, buffers)
            counts, membrane = self.classify(chunk, buffers, counts, membrane)

    def first_layer(self, chunk: StepChunk, index: int, buffers: Buffers) -> npt.NDArray[np.float32]:
        """Fill the rows of one image of the tile; returns (steps, etas) the sum of |w| that its inputs read."""
        tables, hidden, rows, steps = self.tables, self.tables.hidden, slice(index, None, TILE), chunk.steps
        active_pixels, u = self.draw(chunk, index, buffers)
        n_active = len(active_pixels)
        x = self.x[: steps * n_active].reshape(steps, n_active)
        np.copyto(x, u[:, :n_active] <= input_limits()[chunk.tile.images[index][active_pixels]])
        weights, z, thresholds = self.weights[:n_active], self.z[:steps], self.thresholds[:steps]
        # mode="clip" skips the check of each index, and the copy that NumPy makes with it
        np.take(tables.first_layer, active_pixels, axis=0, out=weights, mode="clip")
        torch.mm(torch.from_numpy(x), torch.from_numpy(weights), out=torch.from_numpy(z))
        np.take(tables.thresholds, u[:, n_active:-1], out=thresholds, mode="clip")
        if self.gain is not None:
            np.multiply(thresholds, self.gain, out=thresholds)
        if tables.rescaled:
            buffers.a[rows], buffers.thresholds[rows] = z[:, :hidden], thresholds[:, :hidden]
        else:
            np.subtract(z[:, :hidden], thresholds[:, :hidden], out=buffers.a[rows])
        if tables.varied:
            np.multiply(z[:, hidden : 2 * hidden], self.inverse if tables.shifted else 1.0, out=buffers.b[rows])
        buffers.by_row[rows] = thresholds[:, hidden:]
        return z[:, tables.reads]

    def draw(
        self, chunk: StepChunk, index: int, buffers: Buffers
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint16]]:
        """Pixels of an image that are not dark, and its random numbers of each step.

        The numbers are those of these pixels, of the neurons, and one that decides ties, which it leaves in the
        buffers as well.
        """
        active_pixels = np.flatnonzero(chunk.tile.images[index])
        each = len(active_pixels) + self.tables.neurons + 1
        number = int(chunk.tile.numbers[index])
        u = self.draws.draw_chunk(number, chunk.first // CHUNK, chunk.steps, each)
        buffers.u_tie[index::TILE] = u[:, -1]
        return active_pixels, u

    def hidden_spikes(self, chunk: StepChunk, buffers: Buffers) -> None:
        """Spikes of all cells: those first whose neurons are not shifted, because the others divide ``a`` by x."""
        xp, tables = self.xp, self.tables
        for i, one in enumerate(tables.variations):
            if not one.shifted:
                self.unshifted_spikes(i, buffers)
                self.output_spikes(i, chunk, buffers)
        if tables.shifted:
            buffers.a *= self.inverse
        for i, one in enumerate(tables.variations):
            if one.shifted:
                xp.multiply(buffers.a, 1 / one.eta, out=buffers.d)
                if tables.varied:
                    xp.add(buffers.d, buffers.b, out=buffers.d)
                fired = buffers.fired[: one.widths].reshape(one.widths, chunk.steps, -1)
                xp.greater(buffers.d.reshape(chunk.steps, -1), self.compared[i], out=fired)
                self.output_spikes(i, chunk, buffers)

    def unshifted_spikes(self, i: int, buffers: Buffers) -> None:
        """Hidden spikes of variation ``i``, from sums that are not divided by x."""
        xp, tables, one = self.xp, self.tables, self.tables.variations[i]
        for j in range(one.widths if tables.rescaled else 1):
            buffers.d[...] = buffers.a
            if one.eta != 0 and tables.varied:
                buffers.d += buffers.b * one.eta
            if tables.rescaled:
                buffers.d *= self.per_gain[i][j]
                buffers.d -= buffers.thresholds
                fired = buffers.fired[j].reshape(-1, TILE * tables.hidden)
                xp.greater(buffers.d.reshape(fired.shape), self.compared[i][j], out=fired)
            else:
                xp.greater(buffers.d, 0.0, out=buffers.fired[0])

    def output_spikes(self, i: int, chunk: StepChunk, buffers: Buffers) -> None:
        """Spikes of variation ``i`` at all widths in the later layers, from those of the first in ``fired``."""
        widths, n = self.tables.variations[i].widths, self.tables.variations[i].widths * TILE * chunk.steps
        cells = slice(self.tables.starts[i], self.tables.starts[i] + widths)
        inputs, last = buffers.fired[:widths].reshape(n, -1).T, len(self.later[i]) - 1
        for k, layer in enumerate(self.later[i]):
            if k < last:
                fired = _part(buffers.middle[k], (layer.outputs, widths, n // widths))
            else:
                fired = buffers.output[:, cells]
            membrane = buffers.membrane[:, cells] if self.tables.by_membrane and k == last else None
            read, count = self.later_spikes(k, layer, inputs, buffers, fired, membrane)
            for total, of_rows in ((self.totals.read_later[k], read), (self.totals.hidden, count)):
                total[cells, chunk.slice] += self.sum_images(of_rows.reshape(widths, chunk.steps, TILE))
            inputs = fired.reshape(layer.outputs, n) if k < last else None
        if self.observe is not None:
            self.show(i, chunk, buffers)

    def later_spikes(
        self, k: int, layer: LaterLayer, inputs: Any, buffers: Buffers, out: Any, membrane: Any = None
    ) -> tuple[Any, Any]:
        """Spikes of a layer from those of its inputs, (inputs, n); returns (n,) what these read, and their number.

        ``membrane``: where to leave what the neurons receive, shaped as ``out``; None: nowhere.
        """
        xp, outputs, n = self.xp, layer.outputs, inputs.shape[1]
        first = sum(self.tables.sizes[1 : k + 1])
        limits = buffers.limits[first : first + outputs]
        sums = _part(buffers.sums[k], (len(buffers.sums[k]), n))
        self.multiply_bytes(layer.digits, inputs, sums)
        whole, middle, low = (sums[part * (outputs + 1) : (part + 1) * (outputs + 1)] for part in range(3))
        self.combine_digits(whole, middle, low)
        whole += layer.constant[:-1]
        z, levels = (_part(buffer[k], tuple(out.shape)) for buffer in (buffers.z, buffers.levels))
        self.scale(whole[:outputs], layer.step, z.reshape(outputs, n))
        if membrane is not None:
            membrane[...] = (whole[:outputs] * layer.fine_step).reshape(tuple(out.shape))
        if self.tables.rescaled:
            xp.multiply(limits, layer.gain, out=levels)
            levels += layer.shift
        else:
            xp.add(limits, layer.shift, out=levels)
        xp.greater(z, levels, out=out)
        return whole[-1], sums[-1] + layer.constant[-1]

    def classify(self, chunk: StepChunk, buffers: Buffers, before: Any, membrane_before: Any) -> tuple[Any, Any]:
        """Add what is classified right after each step; returns counts and membrane sums after the last.

        Counts are those of output spikes; membrane sums are 0 where the class is not decided by them.
        """
        xp, tables = self.xp, self.tables
        counts = self.running_counts(buffers.output.reshape(tables.classes, tables.cells, -1, TILE))
        if chunk.first:
            counts = counts + before
        compared, membrane = counts, membrane_before
        if tables.by_membrane:
            steps = buffers.membrane.reshape(tables.classes, tables.cells, -1, TILE)
            compared = membrane = xp.cumsum(steps, 2) + membrane_before
            membrane = membrane[:, :, -1:]
        most = compared == xp.amax(compared, 0)
        tied = most.sum(0, dtype=xp.uint8)
        among = self.new(tuple(tied.shape), "bool")
        for k, label in enumerate(chunk.tile.labels.tolist()):
            among[..., k] = most[label, ..., k]
        if tables.ties == "random":
            won = self.to_device(buffers.u_tie).reshape(-1, TILE) * tied < LEVELS  # with probability 1/k
            shares = (among & won) * SHARES
        else:
            shares = among * self.take(self.shares, tied)
        self.totals.shares[:, chunk.slice] += self.sum_images(shares)
        self.totals.output[:, chunk.slice] += self.sum_images(counts.sum(0, dtype=xp.int32))
        return counts[:, :, -1:] + self.zero, membrane  # int32: bytes hold the counts of one chunk only

    def show(self, i: int, chunk: StepChunk, buffers: Buffers) -> None:
        """Tell the observer of one variation's spikes."""
        assert self.observe is not None
        tables, one, used = self.tables, self.tables.variations[i], len(chunk.tile)
        folded = (tables.x < 0) & one.shifted
        for j in range(one.widths):
            hidden = [self.to_cpu(buffers.fired[j].reshape(-1, TILE, tables.hidden)[:, :used]) ^ folded]
            for buffer, outputs in zip(buffers.middle, tables.sizes[1:-1], strict=True):
                fired = _part(buffer, (outputs, one.widths, TILE * chunk.steps))[:, j]
                hidden.append(self.to_cpu(fired.reshape(outputs, -1, TILE)[..., :used]).transpose(1, 2, 0))
            fired = buffers.output[:, tables.starts[i] + j].reshape(tables.classes, -1, TILE)[..., :used]
            output = self.to_cpu(fired).transpose(2, 1, 0).copy()
            ratios = np.flatnonzero(one.column == j).tolist()
            all_hidden = np.concatenate(hidden, axis=2).swapaxes(0, 1)
            self.observe(Spikes(i, ratios, chunk.tile.numbers, chunk.first, all_hidden, output))

    # Done in another way on another device

    def prepare(self) -> None:
        """Memory for one image."""
        tables, steps = self.tables, min(self.tables.steps, CHUNK)
        inputs, columns = tables.first_layer.shape
        self.weights = np.empty((inputs, columns), np.float32)
        self.x = np.empty(steps * inputs, np.float32)
        self.z = np.empty((steps, columns), np.float32)
        self.thresholds = np.empty((steps, tables.neurons), np.float32)

    def to_device(self, array: npt.NDArray[Any]) -> Any:
        """The array where the kernel works."""
        return array

    def to_cpu(self, array: Any) -> npt.NDArray[Any]:
        """The array on the CPU."""
        return np.asarray(array)

    def new(self, shape: tuple[int, ...], dtype: str) -> Any:
        """An array of zeros where the kernel works."""
        return np.zeros(shape, dtype)

    def take(self, table: Any, index: Any) -> Any:
        """``table[index]`` without a check of the index."""
        return np.take(table, index, mode="clip")

    def multiply_bytes(self, digits: Any, fired: Any, out: Any) -> None:
        """out = digits @ fired in whole numbers: bytes in, int32 out.  A bool is a byte of 0 or 1 already."""
        _multiply_bytes(digits, torch.from_numpy(fired).view(torch.int8), torch.from_numpy(out))

    def combine_digits(self, high: Any, middle: Any, low: Any) -> None:
        """high = the whole numbers of these digits, in place; the layer's step keeps them within int32."""
        high, middle, low = map(torch.from_numpy, (high, middle, low))
        torch.add(middle, high, alpha=256, out=middle)
        torch.add(low, middle, alpha=256, out=high)

    def scale(self, whole: Any, step: Any, out: Any) -> None:
        """out = whole * step in float32."""
        np.multiply(whole, step, out=out, dtype=np.float32, casting="unsafe")

    def sum_images(self, whole: Any) -> Floats:
        """Sum of whole numbers over the last axis, the images of the tile; on the CPU.

        A product with ones and zeros: exact in float64, faster than a sum over so short an axis, and it leaves out
        the rows of a tile that has fewer images.
        """
        return np.asarray(whole.astype(np.float64) @ self.used)

    def running_counts(self, output: Any) -> Any:
        """Sums over the steps up to each, (classes, cells, steps, TILE) bytes: a chunk has at most 50 steps.

        Eight images are one word of 64 bits: no byte can carry into the next, so one addition adds eight counts.
        """
        return np.add.accumulate(output.view(np.uint64), axis=2).view(np.uint8)


class TorchKernel(CpuKernel):
    """The same on another device of torch, such as "cuda"; random numbers come from the CPU, so they are equal."""

    xp: Any = torch

    def prepare(self) -> None:
        self.one = self.to_device(np.ones(1, np.float32))
        self.weights = self.to_device(self.tables.first_layer)
        self.thresholds = self.to_device(self.tables.thresholds)

    def first_layer(self, chunk: StepChunk, index: int, buffers: Buffers) -> npt.NDArray[np.float32]:
        tables, hidden, rows = self.tables, self.tables.hidden, slice(index, None, TILE)
        active_pixels, u = self.draw(chunk, index, buffers)
        n_active = len(active_pixels)
        x = self.to_device(u[:, :n_active] <= input_limits()[chunk.tile.images[index][active_pixels]]).float()
        z = x @ self.weights[self.to_device(active_pixels)]
        thresholds = self.thresholds[self.to_device(u[:, n_active:-1].astype(np.int64))]
        if self.gain is not None:
            thresholds *= self.gain
        if tables.rescaled:
            buffers.a[rows], buffers.thresholds[rows] = z[:, :hidden], thresholds[:, :hidden]
        else:
            torch.subtract(z[:, :hidden], thresholds[:, :hidden], out=buffers.a[rows])
        if tables.varied:
            torch.multiply(
                z[:, hidden : 2 * hidden], self.inverse if tables.shifted else self.one, out=buffers.b[rows]
            )
        buffers.by_row[rows] = thresholds[:, hidden:]
        return self.to_cpu(z[:, tables.reads])

    def to_device(self, array: npt.NDArray[Any]) -> Any:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def to_cpu(self, array: Any) -> npt.NDArray[Any]:
        on_cpu: npt.NDArray[Any] = array.cpu().numpy()
        return on_cpu

    def new(self, shape: tuple[int, ...], dtype: str) -> Any:
        return torch.zeros(shape, dtype=getattr(torch, dtype), device=self.device)

    def take(self, table: Any, index: Any) -> Any:
        return table[index.long()]

    def multiply_bytes(self, digits: Any, fired: Any, out: Any) -> None:
        _multiply_bytes(digits, fired.view(torch.int8), out)

    def combine_digits(self, high: Any, middle: Any, low: Any) -> None:
        torch.add(middle, high, alpha=256, out=middle)
        torch.add(low, middle, alpha=256, out=high)

    def scale(self, whole: Any, step: Any, out: Any) -> None:
        torch.multiply(whole, step, out=out)

    def sum_images(self, whole: Any) -> Floats:
        return self.to_cpu(whole.double() @ self.used)

    def running_counts(self, output: Any) -> Any:
        return torch.cumsum(output, 2, dtype=torch.uint8)
