"""The words of a cube's page. No script, and nothing that is fetched: what it shows is inside."""

from __future__ import annotations

import datetime
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from spinsweep.dashboard.html import SYMBOLS, value_text
from spinsweep.failure_groups import cell_command
from spinsweep.ledger import State
from spinsweep.printable import cut, one_line
from spinsweep.private import without_secrets
from spinsweep.progress import duration
from spinsweep.provenance import RunRecord, changes_in_words
from spinsweep.saved_page.contents import PageContents, RunOfCube, Variable
from spinsweep.saved_page.curves import PageFigure
from spinsweep.saved_page.file import mark
from spinsweep.saved_page.kept_rates import attributes
from spinsweep.saved_page.maps import STACK, framed, rate_plot, state_map

MAX_GROUPS = 12
"""Errors on a page."""
MAX_RUNS = 30
"""Runs on a page, the newest."""
MAX_TEXT = 300
"""Characters of a text from the cube."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser lets the page do: whatever a text of the cube says, nothing is run or fetched."""
NAMES = {State.INCOMPLETE: "incomplete: an output is missing", State.ABSENT: "absent: not computed yet",
         State.STALE: "stale: of an earlier definition or code", State.UNWANTED: "not wanted"}  # fmt: skip


def page(contents: PageContents, pictures: Sequence[PageFigure], figures: Sequence[str], version: str) -> str:
    """The file's text.

    Parameters
    ----------
    figures : files of figures that are there, as paths from the folder of the page
    version : of spinsweep
    """
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"{mark(contents.store)}"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{_text(contents.title or contents.sweep)}</title><style>\n{style}</style></head><body><main>"
    )
    body = [
        *_top(contents),
        '<div class="pictures">',
        *_map(contents),
        *_curves(pictures),
        "</div>",
        *_failures(contents),
        *_runs(contents),
        *_comparison(contents),
        *_provenance(contents),
        *_definition(contents),
        *_further(contents, figures),
    ]
    made = f"spinsweep {version} wrote this page at {_moment(contents.made_at)}."
    return "\n".join([head, *body, f"<footer>{escape(made)}</footer></main></body></html>\n"])


def _top(contents: PageContents) -> Iterator[str]:
    counts, store = contents.counts, contents.store
    yield f"<header><h1>{_text(contents.title or contents.sweep)}</h1>"
    origin = f" · {_text(contents.origin)}" if contents.origin else ""
    where = f"{_text(contents.sweep)} · {_text(store, 1000)}{origin}"
    yield f'<p class="dim">{where} · as of {_moment(contents.made_at)}</p>'
    yield f'<p class="number"><b>{counts.done:,}</b> of {counts.total:,} cells done</p>'
    total = max(counts.total, 1)
    states = [(state, vars(counts)[state.name.lower()]) for state in reversed(STACK)]
    parts = "".join(f'<i class="{s.name.lower()}" style="flex-grow:{n / total:.6f}"></i>' for s, n in states if n)
    yield f'<div class="bar">{parts}</div><p class="legend">'
    for state, number in [*states, (State.UNWANTED, counts.unwanted)]:
        if number:
            words = f"{number:,} {escape(NAMES.get(state, state.name.lower()))}"
            if state == State.FAILED:
                words = f'<a href="#failures">{words}</a>'
            yield f'<span><i class="key {state.name.lower()}"></i>{words}</span>'
    yield "</p>"
    yield from (f'<p class="warn">{line}</p>' for line in _warnings(contents))
    yield "</header>"


def _warnings(contents: PageContents) -> Iterator[str]:
    last = contents.runs[-1].record if contents.runs else None
    if contents.has_driver:
        yield f"Run {contents.runs[-1].epoch} goes on: this is the cube as it was then."
    elif last is not None and last.outcome == "running":
        yield "The driver of the last run is gone: run the same command again to continue."
    if contents.damaged_blocks:
        yield (
            f"The states of {_count(contents.damaged_blocks, 'block')} are damaged; their cells count as absent. "
            f"{_code(f'spinsweep verify {shlex.quote(contents.store)}')} tells more."
        )
    for axis in (axis for axis in contents.axes if axis.values is None):
        yield f"The axis {_text(axis.name)} and its copy are damaged."
    if unread := sum(run.record is None for run in contents.runs):
        yield f"The record of {_count(unread, 'run')} cannot be read."


