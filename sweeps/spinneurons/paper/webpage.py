"""The report as one HTML file that needs nothing beside it: style and figures are inside."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from spinneurons import style
from spinneurons.paper.claim import Verdict
from spinneurons.paper.plan import Picture
from spinneurons.paper.report import Claims, Content, Definitions, Gallery, Lines, Report, Row, Table, numbered
from spinneurons.paper.texts import INTRODUCTION, TITLE, packaged

_MARKS = {
    Verdict.REPRODUCED: ("✓", style.GREEN, "reproduced"),
    Verdict.CONSISTENT: ("≈", style.BLUE, "consistent"),
    Verdict.DIFFERS: ("≠", style.VERMILION, "differs"),
    Verdict.UNTESTABLE: ("–", style.GREY, "cannot be tested"),
}
DPI = 160
"""Resolution of the figures."""
_WIDE = 1.2 * style.COLUMN * DPI  # pixels from which a figure takes the whole page
_SCREEN = 144  # pixels to the inch in which figures are shown


def page(report: Report, figures: Path) -> str:
    """The file's text.

    Parameters
    ----------
    figures : folder with the PNG of every figure of the plan
    """
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{TITLE}</title><style>\n{packaged('report.css')}</style></head><body>",
            *_body(report, figures),
            "</body></html>\n",
        ]
    )


def _body(report: Report, figures: Path) -> Iterator[str]:
    yield f"<h1>{TITLE}</h1>"
    yield from (f"<p>{_inline(text)}</p>" for text in INTRODUCTION)
    yield f"<p>Made by <code>{report.command}</code>. {report.summary.partition(':')[0]}:</p>"
    counts = "".join(f"<div>{count} {_verdict(verdict)}</div>" for verdict, count in report.verdicts.items())
    yield f'<div class="counts">{counts}</div>'
    sections = report.sections()
    links = "".join(f'<a href="#{section.name.lower()}">{section.name}</a>' for section in sections)
    yield f"<nav>{links}</nav>"
    for section in sections:
        yield f'<h2 id="{section.name.lower()}">{section.title}</h2>'
        for content in section.contents:
            yield from _content(content, figures)


def _content(content: Content, figures: Path) -> Iterator[str]:
    match content:
        case Claims(head, rows):
            yield from _table(head, map(_cells, rows), "claims")
        case Definitions(texts):
            items = (f"<dt>{escape(name)}</dt><dd>{_inline(text)}</dd>" for name, text in texts.items())
            yield from ("<dl>", *items, "</dl>")
        case Table(head, rows):
            yield from _table(head, (map(_inline, row) for row in rows))
        case Lines(texts):
            yield from ("<ul>", *(f"<li>{_inline(text)}</li>" for text in texts), "</ul>")
        case Gallery(pictures):
            yield from ('<div class="figures">', *(_figure(picture, figures) for picture in pictures), "</div>")


def _cells(row: Row) -> tuple[str, ...]:
    claim = row.claim
    more = [claim.measure + ".", row.finding.note]
    more += [f"{str(row.verdict).capitalize()}, {row.qualifier}."] if row.qualifier else []
    more += [f"Generic: {claim.generic}."] if claim.generic else []
    more += [f"Rests on: {', '.join(claim.rests_on)}."] if claim.rests_on else []
    texts = "".join(f"<p>{_inline(text)}</p>" for text in more if text)
    commands = escape("\n".join(row.commands))
    details = f"<details><summary>{_inline(claim.statement)}</summary>{texts}<pre>{commands}</pre></details>"
    qualifier = f"<br><small>{escape(row.short_qualifier)}</small>" if row.short_qualifier else ""
    return (escape(claim.where), details, escape(claim.paper), escape(row.ours), _verdict(row.verdict) + qualifier)


def _verdict(verdict: Verdict) -> str:
    mark, colour, text = _MARKS[verdict]
    return f'<span class="verdict" style="background:{colour}" title="{verdict}">{mark} {text}</span>'


def _figure(picture: Picture, folder: Path) -> str:
    content = (folder / f"{picture.stem}.png").read_bytes()
    wide = int.from_bytes(content[16:20], "big")  # pixels across, from the header of a PNG
    look = ' class="wide"' if wide > _WIDE else ""
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    image = f'<img alt="{escape(picture.caption)}" width="{round(wide * _SCREEN / DPI)}" src="{source}">'
    return (
        f"<figure{look}>{image}<figcaption><b>{numbered(picture.number)}</b> {picture.caption}.</figcaption></figure>"
    )


def _table(head: Sequence[str], rows: Iterable[Iterable[str]], look: str = "") -> Iterator[str]:
    yield f'<table class="{look}"><thead><tr>{"".join(f"<th>{h}</th>" for h in head)}</tr></thead><tbody>'
    for row in rows:
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
    yield "</tbody></table>"


def _inline(text: str) -> str:
    """Plain text with `code` and *emphasis*, as HTML."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", marked)
