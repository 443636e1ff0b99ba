"""The report: every claim in both formats, an HTML file that needs nothing else, and the table in the repository."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from spinneurons.paper import markdown, webpage
from spinneurons.paper.claim import Finding
from spinneurons.paper.claims import CLAIMS
from spinneurons.paper.plan import SWEEPS, gallery
from spinneurons.paper.report import Report, Row, number_text
from spinneurons.paper.texts import ASSUMPTIONS, CONVENTIONS

RESULTS = Path(__file__).parents[3] / "results/paper"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Balanced tags, what is loaded from elsewhere, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.loaded += [
            v or "" for k, v in attrs if k in ("src", "srcset", "data") or (tag == "link" and k == "href")
        ]
        self.ids |= {found["id"] or ""} if "id" in found else set()
        self.links |= {found["href"] or ""} if tag == "a" else set()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def report() -> Report:
    """Findings that no run made: of both signs, without interval, and with characters that HTML reserves."""
    found = (Finding(1.5, 1.25, 2.0, "a < b & `code`"), Finding(-3.0, -4.0, -2.0), Finding(math.nan))
    rows = tuple(Row(c, found[i % 3], ("spinsweep run x --set a='1<2'",)) for i, c in enumerate(CLAIMS))
    cube = {"digest": "0123456789abcdef", "root_seed": 0, "cells": 4, "seconds": 1.5, "network_sha256": "fedcba98"}
    source = {
        "made": "2024-01-01", "packages": {"numpy": "2"}, "python": "3.11", "system": "Linux", "cpus": 2,
        "commit": None, "uncommitted_changes": None, "cubes": {planned.name: cube for planned in SWEEPS},
    }  # fmt: skip
    return Report(True, rows, source)


@pytest.fixture
def figures(tmp_path: Path) -> Path:
    for picture in gallery():
        (tmp_path / f"{picture.stem}.png").write_bytes(PIXEL)
    return tmp_path


def test_the_page_holds_every_claim_assumption_convention_and_figure_and_loads_nothing(
    report: Report, figures: Path
) -> None:
    page = Page()
    page.feed(webpage.page(report, figures))
    assert page.open == []
    assert all(source.startswith("data:image/png;base64,") for source in page.loaded)
    assert len(page.loaded) == len(gallery())
    assert {link.removeprefix("#") for link in page.links} <= page.ids
    for row in report.rows:
        assert row.claim.statement in page.text
        assert row.ours in page.text
    assert "a < b & code" in page.text
    assert "spinsweep run x --set a='1<2'" in page.text
    assert all(name in page.text for name in ASSUMPTIONS)
    assert all(convention.where in page.text for convention in CONVENTIONS)


def test_the_markdown_has_one_row_a_claim_and_a_file_for_each_figure(report: Report) -> None:
    text = markdown.page(report)
    table = text.partition("|---|---|---|---|---|\n")[2].partition("\n\n")[0].splitlines()
    assert len(table) == len(CLAIMS)
    assert all(line.count(" | ") == 4 for line in table)
    assert all(f"**{row.verdict}**" in line for row, line in zip(report.rows, table, strict=True))
    reasons = [row.short_qualifier for row in report.rows]
    assert all(reason in line for reason, line in zip(reasons, table, strict=True))
    assert {"", "undecided, point estimate agrees", "the most it can be"} <= set(reasons)
    assert re.findall(r"\(figures/(\w+)\.png\)", text) == [picture.stem for picture in gallery()]
    assert report.summary.startswith(f"{len(CLAIMS)} claims: ")
    assert f"{report.multiplicity.judged} claims are judged by an interval of their own" in text
    assert "Network of `codesign`: weights with SHA-256 `fedcba98`." in text
    assert text.count("- Generic: ") == sum(bool(claim.generic) for claim in CLAIMS)


def test_figures_stand_in_the_order_of_the_paper() -> None:
    numbers = [picture.number for picture in gallery()]
    assert numbers[:5] == ["1(d)", "2(b)", "2(b)", "2(b)", "2(c-k)"]
    assert numbers.index("4(d, e)") < numbers.index("S1") < numbers.index("S9") < numbers.index("S11")
    assert numbers.index("S12") < numbers.index("trade-off")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Finding(97.2638, 97.2344, 97.2931), "97.264 (97.234 to 97.293)"),
        (Finding(3.17, -2.66, 9.01), "3 (−3 to 9)"),
        (Finding(5004.8, 4912.6, 5097.0), "5005 (4913 to 5097)"),
        (Finding(100.8, 100.8, 100.8), "100.8"),
        (Finding(0.5), "0.5"),
    ],
)
def test_a_number_has_the_digits_that_its_interval_allows(found: Finding, text: str) -> None:
    assert number_text(found) == text


def table() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((RESULTS / "claims.json").read_text())
    return found


def test_the_table_in_the_repository_is_that_of_these_claims_and_rules() -> None:
    assert [row["id"] for row in table()] == [claim.id for claim in CLAIMS]
    text = (RESULTS / "report.md").read_text()
    for claim, row in zip(CLAIMS, table(), strict=True):
        found = Finding(row["value"], row["low"], row["high"], row["note"])
        assert claim.verdict(found) == row["verdict"], claim.id
        assert claim.statement in text
        assert number_text(found) in text


def test_every_figure_of_the_report_in_the_repository_is_there_and_small() -> None:
    files = {picture.stem: RESULTS / "figures" / f"{picture.stem}.png" for picture in gallery()}
    assert all(file.exists() for file in files.values())
    assert sum(file.stat().st_size for file in files.values()) < 4_000_000