def _map(contents: PageContents) -> Iterator[str]:
    if not contents.states.size:
        return
    drawn = state_map(contents.states, contents.axes)
    yield f"<section><h2>Cells by state</h2>{framed(drawn)}"
    held = [f"{axis.name} ({len(axis.values or ())})" for axis in drawn.further]
    words = [f"Each bin holds all cells along {' and '.join(held)}"] if held else []
    if max(drawn.bin_cells) > 1:
        words.append(f"a bin is {drawn.bin_cells[1]} × {drawn.bin_cells[0]} values wide and high")
    if contents.counts.failed:
        words.append("the height of its colours is the share of each state, at least a seventh for failures")
    if words:
        yield f'<p class="dim">{_text("; ".join(words), 1000)}.</p>'
    yield "</section>"


def _curves(pictures: Sequence[PageFigure]) -> Iterator[str]:
    for picture in (p for p in pictures if p.source):
        alt = _text(picture.caption, 2000)
        image = f'<div class="sheet"><img alt="{alt}" src="{picture.source}"></div>'
        look = ' class="wide"' if picture.is_wide else ""
        yield f"<section{look}><h2>{_text(picture.name)}</h2><figure>{image}<figcaption>{_inline(picture.caption)}"
        yield "</figcaption></figure></section>"
    missing = [f"<li>{_text(p.name, 1000)}: {_text(p.caption, 1000)}</li>" for p in pictures if not p.source]
    if missing:
        yield f'<section><h2>Outputs without a figure here</h2><ul class="dim">{"".join(missing)}</ul></section>'


def _failures(contents: PageContents) -> Iterator[str]:
    groups, unread = contents.failures.groups, contents.failures.unread
    if not groups and not unread:
        yield "<section><h2>No failures</h2></section>"
        return
    total = sum(group.cells for group in groups) + unread
    words = f"{_count(total, 'cell')} failed, with {_count(len(groups), 'error')}"
    yield f'<section id="failures"><h2>Failures by error</h2><p>{words}.</p>'
    rows = []
    for group in groups[:MAX_GROUPS]:
        command = _code(cell_command(contents.store, group.first)) if group.first else ""
        rows.append((f"{group.cells:,}", f"<b>{_text(group.error)}</b>", command))
    yield _table(("cells", "error", "what computes the first of them again"), rows)
    more = groups[MAX_GROUPS:]
    if more:
        cells = sum(group.cells for group in more)
        yield f"<p>And {_count(len(more), 'more error')}, of {_count(cells, 'cell')}.</p>"
    if unread:
        yield f"<p>The errors of {_count(unread, 'more cell')} were not read: there are too many different ones.</p>"
    command = f"spinsweep status {shlex.quote(contents.store)} --traceback --failures {min(total, 1000)}"
    yield f"<p>{_code(command)} lists them with tracebacks.</p></section>"


def _runs(contents: PageContents) -> Iterator[str]:
    runs = contents.runs
    yield f"<section><h2>Runs</h2><p>{_count(len(runs), 'run')}; the cells took {duration(contents.cell_seconds)} "
    yield f"together.{_until(contents.until)}</p>"
    if len(contents.rates) > 2:
        last, best = contents.rates[-1], max(rate for _, rate in contents.rates)
        yield f"<h3>Rate of run {runs[-1].epoch}</h3><div {attributes(contents.last_run, contents.rates)}>"
        yield f"{rate_plot(contents.rates)}</div>"
        words = (
            f"Cells a second of the last minutes at each moment of {duration(last[0])}; the highest is {_rate(best)}"
        )
        yield f'<p class="dim">{words}.</p>'
    shown = runs[::-1][:MAX_RUNS]
    best = max((run.record.rate or 0.0 for run in shown if run.record), default=0.0)
    head = ("run", "began", "took", "cells", "cells/s", "machine", "outcome")
    if shown:
        yield _table(head, [_run_row(run, best, has_driver=contents.has_driver and run is runs[-1]) for run in shown])
        yield '<p class="dim">A rate is over all of a run, with the time in which it waited for workers.</p>'
    if len(runs) > MAX_RUNS:
        yield f"<p>And {_count(len(runs) - MAX_RUNS, 'earlier run')}.</p>"
    yield "</section>"


