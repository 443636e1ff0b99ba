"""What the Sweep page says: its words, numbers, labels and colours, as HTML. No bokeh in here."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from spinsweep.dashboard.blockmap import BlockMap, BlockState, bins
from spinsweep.dashboard.monitor import ReportedLane, SweepMonitor, WatchedRun
from spinsweep.dashboard.reader import Answer
from spinsweep.failure_groups import cell_command as command_of_cell
from spinsweep.messages import AxisDescription, FailureGroup, LongBlock, OutputDescription, Series
from spinsweep.progress import duration, left_in_words
from spinsweep.si import quantity

COLOURS = {
    BlockState.OUTSIDE: "#ffffff",
    BlockState.WAITING: "#d9d9d9",
    BlockState.PARTLY: "#8fbfe0",
    BlockState.DONE: "#0072b2",
    BlockState.RUNNING: "#f0e442",
    BlockState.FAILED: "#d55e00",
}
"""Colour-blind readers tell them apart (after Okabe and Ito, Color Universal Design, 2008)."""
LEGEND = (BlockState.WAITING, BlockState.RUNNING, BlockState.PARTLY, BlockState.DONE, BlockState.FAILED)
BAR = (BlockState.DONE, BlockState.FAILED, BlockState.RUNNING)
MAX_LABEL_CHARACTERS = 14  # at an axis
SYMBOLS = {"um": "µm", "us": "µs", "uA": "µA", "ohm": "Ω", "1": ""}

STYLE = """
:host { font: 14px/1.45 "DejaVu Sans", "Helvetica Neue", Arial, sans-serif; color: #222; }
h2 { font-size: 19px; margin: 0 0 2px; font-weight: 600; }
h3 { font-size: 14px; margin: 6px 0 4px; font-weight: 600; }
.dim { color: #666; font-size: 12px; overflow-wrap: anywhere; }
.bk-clearfix { width: 100%; }
.bar { display: flex; height: 12px; background: #d9d9d9; margin: 6px 0 4px; }
.warn { color: #a03c00; }
table { border-collapse: collapse; }
td { padding: 1px 12px 1px 0; vertical-align: top; overflow-wrap: anywhere; }
td:first-child { color: #666; white-space: nowrap; }
.key { display: inline-block; width: 12px; height: 12px; margin: 0 5px -1px 0; border: 1px solid #999;
       font: 11px/12px sans-serif; text-align: center; }
.item { margin-right: 16px; white-space: nowrap; display: inline-block; }
.copy { user-select: all; }
"""
LOST = (
    '<div class="warn">Connection lost SECONDS s ago: the scheduler does not answer; its run may have ended. This '
    "page shows what it reported last, and comes back by itself when the scheduler does.</div>"
)
"""SECONDS is put in by the browser."""
LONG_HINT = '<span class="dim">This computes the first of them where you are:</span>'
STATUS_HINT = '<span class="dim">All failures of the cube with their tracebacks:</span>'
NO_SWEEP = "<h2>No sweep yet</h2>A sweep appears here when <code>spinsweep run</code> starts it on this scheduler."
NO_STOP = (
    '<div class="dim">To stop: Ctrl-C in the terminal of the run, or <code>spinsweep bench safe BENCH.toml '
    "--stop-owner</code>. A dashboard whose address is secret (<code>--dashboard-token</code>) has a button here."
    "</div>"
)
LANE_HINT = '<div class="dim">A lane is the Dask worker that owns a bench.</div>'


class MapAxis:
    """An axis of a map; its bins hold ``chunk`` cells each, or a multiple."""

    def __init__(self, axis: AxisDescription, chunk: int) -> None:
        self.values = [value_text(v) for v in axis.values]
        self.title = with_unit(axis.long_name or axis.name, axis.unit)
        spans = [(block.start[0], block.stop[0]) for block in bins(len(self.values), chunk).blocks()]
        self.edges = np.array([0, *(stop for _, stop in spans)], float)
        """(bins + 1,) in cells from the beginning of the axis."""
        unit = SYMBOLS.get(axis.unit, axis.unit)
        self.labels = [f"{axis.name} {self._span(start, stop - 1)} {unit}".strip() for start, stop in spans]

    def _span(self, first: int, last: int) -> str:
        return self.values[first] if first == last else f"{self.values[first]} to {self.values[last]}"

    def ticks(self, max_ticks: int, max_characters: int) -> dict[float, str]:
        """Middles of evenly spread cells, and their values, which have ``max_characters`` together."""
        words = [shortened(v) for v in self.values]
        longest = max(map(len, words)) + 1
        count = min(max_ticks, max(1, max_characters // longest))
        step = -(-len(words) // count)
        return {i + 0.5: words[i] for i in range(0, len(words), step)}


def shortened(word: str) -> str:
    """A word as long as a label may be, without its middle."""
    half = MAX_LABEL_CHARACTERS // 2
    return word if len(word) <= MAX_LABEL_CHARACTERS else f"{word[:half]}…{word[-(half - 1) :]}"


def value_text(value: Any) -> str:
    """An axis value."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def with_unit(name: str, unit: str) -> str:
    """``bar width (µm)``."""
    symbol = SYMBOLS.get(unit, unit)
    return f"{name} ({symbol})" if symbol else name


def full(max_windows: int) -> str:
    """What a window shows that the scheduler does not serve."""
    return f"This scheduler already serves its maximum of {max_windows} windows. Close one and reload."


def legend(failed: str = "failed (share of cells)") -> str:
    """The colours of the block map; ``failed`` is what failures are called."""
    symbols = {BlockState.FAILED: "×"}
    names = {BlockState.PARTLY: "partly done", BlockState.FAILED: failed}
    return "".join(
        f'<span class="item"><span class="key" style="background:{COLOURS[s]}">{symbols.get(s, "")}</span>'
        f"{names.get(s, s.name.lower())}</span>"
        for s in LEGEND
    )


def unreadable(monitor: SweepMonitor) -> str:
    """One line for each message that the scheduler could not read."""
    return "".join(map(_warning, dict.fromkeys(f"Cannot show {line}" for line in monitor.unreadable.values())))


def header(run: WatchedRun, block_map: BlockMap, *, driver_lost: bool) -> str:
    """Title, bar and progress of a run."""
    about = run.description
    blocks = {s: int(block_map.counts[s].sum()) for s in (*BAR, BlockState.WAITING)}
    words = ", ".join(f"{number:,} {s.name.lower()}" for s, number in blocks.items() if number)
    return (
        f"<h2>{escape(about.title)}</h2>"
        f'<div class="dim">{escape(about.sweep)} · run {about.epoch} of {escape(about.path)}</div>'
        f"{bar(run, block_map)}{_progress(run)} · blocks: {words}"
        + "".join(map(_warning, run.problems(driver_lost=driver_lost)))
    )


def bar(run: WatchedRun, block_map: BlockMap) -> str:
    """The shares of the run's cells that are done, have failed and, as far as blocks tell, run."""
    report, cells = run.report, max(run.cells, 1)
    running = int(block_map.counts[BlockState.RUNNING].sum()) / report.blocks if report.blocks else 0.0
    done, failed = report.cells_done / cells, report.cells_failed / cells
    shares = (done, failed, min(running, max(0.0, 1 - done - failed)))
    parts = (
        f'<div style="width:{100 * share:.2f}%;background:{COLOURS[state]}"></div>'
        for state, share in zip(BAR, shares, strict=True)
    )
    return f'<div class="bar">{"".join(parts)}</div>'


def _progress(run: WatchedRun) -> str:
    report = run.report
    line = f"<b>{report.cells_ended:,} of {run.cells:,} cells</b> of this run"
    if report.round:
        line += f" · {escape(report.round)}"
    if report.cells_failed:
        line += f" · {report.cells_failed:,} failed"
    if report.rate:
        line += f" · {report.rate:.3g} cells/s"
    if run.ended:
        return f"{line} · ended after {duration(report.seconds)}"
    if (left := report.time_left) is not None:
        line += f" · {left_in_words(left)}"
    return line


def _warning(line: str) -> str:
    return f'<div class="warn">{escape(line)}</div>'


def run_label(run: WatchedRun) -> str:
    """A run among others."""
    about, began = run.description, time.strftime("%H:%M:%S", time.localtime(run.began))
    return f"{about.sweep}, {about.path.rpartition('/')[2]}, run {about.epoch}, {began}"


def caption(
    run: WatchedRun, block_map: BlockMap, output: OutputDescription | None, inner: str, answer: Answer | None
) -> str:
    """What the output map shows; ``inner`` is ``mean`` over the output's own dims, or ``last``."""
    if output is None:
        return '<span class="dim">Choose an output.</span>'
    if answer is None:
        return '<span class="dim">Reading the cube. No block is read yet.</span>'
    if answer.problem:
        return (
            f'<span class="warn">The scheduler cannot read the cube at {escape(run.description.path)}: '
            f"{escape(answer.problem)}</span>"
        )
    dims = escape(" and ".join(output.dims))
    of_dims = "" if not dims else f", at the last {dims}" if inner == "last" else f" and over {dims}"
    line = f"Mean over the done cells of each bin{of_dims}"
    return f'<span class="dim">{line}{_read_so_far(block_map, answer.read)}.</span>'


def curve_caption(block_map: BlockMap, answer: Answer | None) -> str:
    """What the curves are."""
    if answer is None or answer.curves is None:
        return "" if answer is not None and answer.problem else '<span class="dim">No block is read yet.</span>'
    line = escape(answer.curves.caption()) + _read_so_far(block_map, answer.read_for_curves)
    return f'<span class="dim">{line}.</span>'


def _read_so_far(block_map: BlockMap, read: int) -> str:
    ended = int(block_map.counts[[BlockState.DONE, BlockState.FAILED]].sum())
    return f"; {read:,} of the {ended:,} blocks that ended are read" if read < ended else ""


def failures(run: WatchedRun, block_map: BlockMap) -> str:
    """The heading of the failures."""
    if run.report.groups:
        return "<h3>Failures of this run by error</h3>"
    return f"<h3>{'Failures of earlier runs' if _has_failures(run, block_map) else 'No failures'}</h3>"


def failure_group(group: FailureGroup) -> str:
    """An error, and how many cells have it."""
    return f"<b>{group.cells:,} cell{'s' if group.cells > 1 else ''}</b> {escape(group.error)}"


def more_failures(run: WatchedRun) -> str:
    """How many errors are left out; empty if none is."""
    more = run.report.more_groups
    return f'<div class="dim">and {more:,} more errors</div>' if more else ""


def status_command(run: WatchedRun, block_map: BlockMap) -> str:
    """What lists the failures of the cube in a terminal; empty if there is none."""
    if not _has_failures(run, block_map):
        return ""
    count = max(10, run.report.cells_failed)
    return f"spinsweep status {shlex.quote(run.description.path)} --traceback --failures {count}"


def _has_failures(run: WatchedRun, block_map: BlockMap) -> bool:
    return bool(block_map.counts[BlockState.FAILED].any() or run.report.cells_failed)


def cell_command(run: WatchedRun, cell: Mapping[str, Any]) -> str:
    """What computes a cell again in a terminal."""
    return command_of_cell(run.description.path, cell)


def command(words: str) -> str:
    """A command; a click selects all of it."""
    return f'<code class="copy">{escape(words)}</code>'


def long_running(run: WatchedRun, *, driver_lost: bool) -> str:
    """Which cells have been computed for long, since when and where; empty if none."""
    blocks = [] if driver_lost else run.long_now()
    if not blocks:
        return ""
    rows = "".join(f"<tr>{''.join(f'<td>{escape(word)}</td>' for word in _long_row(b))}</tr>" for b in blocks)
    more = f'<div class="dim">and {run.report.more_long:,} more blocks</div>' if run.report.more_long else ""
    return f"<h3>Long-running cells, longest first</h3><table>{rows}</table>{more}"


def _long_row(block: LongBlock) -> tuple[str, str, str]:
    """Since when, cell, and worker."""
    cell = ", ".join(f"{name} {value_text(value)}" for name, value in block.cell.items())
    if block.cells > 1 and block.in_hand:
        cell += f" (of a block of {block.cells:,} cells, for {duration(block.seconds)})"
    elif block.cells > 1:
        cell = f"{block.cells:,} cells from {cell} on"
    silent = "" if block.answers else ", which does not answer (native code)"
    return duration(block.cell_seconds), cell, f"{block.worker}{silent}"


def lanes(monitor: SweepMonitor) -> str:
    """The benches: who owns them, what they measure, and which runs wait for them."""
    owners, queue, measured = monitor.lane_owners(), monitor.queue(), monitor.measured()
    cards = [
        _lane(lane, _owner(bench, owners), monitor, measured.get(f"lane-{bench}"))
        for bench, lane in monitor.lanes.items()
    ]
    reported = {_owner(bench, owners) for bench in monitor.lanes}
    cards += [_card([("owner", owner)]) for owner in owners if owner not in reported]
    if queue:
        cards.append(_card([("" if i else "queue", _to_go(run)) for i, run in enumerate(queue)]))
    if queue and not monitor.lane_workers():
        cards.append(_warning("no lane is connected: these runs wait for one"))
    return f"<h3>Instrument lane</h3>{LANE_HINT}{''.join(cards)}" if cards else ""


def _owner(bench: str, owners: Iterable[str]) -> str:
    """Which of the lanes that hold a lease owns a bench; empty if none does."""
    return next((owner for owner in owners if f"bench {bench}," in owner), "")


def _lane(lane: ReportedLane, owner: str, monitor: SweepMonitor, measured: WatchedRun | None) -> str:
    report = lane.report
    described = (run.description for run in monitor.runs.values())
    about = next((about for about in described if report.measures_for(about.cube_id)), None)
    experiment = f"{about.sweep if about else ''} {report.cell}".strip()
    idle = "none, the lane is idle" if owner else "none"
    rows = [("bench", report.bench), ("owner", owner or "none"), ("run", _to_go(measured) if measured else idle)]
    if measured and report.measures_for(measured.description.cube_id):
        rows += [("experiment", experiment), ("train", report.train)]
        rows += [(f"{name} so far", f"{value:.4g}") for name, value in report.figures.items()]
        rows += [("last reading", f"{quantity(r.y[-1], r.y_unit)}, {r.name}") for r in report.readings if r.y]
        if report.seconds_left is not None:
            rows += [("time left", f"{duration(report.seconds_left)} of this cell")]
    else:
        rows += [("last", f"{experiment}, train {report.train}")]
        rows += [(f"last {name}", f"{value:.4g}") for name, value in report.figures.items()]
    rows += [
        ("cycles", f"{report.cycles:,} since the lane started"),
        ("pulses", f"{report.pulses:,} in the devices' lifetimes"),
        ("most used", f"{report.worn}, {100 * report.wear:.2g} % of its limit"),
        ("last report", f"{duration(round(time.monotonic() - lane.last_seen))} ago"),
    ]
    return _card(rows)


def series_names(series: Sequence[Series]) -> str:
    """The title of a drawing."""
    return ", ".join(f"{s.name} ({'line' if s.line else 'points'})" for s in series)


def stop_question(bench: str) -> str:
    """What is asked once before a lane is stopped."""
    return (
        f"<b>Stop and make safe?</b> What is in hand at bench {escape(bench)}, one cycle of each device at most, is "
        "given up and may be lost, and the lane ends. What was measured is kept; only the command of the run goes on."
    )


def stop_outcome(text: str, *, is_safe: bool | None) -> str:
    """How far a stop is, or what came of it."""
    return _warning(text) if is_safe is False else f"<div><b>{escape(text)}</b></div>"


def _to_go(run: WatchedRun) -> str:
    return f"{run.description.sweep}, {run.cells_left:,} cells to go"


def _card(rows: Iterable[tuple[str, str]]) -> str:
    return "<table>" + "".join(f"<tr><td>{escape(n)}</td><td>{escape(v)}</td></tr>" for n, v in rows) + "</table>"
