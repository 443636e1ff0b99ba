"""Values of a cube's output so far, read by a process of its own: the scheduler only waits for small answers.

It reads each block once in a run, and for about a second an answer, in random order: when there is more to read, an
answer covers the whole cube thinly, and the next one goes on.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from spinsweep.cube import Cube, DamagedChunk
from spinsweep.dashboard.blockmap import BlockState, binned
from spinsweep.errors import CubeError
from spinsweep.ledger import State
from spinsweep.system import OWN_SESSION

READ_BUDGET_S = 1.0  # for one answer
MAX_KEPT = 8  # outputs of cubes whose blocks are known: windows that show different ones ask in turn


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


class Answer(NamedTuple):
    """The mean of the output over done cells that are not NaN."""

    mean: npt.NDArray[np.float64]
    """(y, x) of the bins of the map; NaN where nothing is known."""
    read: int
    """Blocks that were read."""
    ended: int
    """Blocks that can be read."""
    problem: str = ""
    """Why the cube cannot be read."""

    @property
    def complete(self) -> bool:
        """Whether there is nothing more to read."""
        return self.read == self.ended and not self.problem


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


class _BlockSums:
    """Sum and number of an output's values in each block that was read, in one run."""

    def __init__(self, question: Question) -> None:
        self.cube = _cube(question)
        self.total = np.zeros(question.states.shape)
        self.number = np.zeros(question.states.shape)
        self.known = np.zeros(question.states.shape, bool)
        self.output = question.output
        self.last = question.inner == "last"

    def read(self, ended: npt.NDArray[np.bool_]) -> None:
        """Read blocks that ended and are not known, in random order, while the budget lasts."""
        until = time.monotonic() + READ_BUDGET_S
        self.known &= ended
        unread = np.argwhere(ended & ~self.known)
        for index in np.random.default_rng(0).permutation(unread).tolist():
            if time.monotonic() > until:
                return
            self._read_block(tuple(index))

    def _read_block(self, index: tuple[int, ...]) -> None:
        try:
            state = self.cube.array("cell_state").read_block(index)
            values = self.cube.array(self.output).read_block(index)
        except DamagedChunk:
            return  # `spinsweep verify` names it
        if not ((state == State.DONE) | (state == State.FAILED)).any():
            return  # a network's file system does not show it here yet
        done = values[state == State.DONE].astype(np.float64)  # (cells, *dims of the output)
        if self.last:
            done = done[(slice(None), *[-1] * (done.ndim - 1))]
        valid = ~np.isnan(done)
        self.total[index] = done[valid].sum()
        self.number[index] = valid.sum()
        self.known[index] = True

    def answer(self, question: Question, ended: npt.NDArray[np.bool_]) -> Answer:
        """The means of the bins, from the blocks that are known."""
        total, number = (binned(a * self.known, question.y, question.x) for a in (self.total, self.number))
        mean = np.full(total.shape, np.nan)
        np.divide(total, number, out=mean, where=number > 0)
        return Answer(mean, int(self.known.sum()), int(ended.sum()))


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the questions end."""
    kept: dict[Any, _BlockSums] = {}
    while True:
        try:
            question: Question = pickle.load(questions)
        except EOFError:
            return
        key = question[:5]
        ended = np.isin(question.states, (BlockState.DONE, BlockState.FAILED))
        try:
            sums = kept.pop(key, None) or _BlockSums(question)
            _cube(question)  # it may be gone since
            kept[key] = sums  # the one that was asked for last is the last
            for old in list(kept)[:-MAX_KEPT]:
                del kept[old]
            sums.read(ended)
            answer = sums.answer(question, ended)
        except Exception as error:
            kept.pop(key, None)
            answer = _nothing(f"{type(error).__name__}: {error}")
        pickle.dump(answer, answers)
        answers.flush()


def main() -> None:
    """The process's work, at a lower priority than the workers'."""
    if hasattr(os, "nice"):
        os.nice(10)
    serve(sys.stdin.buffer, sys.stdout.buffer)
