"""What cells share beyond a block: a stage is computed once for each combination of values of some axes.

    Sweep(..., stages=(Stage("network", train, axes=("seed",)),), function=cell)

``train`` gets a cell that has these axes alone, and returns arrays by name; ``cell.stage("network")`` gives them to
every cell that agrees on the axes.  A run keeps them beside its cube, so that one worker computes and others read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spinsweep.checking import items, require_callable
from spinsweep.errors import OutputError, SpecError
from spinsweep.printable import brief

Arrays = dict[str, npt.NDArray[Any]]
Keeper = Callable[[str, str, Callable[[], Arrays]], Arrays]
"""(name of the stage, address, what computes it) -> its arrays, computed or as they were kept."""
MOST_IN_MEMORY = 8
"""Results of stages that a process holds at a time."""


@dataclass(frozen=True)
class Stage:
    """A shared part of the work of cells.

    Parameters
    ----------
    name : by which cells ask for it
    function : (Cell) -> mapping of name to array or number; the cell has the ``axes`` alone, and its ``rng`` is that
        of all cells which agree on them
    axes : on which it depends; none: there is one for all cells

    Raises
    ------
    SpecError
        The name is no identifier, or the function cannot be called.
    """

    name: str
    function: Callable[[Any], Mapping[str, Any]]
    axes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise SpecError(f"stage name {brief(self.name)} is not an identifier such as 'network'")
        require_callable(f"stage {self.name!r}: function", self.function)
        object.__setattr__(self, "axes", items(f"stage {self.name!r}: axes", self.axes, str))

    def compute(self, cell: Any) -> Arrays:
        """What the function returns, as arrays that nobody can change.

        Raises
        ------
        OutputError
            It returns something else than numbers by name.
        """
        returned = self.function(cell)
        if not isinstance(returned, Mapping) or not all(isinstance(name, str) for name in returned):
            raise OutputError(f"stage {self.name!r} returned {brief(returned)}, not a mapping of name to array")
        arrays = {}
        for name, value in returned.items():
            array = np.array(value)
            if array.dtype.kind not in "biufcU":
                raise OutputError(f"stage {self.name!r}: {name!r} is of type {array.dtype}, not numbers or texts")
            arrays[name] = array
        return read_only(arrays)


def read_only(arrays: Arrays) -> Arrays:
    """The arrays, which cells share, closed to changes."""
    for array in arrays.values():
        array.setflags(write=False)
    return arrays


class InMemory:
    """A keeper that remembers the last results of this process, and asks another one for the rest."""

    def __init__(self, behind: Keeper = lambda name, address, compute: compute()) -> None:
        self._behind = behind
        self._results: OrderedDict[tuple[str, str], Arrays] = OrderedDict()

    def __call__(self, name: str, address: str, compute: Callable[[], Arrays]) -> Arrays:
        """The arrays; see :data:`Keeper`."""
        known = (name, address)
        if known not in self._results:
            self._results[known] = self._behind(name, address, compute)
        self._results.move_to_end(known)
        while len(self._results) > MOST_IN_MEMORY:
            self._results.popitem(last=False)
        return self._results[known]
