"""What computed the cells of a cube, beside what would compute them now."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spinsweep.cube import Cube
from spinsweep.ledger import State, holding
from spinsweep.provenance import Origin, other_code, other_processor, other_versions

MAX_DIFFERENCES = 4
"""Of one origin that a note names; of the others it gives the number."""


@dataclass(frozen=True)
class Origins:
    """Computed cells of a cube that this code, or this machine, did not compute."""

    cells: npt.NDArray[np.bool_]
    """Those of other code, in the cube's shape."""
    code: tuple[tuple[int, str], ...]
    """Number of cells of each other code, and what differs in words."""
    environment: tuple[tuple[int, str], ...]
    """The same of cells of the same code that other packages, another Python or processor computed."""


def compare_origins(cube: Cube, current: Origin) -> Origins:
    """Compare what the computed cells of a cube name with what would compute them now."""
    state, numbers = cube.ledger("cell_state"), cube.ledger("cell_code")
    computed = holding(state) | (state == State.FAILED)
    cells = np.zeros(state.shape, bool)
    code, environment = Counter[str](), Counter[str]()
    for number, count in zip(*np.unique(numbers[computed], return_counts=True), strict=True):
        if number == current.number:
            continue
        origin = cube.code(int(number))
        if origin is not None and origin.identity == current.code.digest:
            if different := other_versions(origin, current.record) + other_processor(origin, current.record):
                environment[in_words(different)] += int(count)
            continue
        cells |= computed & (numbers == number)
        different = [] if origin is None else other_code(origin, current.record)
        code["which is not recorded" if origin is None else in_words(different)] += int(count)
    return Origins(cells, _most_first(code), _most_first(environment))


def _most_first(counts: Counter[str]) -> tuple[tuple[int, str], ...]:
    return tuple(sorted(((count, text) for text, count in counts.items()), key=lambda pair: (-pair[0], pair[1])))


def in_words(different: list[str]) -> str:
    """Differences in one line."""
    more = f"; and {len(different) - MAX_DIFFERENCES} more" if len(different) > MAX_DIFFERENCES else ""
    return "; ".join(different[:MAX_DIFFERENCES]) + more
