"""What ``spinsweep.run`` says of cells that failed: how many, by error, and where to look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from spinsweep.axis import key
from spinsweep.errors import SweepFailed
from spinsweep.executors.running import Result
from spinsweep.ledger import Failure
from spinsweep.printable import cut, one_line, printable

KINDS = 5  # of errors that one message names
TRACEBACK = 4000  # characters of the first cell's that are shown with the exception


def sweep_failed(result: Result) -> SweepFailed:
    """The exception for a run that did not compute all that it was asked for."""
    counts = result.counts
    failures = result.failures if counts.failed or counts.incomplete else []
    parts = [f"{counts.done} of {counts.total} cells are done"]
    if failures:
        parts[0] = f"{len(failures)} of {counts.total} cells failed: {_by_error(failures)}"
        where = f"spinsweep.open_cube({result.store!r}).sweep.failures() has each traceback"
        parts.append(f"the first is {_named(failures[0])}; {where}")
    if result.unwritten_blocks:
        blocks = len(result.unwritten_blocks)
        many = f"{blocks} block{'s' if blocks > 1 else ''} could not be kept"
        parts.append(f"{many}, as {one_line(result.unwritten_blocks[0], 500)}")
    if result.stopped_because:
        parts.append(f"the run stopped because {result.stopped_because}")
    if failures:
        parts.append('retry_failed=True computes them again, on_failure="keep" goes on without them')
    else:
        parts.append("what is done is in the cube, call run again to continue")
    error = SweepFailed(f"{result.store}: {'; '.join(parts)}", result)
    if failures:
        trace = printable(cut(failures[0].error.traceback, TRACEBACK)).rstrip()
        error.add_note(f"\nIn the cell {_named(failures[0])}:\n{trace}")
    return error


def _by_error(failures: Sequence[Failure]) -> str:
    """The errors with their numbers, the most frequent first, each with one of its messages."""
    kinds = Counter(failure.error.type for failure in failures)
    first = {failure.error.type: failure.error.message for failure in reversed(failures)}
    texts = []
    for kind, number in kinds.most_common(KINDS):
        message = one_line(first[kind], 300)
        texts.append(f"{number} {one_line(kind)}" + (f" ({message})" if message else ""))
    others = len(kinds) - KINDS
    return ", ".join(texts) + (f", and {others} more kinds of errors" if others > 0 else "")


def _named(failure: Failure) -> str:
    return ", ".join(f"{name}={one_line(key(value), 100)}" for name, value in failure.coords.items())