def _run_row(run: RunOfCube, best: float, *, has_driver: bool) -> tuple[str, ...]:
    record = run.record
    if record is None:
        return (f"{run.epoch}", "", "", "", "", "", "its record cannot be read")
    rate = ""
    if record.rate is not None and best:
        rate = f'<span class="rate"><i style="width:{100 * record.rate / best:.1f}%"></i></span>{_rate(record.rate)}'
    outcome = record.outcome
    if outcome == "running" and not has_driver:
        outcome = "its driver ended without a word"
    if record.workers_lost:
        outcome += f", {_count(record.workers_lost, 'worker')} lost"
    took = "" if record.seconds is None else duration(record.seconds)
    cells = "" if record.cells is None else f"{record.cells:,}"
    return (f"{run.epoch}", _moment(record.start), took, cells, rate, _text(record.machine.host), _text(outcome))


def _comparison(contents: PageContents) -> Iterator[str]:
    """The last run beside the one before it that computed anything."""
    last, before = contents.runs[-1] if contents.runs else None, contents.before
    if last is None or last.record is None or before is None or before.record is None:
        return
    columns = [_facts_of(run) for run in (last, before)]
    rows = [(name, columns[0][name], columns[1][name]) for name in columns[0]]
    yield f"<section><h2>The last run, compared</h2>{_table(('', f'run {last.epoch}', f'run {before.epoch}'), rows)}"
    changes = changes_in_words(last.record.changes_since(before.record))
    if changes:
        yield f"<p>What differs, from run {before.epoch} to run {last.epoch}: {_text(changes, 2000)}.</p>"
    else:
        yield "<p>Code, packages, processor and machine are the same.</p>"
    yield "</section>"


def _facts_of(run: RunOfCube) -> dict[str, str]:
    record = run.record
    assert record is not None
    workers = sum(run.workers.values())
    unknown = "not known"
    return {
        "began": _moment(record.start),
        "took": unknown if record.seconds is None else duration(record.seconds),
        "cells": unknown if record.cells is None else f"{record.cells:,}",
        "cells/s": unknown if record.rate is None else f"{_rate(record.rate)}",
        "workers": unknown if record.workers is None else f"{workers:,}",
        "workers lost": unknown if record.workers_lost is None else f"{record.workers_lost:,}",
        "outcome": _text(record.outcome),
    }


def _provenance(contents: PageContents) -> Iterator[str]:
    last = contents.runs[-1] if contents.runs else None
    if last is None or last.record is None:
        return
    record = last.record
    rows = [
        ("command", _code(shown_command(record.command))),
        ("code", _text(_code_of(record))),
        ("machine", _text(f"{record.machine.host}, {record.machine.system}, {record.machine.cpus} processors")),
        ("processor", _text(record.processor)),
        ("Python", _text(record.python)),
        ("packages", _text(", ".join(f"{name} {version}" for name, version in record.packages.items()), 2000)),
    ]
    workers = [
        f"{_count(number, 'worker')} on {_text(host)}: Python {_text(python)}, {_text(processor)}"
        for (host, python, processor), number in last.workers.most_common(MAX_GROUPS)
    ]
    if more := len(last.workers) - MAX_GROUPS:
        workers += [f"and workers of {more} other machines or kinds"] if more > 0 else []
    rows.append(("workers", "<br>".join(workers) or "not known"))
    yield f"<section><h2>What computed run {last.epoch}</h2>{_list(rows)}</section>"


def _code_of(record: RunRecord) -> str:
    commit = f", commit {record.code.git_commit}" if record.code.git_commit else ""
    dirty = " with changes" if record.code.git_dirty else ""
    identity = f", digest {record.code.identity[:12]}" if record.code.identity else ""
    return f"{record.code.function}{commit}{dirty}{identity}"


