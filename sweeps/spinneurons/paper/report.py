"""What a report says, whatever it is written in: sections of tables, texts and figures.

Texts have `code`, *emphasis* and **strong** marked as in Markdown.  ``markdown`` and ``webpage`` write them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spinneurons.paper.claim import Claim, Finding, Verdict
from spinneurons.paper.multiplicity import Multiplicity, multiplicity
from spinneurons.paper.plan import Picture, gallery
from spinneurons.paper.texts import ASSUMPTIONS, CONVENTIONS


@dataclass(frozen=True)
class Row:
    """A claim with our number."""

    claim: Claim
    finding: Finding
    commands: tuple[str, ...]
    """How to compute its cubes again."""

    @property
    def verdict(self) -> Verdict:
        """How the claim fares."""
        return self.claim.verdict(self.finding)

    @property
    def qualifier(self) -> str:
        """Why it is no more than consistent."""
        return self.claim.qualifier(self.finding)

    @property
    def short_qualifier(self) -> str:
        """The same for a table, without the reason; and whether the claim is a generic one."""
        texts = (self.qualifier.partition(":")[0], "generic" if self.claim.generic else "")
        return ", ".join(filter(None, texts))

    @property
    def ours(self) -> str:
        """Our number with its interval and unit."""
        return f"{number_text(self.finding)} {self.claim.unit}".strip()


@dataclass(frozen=True)
class Claims:
    """Every claim with its number and verdict; the details of each can be looked up."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Definitions:
    """Texts by name."""

    texts: dict[str, str]


@dataclass(frozen=True)
class Table:
    """Texts in rows."""

    head: tuple[str, ...]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Lines:
    """Texts one below the other."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Gallery:
    """Figures with their captions."""

    pictures: Sequence[Picture]


Content = Claims | Definitions | Table | Lines | Gallery


@dataclass(frozen=True)
class Section:
    """One headline with what is below it."""

    name: str
    """One word, for a table of contents."""
    title: str
    contents: tuple[Content, ...]


@dataclass(frozen=True)
class Report:
    """All that a report says."""

    quick: bool
    rows: tuple[Row, ...]
    source: dict[str, Any]
    """Provenance: packages, commit, machine, cubes."""

    @property
    def verdicts(self) -> dict[Verdict, int]:
        """How many claims have each verdict."""
        counts = Counter(row.verdict for row in self.rows)
        return {verdict: counts[verdict] for verdict in Verdict}

    @property
    def summary(self) -> str:
        """How many claims have each verdict, in words."""
        counts = ", ".join(f"{count} {verdict}" for verdict, count in self.verdicts.items())
        return f"{len(self.rows)} claims: {counts}."

    @property
    def multiplicity(self) -> Multiplicity:
        """What chance decides among so many claims."""
        return multiplicity([(row.claim, row.finding) for row in self.rows])

    @property
    def command(self) -> str:
        """What one types for the whole report."""
        return f"spinsweep paper --{'quick' if self.quick else 'full'}"

    def sections(self) -> tuple[Section, ...]:
        """What follows title, introduction and summary."""
        claims = Claims(("Where", "The paper says", "Paper", "Ours", "Verdict"), self.rows)
        conventions = Table(("Where", "The paper", "Chosen here"), CONVENTIONS)
        return (
            Section("Claims", "Claims", (claims,)),
            Section("Multiplicity", "All claims at once", (Lines((self.multiplicity.text,)),)),
            Section("Assumptions", "What the numbers rest on", (Definitions(ASSUMPTIONS),)),
            Section("Conventions", "Where the text contradicts itself or is silent", (conventions,)),
            Section("Figures", "Figures", (Gallery(gallery()),)),
            Section("Provenance", "Provenance", (self._origin(), self._cubes())),
        )

    def _origin(self) -> Lines:
        source = self.source
        changed = " with uncommitted changes" if source["uncommitted_changes"] else ""
        packages = ", ".join(f"{name} {version}" for name, version in source["packages"].items())
        return Lines(
            (
                f"Made {source['made']}, commit {source['commit'] or 'unknown'}{changed}.",
                f"Python {source['python']} on {source['system']}, {source['cpus']} cores; {packages}.",
                *(
                    f"Network of `{name}`: weights with SHA-256 `{c['network_sha256']}`."
                    for name, c in source["cubes"].items()
                    if "network_sha256" in c
                ),
            )
        )

    def _cubes(self) -> Table:
        rows = [
            (name, f"{c['cells']}", f"{c['seconds']}", f"{c['root_seed']}", f"`{c['digest'][:12]}`")
            for name, c in self.source["cubes"].items()
        ]
        return Table(("Cube", "Cells", "Seconds of one core", "Root seed", "Digest"), rows)


def number_text(finding: Finding) -> str:
    """A number and its interval with the digits that the interval allows, such as ``97.29 (97.27 to 97.31)``."""
    if not finding.low < finding.high:
        return f"{finding.value:.6g}"
    power = int(f"{finding.high - finding.low:e}".partition("e")[2])  # of ten, of the interval's first digit
    digits = max(0, 1 - power)
    value, low, high = (f"{v:.{digits}f}".replace("-", "−") for v in (finding.value, finding.low, finding.high))
    return f"{value} ({low} to {high})"


def numbered(number: str) -> str:
    """The name of a figure of the paper."""
    return {"beyond": "Beyond the paper.", "trade-off": "Trade-off."}.get(number, f"Fig. {number}.")
