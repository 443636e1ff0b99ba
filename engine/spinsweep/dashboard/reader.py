"""Values of a cube's output so far, read by a process of its own: the scheduler only waits for small answers.

It reads each block once in a run, for a map and for curves, and for about a second an answer, in random order: when
there is more to read, an answer covers the whole cube thinly, and the next one goes on.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from importlib import import_module
from typing import Any, BinaryIO, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from spinsweep.analysis.curve_data import Curves
from spinsweep.blocks import Block
from spinsweep.cube import Cube, DamagedChunk
from spinsweep.dashboard.blockmap import BlockState, binned
from spinsweep.errors import CubeError
from spinsweep.ledger import State
from spinsweep.system import OWN_SESSION
from spinsweep.views import LAST, View

READ_BUDGET_S = 1.0  # for one answer
MAX_KEPT = 8
"""Maps and views of which it keeps what it has read."""


class Question(NamedTuple):
    """What a page asks."""

    path: str
    cube_id: str
    epoch: int
    """Of the run; the blocks are read anew for each."""
    output: str
    inner: str
    """``mean`` over the output's own dims, or ``last`` of each."""
    states: npt.NDArray[np.uint8]
    """:class:`BlockState` of each block, in the shape of their grid."""
    y: int
    x: int
    view: View | None = None
    """Of the output; None: no curves are asked for."""


class Answer(NamedTuple):
    """The mean of the output over done cells that are not NaN, on the map and as curves."""

    mean: npt.NDArray[np.float64]
    """(y, x) of the bins of the map; NaN where nothing is known."""
    read: int
    """Blocks that were read."""
    ended: int
    """Blocks that can be read."""
    problem: str = ""
    """Why the cube cannot be read."""
    curves: Curves | None = None
    """Of the view; None where none was asked for, or the cube cannot be read."""
    read_for_curves: int = 0
    """Blocks that the curves are of; where none were asked for, those of the map."""

    @property
    def complete(self) -> bool:
        """Whether there is nothing more to read."""
        return min(self.read, self.read_for_curves) == self.ended and not self.problem


class Reader:
    """The process, as the scheduler holds it; started by the first question."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, question: Question) -> Answer:
        """Wait for the answer; for a thread, not for an event loop."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-c", "from spinsweep.dashboard.reader import main; main()"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    **OWN_SESSION,  # Ctrl-C is not for it
                )
            process = self._process
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                pickle.dump(question, process.stdin)
                process.stdin.flush()
                answer: Answer = pickle.load(process.stdout)
            except (EOFError, OSError, ValueError) as error:
                return _nothing(f"the reading process ended ({type(error).__name__})")
            return answer

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with process:  # which closes its pipes, and waits
                process.kill()


def _nothing(problem: str) -> Answer:
    return Answer(np.full((1, 1), np.nan), 0, 0, problem)


def _cube(question: Question) -> Cube:
    cube = Cube(question.path)
    if cube.attributes.cube_id != question.cube_id:
        raise CubeError(f"another cube is at {question.path} on the scheduler's machine")
    return cube


class _MapSums:
    """Sum and number of an output's values in each block that was read, in one run."""

    def __init__(self, cube: Cube, question: Question) -> None:
        self.reads: tuple[str, ...] = (question.output,)
        self.total = np.zeros(question.states.shape)
        self.number = np.zeros(question.states.shape)
        self.known = np.zeros(question.states.shape, bool)
        self.last = question.inner == LAST

    def add(self, block: Block, index: tuple[int, ...], done: npt.NDArray[np.bool_], values: list[Any]) -> None:
        """Note a block, which may hold more than when it was noted before."""
        numbers = values[0][done].astype(np.float64)  # (cells, *dims of the output)
        if self.last:
            numbers = numbers[(slice(None), *[-1] * (numbers.ndim - 1))]
        valid = ~np.isnan(numbers)
        self.total[index] = numbers[valid].sum()
        self.number[index] = valid.sum()

    def mean(self, y: int, x: int) -> npt.NDArray[np.float64]:
        """(y, x) of the bins of a map, from the blocks that are known."""
        total, number = (binned(a * self.known, y, x) for a in (self.total, self.number))
        mean = np.full(total.shape, np.nan)
        np.divide(total, number, out=mean, where=number > 0)
        return mean


