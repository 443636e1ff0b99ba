"""A run beside the one before it, and where the cube's figures are, as HTML."""

from __future__ import annotations

import datetime
import shlex
from html import escape

from spinsweep.dashboard.monitor import WatchedRun
from spinsweep.messages import EarlierRun
from spinsweep.progress import duration

UNKNOWN = "not known"


def comparison(run: WatchedRun) -> str:
    """What this run has done so far, and what the last one did; empty if there was none."""
    if not run.description.earlier:
        return ""
    before, report = run.description.earlier[0], run.report
    took = UNKNOWN if before.seconds is None else duration(before.seconds)
    rows = [
        ("", f"run {run.description.epoch}", f"run {before.epoch}, {_began(before)}"),
        ("cells/s", _rate(report.rate), UNKNOWN if before.rate is None else _rate(before.rate)),
        ("time", f"{duration(report.seconds)}{'' if run.ended else ' so far'}", took),
        (
            "cells",
            f"{report.cells_ended:,} of {run.cells:,}",
            UNKNOWN if before.cells is None else f"{before.cells:,}",
        ),
        ("failed", f"{report.cells_failed:,}", f"{run.description.failed_before:,} of the cube after it"),
        ("outcome", "ended" if run.ended else "goes on", before.outcome),
    ]
    table = "".join(f"<tr>{''.join(f'<td>{escape(str(word))}</td>' for word in row)}</tr>" for row in rows)
    changes = before.changes or "nothing of code, packages, processor and machine"
    return (
        f"<h3>Beside the last run</h3><table>{table}</table>"
        f'<div class="dim">Changed since then: {escape(changes)}. The rate of run {before.epoch} is over all of its '
        "time, also that without workers.</div>"
    )


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def _began(run: EarlierRun) -> str:
    """When, to the minute; what is no time, as it is."""
    try:
        began = datetime.datetime.fromisoformat(run.start).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return run.start
    return f"{began:%Y-%m-%d %H:%M} UTC"


def figures(run: WatchedRun) -> str:
    """Where the figures of the cube are: a browser opens no file from here."""
    about = run.description
    if not about.figures:
        return '<h3>Figures</h3><div class="dim">None lay beside the cube when the run began.</div>'
    where = f"{about.figures:,} in {escape(about.figures_folder)} when the run began."
    return f'<h3>Figures</h3><div class="dim">{where}</div>'


def figure_commands(run: WatchedRun) -> dict[str, str]:
    """Commands in a terminal, and what each does, HTML."""
    store = shlex.quote(run.description.path)
    return {
        f"spinsweep figures {store}": '<span class="dim">Draw the cube as it is then:</span>',
        f"spinsweep page {store}": '<span class="dim">Write a page with links to the figures:</span>',
    }


def caption(run: WatchedRun) -> str:
    """What the plot of the rate shows, with its last and its highest value."""
    rates = [rate for _, rate in run.rates.points]
    return (
        f'<h3>Rate of this run</h3><div class="dim">Cells/s over the last five minutes at each moment: '
        f"{_rate(rates[-1])} at last, {_rate(max(rates))} at most.</div>"
        if rates
        else ""
    )
