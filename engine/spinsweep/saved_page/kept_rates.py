"""The rate over the time of a run, kept in the page that the run wrote: later pages of the same run show it, too."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from html import escape, unescape

from spinsweep.pace import MOST_RATES

Rates = Sequence[tuple[float, float]]
"""Pairs of seconds since a run began to compute, and cells a second over its last minutes then."""


def attributes(run: str, rates: Rates) -> str:
    """What an element of the page says of a run, so that :func:`kept_rates` finds it again.

    Parameters
    ----------
    run : tells it from all others
    """
    rounded = [(round(seconds, 2), float(f"{rate:.5g}")) for seconds, rate in rates]
    return f'data-run="{escape(run)}" data-rates="{escape(json.dumps(rounded, separators=(",", ":")))}"'


def kept_rates(page: str, run: str) -> Rates:
    """The rates of a run in an earlier page; none if the page is of another run, or damaged."""
    kept = re.search(rf'data-run="{re.escape(escape(run))}" data-rates="([^"]*)"', page)
    if kept is None:
        return ()
    try:
        rates = [(float(seconds), float(rate)) for seconds, rate in json.loads(unescape(kept[1]))]
    except (TypeError, ValueError, RecursionError):
        return ()
    whole = all(math.isfinite(value) and value >= 0 for pair in rates for value in pair)
    return rates if whole and len(rates) <= MOST_RATES else ()