def shown_command(command: str) -> str:
    """A command line without what lets others in, which cubes of earlier versions hold."""
    try:
        return shlex.join(without_secrets(shlex.split(command)))
    except ValueError:  # damaged
        return command


def _definition(contents: PageContents) -> Iterator[str]:
    yield "<section><h2>The sweep</h2>"
    axes = [
        (_text(a.name), _text(a.long_name), _text(_unit(a)), _length(a), _text(_values(a), 400))
        for a in contents.axes
    ]
    yield _table(("axis", "", "unit", "values", "from, to"), axes)
    outputs = [
        (_text(o.name), _text(o.long_name), _text(_unit(o)), _text(" × ".join(o.dims)), _text(o.dtype))
        for o in contents.outputs
    ]
    yield _table(("output", "", "unit", "dimensions", "type"), outputs)
    rows = [(name, str(value)) for name, value in contents.parameters.items()]
    rows += [("root seed", str(contents.root_seed)), ("digest of the definition", contents.digest)]
    rows += [("cube made", _moment(contents.created))] if contents.created else []
    yield f"{_list((_text(name), _text(value)) for name, value in rows)}</section>"


def _unit(variable: Variable) -> str:
    return SYMBOLS.get(variable.unit, variable.unit)


def _length(axis: Variable) -> str:
    return "damaged" if axis.values is None else f"{len(axis.values):,}"


def _values(axis: Variable) -> str:
    """All values where they are few; else the first and the last."""
    words = [value_text(v) for v in axis.values or ()]
    return ", ".join(words) if len(words) <= 8 else f"{', '.join(words[:3])}, ..., {words[-1]}"


def _until(until: Any) -> str:
    """The rounds of replicates, in words; empty: there were none."""
    try:
        least, median, most = until["replicates"]
        words = f"{until['conditions']}: {until['met']} of {until['sets']} sets met after round {until['round']}, "
        words += f"{least} / {median:g} / {most} values of {until['axis']} (min / median / max)"
    except (KeyError, TypeError, ValueError):
        return ""
    return f" Replicates until {_text(words)}."


def _further(contents: PageContents, figures: Sequence[str]) -> Iterator[str]:
    store = shlex.quote(contents.store)
    yield "<section><h2>Figures and numbers</h2>"
    by_stem: dict[str, list[str]] = {}
    for file in figures:
        by_stem.setdefault(file.rpartition(".")[0], []).append(file)
    if by_stem:
        links = [
            f"<li>{_text(stem.rpartition('/')[2])}: "
            + ", ".join(f'<a href="{escape(quote(f))}">{_text(f.rpartition(".")[2].upper())}</a>' for f in files)
            + "</li>"
            for stem, files in by_stem.items()
        ]
        yield f"<ul>{''.join(links)}</ul>"
    else:
        yield "<p>No figures are drawn beside this page yet.</p>"
    opening = f"import spinsweep; print(spinsweep.open_cube({contents.store!r}))"
    rows = [
        (f"spinsweep figures {store}", "draws the figures"),
        (f"spinsweep status {store}", "says what the cube holds now"),
        (f"spinsweep page {store}", "writes this page again"),
        (f"python -c {shlex.quote(opening)}", "opens it with xarray"),
    ]
    yield f"{_list((escape(what), _code(command)) for command, what in rows)}</section>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML; on a phone each row is a card, and each cell has its heading before it."""
    heads = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join(
        "<tr>" + "".join(f'<td data-head="{escape(h)}">{c}</td>' for h, c in zip(head, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _list(rows: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows) + "</dl>"


def _text(text: str, most: int = MAX_TEXT) -> str:
    """Text from the cube as HTML: on one line, cut where it is long, without marks that turn its direction."""
    return escape(one_line(cut(str(text), 10 * most), most))


def _code(command: str) -> str:
    return f"<code>{_text(command, 1000)}</code>"


def _inline(markdown: str) -> str:
    """Text with `code`."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(markdown, 2000))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def _moment(text: str) -> str:
    """A time of a record, to the minute; what is no time, as it is."""
    try:
        moment = datetime.datetime.fromisoformat(text).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return _text(text)
    return f"{moment:%Y-%m-%d %H:%M} UTC"
