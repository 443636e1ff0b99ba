"""The plan: sweeps that exist, settings that are allowed, and all figures of the paper."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from spinneurons.paper.plan import SWEEPS, PlannedSweep, gallery
from spinsweep.cli.options import requested
from spinsweep.discovery import figures

PAPER = (
    "1(d) 2(b) 2(c-k) 3(a) 3(b) 3(c) 3(d) 4(b) 4(c) 4(d, e) S1 S3(b) S4 S5 S6 S7 S8 S9 S11 S12 trade-off"
).replace("d, e", "d,e")


def test_every_figure_of_the_paper_is_drawn_and_no_file_is_written_twice() -> None:
    pictures = [picture for planned in SWEEPS for picture in planned.pictures]
    numbers = {picture.number.replace(" ", "") for picture in pictures}
    stems = [picture.stem for picture in pictures]
    assert set(PAPER.split()) <= numbers
    assert len(set(stems)) == len(stems)


@pytest.mark.parametrize("planned", SWEEPS, ids=lambda planned: planned.name)
def test_a_step_draws_what_its_sweep_can_draw(planned: PlannedSweep) -> None:
    assert {picture.stem for picture in planned.pictures} <= set(figures(planned.sweep(quick=False)))


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("planned", SWEEPS, ids=lambda planned: planned.name)
def test_the_command_that_is_printed_asks_for_the_sweep_that_was_run(planned: PlannedSweep, quick: bool) -> None:
    words = shlex.split(planned.command(Path("results/paper"), quick=quick))
    assert words[:3] == ["spinsweep", "run", planned.name]
    settings = [after for word, after in pairwise(words) if word == "--set"]
    typed, run = requested(planned.name, settings, None), planned.sweep(quick=quick)
    assert typed.digest == run.digest
    assert [axis.values for axis in typed.axes] == [axis.values for axis in run.axes]
    assert words[-1] == str(planned.store(Path("results/paper")))


def test_panels_of_a_figure_of_the_paper_have_its_letters() -> None:
    letters = {picture.stem: picture.letters for picture in gallery()}
    assert letters["fig2_switching"] == "(c)"
    assert letters["fig4de_confidence"] == "(d)"
    assert letters["s4_persistence"] == "(a)"
