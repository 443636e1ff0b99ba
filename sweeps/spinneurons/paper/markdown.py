"""The report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from spinneurons.paper.report import Claims, Content, Definitions, Gallery, Lines, Report, Row, Table, numbered
from spinneurons.paper.texts import INTRODUCTION, TITLE


def page(report: Report) -> str:
    """All of it."""
    return re.sub("\n{3,}", "\n\n", "\n".join(_lines(report))).rstrip("\n") + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield from (f"# {TITLE}", "")
    for paragraph in (*INTRODUCTION, f"Made by `{report.command}`. {report.summary}"):
        yield from (paragraph, "")
    for section in report.sections():
        yield from (f"## {section.title}", "")
        for content in section.contents:
            yield from (*_content(content), "")


def _content(content: Content) -> Iterator[str]:
    match content:
        case Claims(head, rows):
            yield from lines_of_table(head, [_cells(row) for row in rows])
            yield from ("", "### Claim by claim", "")
            for row in rows:
                yield from _details(row)
        case Definitions(texts):
            yield from (f"- **{name}**: {text}" for name, text in texts.items())
        case Table(head, rows):
            yield from lines_of_table(head, rows)
        case Lines(texts):
            yield from (f"- {text}" for text in texts)
        case Gallery(pictures):
            for picture in pictures:
                yield from (f"**{numbered(picture.number)}** {picture.caption}.", "")
                yield from (f"![{picture.caption}](figures/{picture.stem}.png)", "")


def _cells(row: Row) -> tuple[str, ...]:
    claim = row.claim
    qualifier = f", {row.short_qualifier}" if row.short_qualifier else ""
    return (claim.where, claim.statement, claim.paper, row.ours, f"**{row.verdict}**{qualifier}")


def _details(row: Row) -> Iterator[str]:
    claim = row.claim
    yield from (f"**{claim.where}: {claim.statement}**", "")
    qualifier = f", {row.qualifier}" if row.qualifier else ""
    yield f"- {claim.measure}: {row.ours}. *{str(row.verdict).capitalize()}{qualifier}.*"
    if row.finding.note:
        yield f"- {row.finding.note}"
    if claim.generic:
        yield f"- Generic: {claim.generic}."
    if claim.rests_on:
        yield f"- Rests on: {', '.join(claim.rests_on)}."
    yield from (f"- Again: `{command}`" for command in row.commands)
    yield ""


def lines_of_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table of texts, line by line."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
