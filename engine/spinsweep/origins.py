"""What computed the cells of a cube, beside what would compute them now."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spinsweep.cube import Cube
from spinsweep.ledger import State
from spinsweep.provenance import Origin, OriginRecord, other_code, other_processor, other_versions

MOST = 4
"""Differences that are said of one origin; the number of the others is."""


@dataclass(frozen=True)
class Origins:
    """Cells that are there and were not computed by what is here."""

    cells: npt.NDArray[np.bool_]
    """Those of other code, in the cube's shape."""
    code: tuple[tuple[int, str], ...]
    """Number of cells of each other code, and what differs in words."""
    world: tuple[tuple[int, str], ...]
    """The same of cells of the same code that other packages, another Python or processor computed."""


def found_origins(cube: Cube, here: Origin) -> Origins:
    """Compare what the computed cells of a cube name with what is here."""
    state, numbers = cube.ledger("cell_state"), cube.ledger("cell_code")
    there = (state == State.DONE) | (state == State.FAILED)
    cells = np.zeros(state.shape, bool)
    code, world = Counter[str](), Counter[str]()
    for number, count in zip(*np.unique(numbers[there], return_counts=True), strict=True):
        if number == here.number:
            continue
        origin = cube.code(int(number))
        if origin is not None and origin.identity == here.code.digest:
            if different := other_versions(origin, here.record) + other_processor(origin, here.record):
                world[said(different)] += int(count)
            continue
        cells |= there & (numbers == number)
        code[_code_in_words(origin, here)] += int(count)
    return Origins(cells, *(tuple((n, text) for text, n in found.most_common()) for found in (code, world)))


def _code_in_words(origin: OriginRecord | None, here: Origin) -> str:
    return "which is not recorded" if origin is None else said(other_code(origin, here.record))


def said(different: list[str]) -> str:
    """Differences in one line."""
    more = f"; and {len(different) - MOST} more" if len(different) > MOST else ""
    return "; ".join(different[:MOST]) + more
