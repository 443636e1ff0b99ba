"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from spinneurons.paper.assumptions import ASSUMPTIONS
from spinneurons.paper.conventions import CONVENTIONS
from spinneurons.paper.plan import gallery

if TYPE_CHECKING:
    from spinneurons.paper.report import Report, Row

TITLE = "The paper's claims, checked"
INTRODUCTION = (
    "*Hardware in Loop Learning with Spin Stochastic Neurons* (Islam et al., Advanced Intelligent Systems 6(7), "
    "2024, DOI 10.1002/aisy.202300805) beside a run of every sweep of the paper. The devices are those of the "
    "default device card, not the authors': their curves are published as figures only. Claims are in our words. "
    "Intervals are 95 % unless it is said what they are. Bounds are ours where the paper gives none.",
    "*Reproduced*: the whole interval is within the claim's bounds, and the claim was not put into the model. "
    "*Consistent*: the interval does not contradict the claim and does not show it either. It reaches over a bound "
    "(*undecided*; *leans against* where our number itself is beyond it), or it shows what was put in (*at best*). "
    "*Differs*: the whole interval is beyond a bound. *Cannot be tested*: it is about the authors' own devices.",
)


def page(report: Report) -> str:
    """All of it."""
    return "\n".join(_lines(report)) + "\n"


def summary(report: Report) -> str:
    """How many claims have each verdict."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report.verdicts.items())
    return f"{len(report.rows)} claims: {counts}."


def command(report: Report) -> str:
    """What one types for the whole report."""
    return f"spinsweep paper --{'quick' if report.quick else 'full'}"


def _lines(report: Report) -> Iterator[str]:
    yield from (f"# {TITLE}", "")
    for paragraph in (*INTRODUCTION, f"Made by `{command(report)}`. {summary(report)}"):
        yield from (paragraph, "")
    head = ("Where", "The paper says", "Paper", "Ours", "Verdict")
    yield from _table(head, [_cells(row) for row in report.rows])
    yield from ("", "## Claim by claim", "")
    for row in report.rows:
        yield from _details(row)
    yield from ("", "## What the numbers rest on", "")
    yield from (f"- **{name}**: {text}" for name, text in ASSUMPTIONS.items())
    yield from ("", "## Where the text contradicts itself or is silent", "")
    yield from _table(("Where", "The paper", "Chosen here"), CONVENTIONS)
    yield from ("", "## Figures", "")
    for picture in gallery():
        yield from (f"**{numbered(picture.number)}** {picture.caption}.", "")
        yield from (f"![{picture.caption}](figures/{picture.stem}.png)", "")
    yield from ("## Provenance", "")
    yield from provenance_lines(report)
    cubes = report.source["cubes"]
    yield from ("", *_table(("Cube", "Cells", "Seconds of one core", "Root seed", "Digest"), _cube_rows(cubes)))


def provenance_lines(report: Report) -> Iterator[str]:
    """Commit, versions and machine, each in a line."""
    source = report.source
    changed = " with uncommitted changes" if source["uncommitted_changes"] else ""
    yield f"- Made {source['made']}, commit {source['commit'] or 'unknown'}{changed}."
    packages = ", ".join(f"{name} {version}" for name, version in source["packages"].items())
    yield f"- Python {source['python']} on {source['system']}, {source['cpus']} cores; {packages}."


def numbered(number: str) -> str:
    """The name of a figure of the paper."""
    return {"beyond": "Beyond the paper.", "trade-off": "Trade-off."}.get(number, f"Fig. {number}.")


def _cells(row: Row) -> tuple[str, ...]:
    claim = row.claim
    qualifier = f", {row.qualifier.partition(':')[0]}" if row.qualifier else ""
    return (claim.where, claim.statement, claim.paper, row.ours, f"**{row.verdict}**{qualifier}")


def _details(row: Row) -> Iterator[str]:
    claim = row.claim
    yield f"**{claim.where}: {claim.statement}**"
    yield ""
    qualifier = f", {row.qualifier}" if row.qualifier else ""
    yield f"- {claim.measure}: {row.ours}. *{str(row.verdict).capitalize()}{qualifier}.*"
    if row.found.note:
        yield f"- {row.found.note}"
    if claim.rests_on:
        yield f"- Rests on: {', '.join(claim.rests_on)}."
    yield from (f"- Again: `{command}`" for command in row.commands)
    yield ""


def _cube_rows(cubes: dict[str, dict[str, object]]) -> list[tuple[str, ...]]:
    return [
        (name, f"{c['cells']}", f"{c['seconds']}", f"{c['root_seed']}", f"`{str(c['digest'])[:12]}`")
        for name, c in cubes.items()
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
