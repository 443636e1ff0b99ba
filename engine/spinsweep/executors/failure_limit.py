"""When a run stops because too many of its cells fail: decided from receipts alone."""

from __future__ import annotations

from collections import Counter

from spinsweep.ledger import Receipt

ALL_OF_FIRST = 20
"""By default a run stops when at least so many cells have ended, and all of them failed with one error,"""
MANY, OF_FIRST = 50, 100
"""or when, of its first ``OF_FIRST`` cells, ``MANY`` failed with one error."""
MESSAGE = 300  # characters of an error that a reason holds


class FailureLimit:
    """Counts the failures of one run.

    Parameters
    ----------
    most
        Failed cells at which the run stops; infinite: it never does; None: it stops by the default rule.
    """

    def __init__(self, most: float | None = None) -> None:
        self._most = most
        self._ended = self._failed = 0
        self._with_error: Counter[str] = Counter()  # of the first cells alone
        self._first_error = ""

    def note(self, receipt: Receipt) -> str:
        """Count a block that ended; why the run is to stop, empty: it goes on.

        Blocks end whole: of the first 100 cells there may be a few more.
        """
        before = self._ended
        self._ended += receipt.done + receipt.failed
        self._failed += receipt.failed
        self._first_error = self._first_error or receipt.first_error
        if self._most is not None:
            if receipt.failed and self._failed >= self._most:
                return f"{_cells(self._failed)} failed, the first with {self._first_error[:MESSAGE]}"
            return ""
        if before >= OF_FIRST or not receipt.errors:
            return ""
        self._with_error.update(receipt.errors)
        error, count = self._with_error.most_common(1)[0]
        what = f"failed with the same error, {error[:MESSAGE]}"
        if count == self._ended >= ALL_OF_FIRST:
            return f"each of the first {_cells(count)} {what}"
        if count >= MANY and count * OF_FIRST >= MANY * self._ended:
            return f"{count} of the first {_cells(self._ended)} {what}"
        return ""


def _cells(number: int) -> str:
    return f"{number} cell{'' if number == 1 else 's'}"