class _ViewSums:
    """The curves of a view from the blocks that were read, in one run."""

    def __init__(self, cube: Cube, question: Question) -> None:
        from spinsweep.analysis.curves import CurveSums

        assert question.view is not None
        dims = (*cube.axis_names, *(dim["name"] for dim in cube.definition["dims"]))
        self.sums = CurveSums(cube.dataset(pieces=dict.fromkeys(dims, -1)), question.view)  # -1: as one piece
        self.reads = self.sums.reads
        self.known = np.zeros(question.states.shape, bool)
        self._added: dict[tuple[int, ...], npt.NDArray[np.uint8]] = {}
        """The cells that were added, a bit each, of blocks that may get more."""
        self._curves: Curves | None = None

    def add(self, block: Block, index: tuple[int, ...], done: npt.NDArray[np.bool_], values: list[Any]) -> None:
        """Add the cells of a block that were not added before."""
        before = self._added.pop(index, None)
        new = done
        if before is not None:
            new = done & (np.unpackbits(before, count=done.size).reshape(done.shape) == 0)
        self.sums.add(block.start, new, *values)
        if not done.all():
            self._added[index] = np.packbits(done)
        self._curves = None

    def curves(self) -> Curves:
        """The curves so far."""
        self._curves = self._curves or self.sums.curves()
        return self._curves


Sums = TypeVar("Sums", _MapSums, _ViewSums)


class _Blocks:
    """What was read of the cubes that pages asked for last."""

    def __init__(self) -> None:
        self._kept: dict[Any, tuple[Cube, _MapSums | _ViewSums]] = {}
        self._loading = threading.Thread(target=import_module, args=("spinsweep.analysis.curves",), daemon=True)
        """What loads xarray and SciPy, which takes long where others compute: the map does not wait for it."""
        self._loading.start()

    def answer(self, question: Question) -> Answer:
        """Read what is new, and say what is known."""
        ended = np.isin(question.states, (BlockState.DONE, BlockState.FAILED))
        _cube(question)  # it may be gone since
        cube, of_map = self._of(_MapSums, question, (question.output, question.inner))
        wanted: list[_MapSums | _ViewSums] = [of_map]
        can_draw = question.view is not None and not self._loading.is_alive()
        of_view = self._of(_ViewSums, question, (question.view,))[1] if can_draw else None
        wanted += [of_view] if of_view else []
        _read(cube, wanted, ended)
        counts = [int(sums.known.sum()) for sums in wanted]
        curves = of_view.curves() if of_view else None
        read_for_curves = 0 if question.view and not of_view else counts[-1]
        return Answer(of_map.mean(question.y, question.x), counts[0], int(ended.sum()), "", curves, read_for_curves)

    def _of(self, kind: type[Sums], question: Question, what: tuple[Any, ...]) -> tuple[Cube, Sums]:
        """What is known of the run that a question is about; the least recently asked for is forgotten."""
        key = (kind, *question[:3], *what)
        kept: Any = self._kept.pop(key, None)
        if kept is None:
            cube = _cube(question)
            kept = cube, kind(cube, question)
        self._kept[key] = kept
        for old in list(self._kept)[:-MAX_KEPT]:
            del self._kept[old]
        return kept  # type: ignore[no-any-return]

    def forget(self, question: Question) -> None:
        """Nothing is known any more of a run, after something went wrong."""
        self._kept = {key: kept for key, kept in self._kept.items() if key[1:4] != question[:3]}


def _read(cube: Cube, wanted: list[_MapSums | _ViewSums], ended: npt.NDArray[np.bool_]) -> None:
    """Read blocks that ended and that are not known, in random order, while the budget lasts; each once."""
    until = time.monotonic() + READ_BUDGET_S
    for sums in wanted:
        sums.known &= ended
    unread = np.argwhere(ended & ~np.logical_and.reduce([sums.known for sums in wanted]))
    for index in map(tuple, np.random.default_rng(0).permutation(unread).tolist()):
        if time.monotonic() > until:
            return
        lacking = [sums for sums in wanted if not sums.known[index]]
        try:
            state = cube.array("cell_state").read_block(index)
            names = dict.fromkeys(name for sums in lacking for name in sums.reads)
            values = {name: cube.array(name).read_block(index) for name in names}
        except DamagedChunk:
            continue  # `spinsweep verify` names it
        if not ((state == State.DONE) | (state == State.FAILED)).any():
            continue  # a network's file system does not show it here yet
        for sums in lacking:
            sums.add(cube.grid.block(index), index, state == State.DONE, [values[name] for name in sums.reads])
            sums.known[index] = True


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the questions end."""
    blocks = _Blocks()
    while True:
        try:
            question: Question = pickle.load(questions)
        except EOFError:
            return
        try:
            answer = blocks.answer(question)
        except Exception as error:
            blocks.forget(question)
            answer = _nothing(f"{type(error).__name__}: {error}")
        pickle.dump(answer, answers)
        answers.flush()


def main() -> None:
    """The process's work, at a lower priority than the workers'."""
    if hasattr(os, "nice"):
        os.nice(10)
    serve(sys.stdin.buffer, sys.stdout.buffer)
