"""What the Sweep page says: its words, numbers, labels and colours, as HTML. No bokeh in here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from spinsweep.dashboard.blockmap import BlockMap, BlockState, group
from spinsweep.dashboard.reader import Answer
from spinsweep.progress import duration

if TYPE_CHECKING:
    from spinsweep.dashboard.plugin import Lane, SweepPlugin, WatchedRun

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
SILENT = 10.0  # seconds without a report after which the page says so
LABEL = 14  # characters of a label at an axis, at most
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
.item { margin-right: 16px; }
"""
FULL = "As many windows are open as one scheduler serves; close one and load this page again."
LOST = (
    '<div class="warn">The scheduler does not answer, its run may have ended: what stands here is what it told last.'
    "</div>"
)
NOTHING = "<h2>No sweep yet</h2>It appears here when <code>spinsweep run</code> begins one on this scheduler."


class MapAxis:
    """An axis of a map.

    Parameters
    ----------
    axis : its name, values, unit and long_name
    chunk : cells of a block along it
    """

    def __init__(self, axis: Mapping[str, Any], chunk: int) -> None:
        self.values = [shown(v) for v in axis["values"]]
        self.title = with_unit(axis["long_name"] or axis["name"], axis["unit"])
        count = len(self.values)
        step = chunk * group(-(-count // chunk))
        self.edges = np.minimum(np.arange(0, count + step, step), count).astype(float)
        """(places + 1,) in cells from the beginning of the axis."""
        ends = zip(self.edges[:-1].astype(int), self.edges[1:].astype(int) - 1, strict=True)
        spans = [self.values[a] if a == b else f"{self.values[a]} to {self.values[b]}" for a, b in ends]
        unit = SYMBOLS.get(axis["unit"], axis["unit"])
        self.labels = [f"{axis['name']} {span} {unit}".strip() for span in spans]

    def ticks(self, most: int, room: int) -> dict[float, str]:
        """Middles of some cells, evenly spread, and their values, which take ``room`` characters at most together."""
        words = [shortened(v) for v in self.values]
        most = min(most, max(1, room // (max(map(len, words)) + 1)))
        step = -(-len(words) // most)
        return {i + 0.5: words[i] for i in range(0, len(words), step)}


def shortened(word: str) -> str:
    """A word as long as a label may be, without its middle."""
    return word if len(word) <= LABEL else f"{word[: LABEL // 2]}…{word[-(LABEL // 2 - 1) :]}"


def shown(value: Any) -> str:
    """An axis value."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def with_unit(name: str, unit: str) -> str:
    """``bar width (µm)``."""
    symbol = SYMBOLS.get(unit, unit)
    return f"{name} ({symbol})" if symbol else name


def legend() -> str:
    """The colours of the block map."""
    cross = {BlockState.FAILED: "×"}
    more = {BlockState.PARTLY: " done", BlockState.FAILED: ", one block at least"}
    return "".join(
        f'<span class="item"><span class="key" style="background:{COLOURS[s]}">{cross.get(s, "")}</span>'
        f"{s.name.lower()}{more.get(s, '')}</span>"
        for s in LEGEND
    )


def header(run: WatchedRun, block_map: BlockMap, driver_lost: bool) -> str:
    """Title, bar and progress of a run, whose driver may be gone."""
    about = run.description
    blocks = {s: int(block_map.counts[s].sum()) for s in BlockState}
    total = sum(blocks.values()) - blocks[BlockState.OUTSIDE]
    order = (BlockState.DONE, BlockState.FAILED, BlockState.RUNNING)
    bar = "".join(f'<div style="width:{100 * blocks[s] / total:.2f}%;background:{COLOURS[s]}"></div>' for s in order)
    words = ", ".join(f"{blocks[s]:,} {s.name.lower()}" for s in (*order, BlockState.WAITING) if blocks[s])
    return (
        f"<h2>{escape(about['title'])}</h2>"
        f'<div class="dim">{escape(about["sweep"])} · run {about["epoch"]} of {escape(about["path"])}</div>'
        f'<div class="bar">{bar}</div>{_progress(run)} · blocks: {words}{_warnings(run, driver_lost)}'
    )


def _progress(run: WatchedRun) -> str:
    report = run.report
    done, failed = report.get("cells_done", 0), report.get("cells_failed", 0)
    line = f"<b>{done + failed:,} of {run.description['cells']:,} cells</b> of this run"
    if failed:
        line += f" · {failed:,} failed"
    if report.get("rate"):
        line += f" · {report['rate']:.3g} cells/s"
    if run.ended:
        return f"{line} · ended after {duration(report['seconds'])}"
    if report.get("left") is not None:
        line += f" · {duration(report['left'])} left"
    return line


def _warnings(run: WatchedRun, driver_lost: bool) -> str:
    report = run.report
    silent = time.monotonic() - run.last_seen
    left = run.description["cells"] - report.get("cells_done", 0) - report.get("cells_failed", 0)
    warnings = []
    if run.ended and left > 0:
        warnings.append(f"{left:,} cells are left; the same command goes on")
    if driver_lost:
        warnings.append("the driver is gone; the same command goes on")
    elif not run.ended and silent > SILENT:
        warnings.append(f"no word from the driver for {duration(round(silent))}")
    if not run.ended and not driver_lost and report.get("waiting"):
        warnings.append(f"waiting for {report['waiting']}")
    if report.get("workers_lost") and not run.ended:
        warnings.append(f"{report['workers_lost']} workers lost, their blocks run again")
    if report.get("problem"):
        warnings.append(f"a block could not be kept: {report['problem']}")
    return "".join(f'<div class="warn">{escape(w)}</div>' for w in warnings)


def run_label(run: WatchedRun) -> str:
    """A run among others."""
    about, began = run.description, time.strftime("%H:%M:%S", time.localtime(run.began))
    return f"{about['sweep']}, {about['path'].rpartition('/')[2]}, run {about['epoch']}, {began}"


def caption(
    run: WatchedRun, block_map: BlockMap, output: Mapping[str, Any] | None, inner: str, answer: Answer | None
) -> str:
    """What the output map shows."""
    if output is None:
        return '<span class="dim">Choose an output.</span>'
    if answer is None:
        return '<span class="dim">reading the cube; no block is read yet</span>'
    if answer.problem:
        return (
            f'<span class="warn">The scheduler cannot read the cube at {escape(run.description["path"])}: '
            f"{escape(answer.problem)}</span>"
        )
    dims = escape(" and ".join(output["dims"]))
    of_inner = "" if not dims else f", at the last {dims}" if inner == "last" else f" and over {dims}"
    line = f"Mean over the done cells of each place{of_inner}"
    ended = int(block_map.counts[[BlockState.DONE, BlockState.FAILED]].sum())
    if answer.read < ended:
        line += f"; {answer.read:,} of the {ended:,} blocks that ended are read"
    return f'<span class="dim">{line}.</span>'


def failures(run: WatchedRun, block_map: BlockMap) -> str:
    """What stands above the table of failures."""
    if not block_map.counts[BlockState.FAILED].any() and not run.failures:
        return "<h3>Failures: none</h3>"
    path, many = escape(run.description["path"]), max(10, run.report.get("cells_failed", 0))
    return (
        "<h3>Failures of this run, the newest first</h3>"
        f'<span class="dim"><code>spinsweep status {path} --traceback --failures {many}</code> '
        "lists as many of the cube's, with tracebacks</span>"
    )


def lanes(watch: SweepPlugin) -> str:
    """The benches: their owners, what they do, and what waits for them."""
    owners, queue, measured = watch.owners(), watch.queue(), watch.measured()
    cards = [_lane(bench, lane, owners, watch, measured.get(f"lane-{bench}")) for bench, lane in watch.lanes.items()]
    sent = [f"bench {bench}," for bench in watch.lanes]
    cards += [_card([("owner", holder)]) for holder in owners if not any(name in holder for name in sent)]
    if queue:
        cards.append(_card([("queue" if i == 0 else "", _to_go(run)) for i, run in enumerate(queue)]))
    if queue and not watch.lane_workers():
        cards.append('<div class="warn">no lane: the work waits for one</div>')
    return "<h3>Instrument lane</h3>" + "".join(cards) if cards else ""


def _lane(bench: str, lane: Lane, owners: Iterable[str], watch: SweepPlugin, measured: WatchedRun | None) -> str:
    report = lane.report
    cube, _, cell = str(report["experiment"]).rpartition("/")
    about = next((r.description for r in watch.runs.values() if cube.startswith(r.description["cube_id"])), None)
    experiment = f"{about['sweep'] if about else ''} {cell}".strip()
    owner = next((holder for holder in owners if f"bench {bench}," in holder), "")
    idle = "none, the lane is idle" if owner else "none"
    rows = [("bench", bench), ("owner", owner or "none now"), ("run", _to_go(measured) if measured else idle)]
    if measured and cube.startswith(measured.description["cube_id"]):
        rows += [("experiment", experiment), ("train", report["train"])]
        rows += [(f"{name} so far", f"{value:.4g}") for name, value in report["figures"].items()]
    else:
        rows += [("last", f"{experiment}, train {report['train']}")]
        rows += [(f"last {name}", f"{value:.4g}") for name, value in report["figures"].items()]
    rows += [
        ("cycles", f"{report['cycles']:,} since the lane began"),
        ("pulses", f"{report['pulses']:,} in the devices' lives"),
        ("most used", f"{report['worn']}, {100 * report['wear']:.2g} % of its limit"),
        ("told", f"{duration(round(time.monotonic() - lane.last_seen))} ago"),
    ]
    return _card(rows)


def _to_go(run: WatchedRun) -> str:
    left = run.description["cells"] - run.report.get("cells_done", 0) - run.report.get("cells_failed", 0)
    return f"{run.description['sweep']}, {left:,} cells to go"


def _card(rows: list[tuple[str, str]]) -> str:
    return "<table>" + "".join(f"<tr><td>{escape(n)}</td><td>{escape(v)}</td></tr>" for n, v in rows) + "</table>"
