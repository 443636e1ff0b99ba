"""The failures of a cube by error: how many cells, the first of them, and the command that computes it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spinsweep.axis import json_of, key
from spinsweep.cube import Cube
from spinsweep.ledger import State
from spinsweep.messages import FailureGroup
from spinsweep.printable import cut, one_line

MAX_ERRORS = 1000
"""Different errors whose texts are read: each is a file, or an object."""


@dataclass(frozen=True)
class FailureGroups:
    """All failed cells of a cube."""

    groups: tuple[FailureGroup, ...]
    """The commonest first; those of one error (type and message) together."""
    unread: int = 0
    """Failed cells beside these, whose errors were not read."""


def failure_groups(cube: Cube) -> FailureGroups:
    """The failed cells of a cube, and the incomplete ones whose last computation failed, by error.

    Of more than :data:`MAX_ERRORS` different errors, the commonest are read. Where an axis is damaged, no group says
    which cell is its first.
    """
    state, reference = cube.ledger("cell_state"), cube.ledger("cell_error")
    failed = np.flatnonzero((state == State.FAILED) | ((state == State.INCOMPLETE) & (reference != 0)))
    if not failed.size:
        return FailureGroups(())
    references, first, counts = np.unique(reference.ravel()[failed], return_index=True, return_counts=True)
    commonest = np.lexsort((first, -counts))
    cells: dict[tuple[str, str], int] = {}
    firsts: dict[tuple[str, str], int] = {}
    for place in commonest[:MAX_ERRORS].tolist():
        error = cube.error(int(references[place]))
        group = error.type, error.message
        cells[group] = cells.get(group, 0) + int(counts[place])
        firsts[group] = min(firsts.get(group, state.size), int(failed[first[place]]))
    axes = cube.readable_axes()

    def point(index: int) -> dict[str, Any]:
        if None in axes.values():
            return {}
        places = np.unravel_index(index, state.shape)
        return {n: json_of(along[i]) for (n, along), i in zip(axes.items(), places, strict=True) if along is not None}

    ordered = sorted(cells, key=lambda group: (-cells[group], firsts[group]))
    groups = tuple(FailureGroup(cells[g], point(firsts[g]), f"{g[0]}: {g[1]}") for g in ordered)
    return FailureGroups(groups, int(failed.size) - sum(cells.values()))


def cell_command(store: str, cell: Mapping[str, Any]) -> str:
    """What computes a cell again in a terminal.

    Parameters
    ----------
    cell : coordinates, JSON values by axis
    """
    point = " ".join(shlex.quote(f"{name}={key(value)}") for name, value in cell.items())
    return f"spinsweep cell {shlex.quote(store)} {point}"


def failure_lines(
    groups: Sequence[FailureGroup], most: int, more_cells: int = 0, more_errors: int = 0
) -> Iterator[str]:
    """Failures for a terminal: a line for each of the ``most`` commonest errors, and one for the rest.

    Parameters
    ----------
    groups : the commonest first
    more_cells : failed cells beside those of the groups
    more_errors : with how many other errors, as far as is known
    """
    for group in groups[:most]:
        first = one_line(" ".join(f"{name}={key(value)}" for name, value in group.first.items()))
        yield f"failed  {group.cells} x {cut(one_line(group.error), 250)}{f'  (first: {first})' if first else ''}"
    cells = more_cells + sum(group.cells for group in groups[most:])
    errors = more_errors + len(groups[most:])
    if cells or errors:
        yield f"failed  {cells} with {f'{errors} ' if errors else ''}other messages"
