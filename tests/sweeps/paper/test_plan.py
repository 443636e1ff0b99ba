"""The plan: sweeps that exist, settings that are allowed, and all figures of the paper."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from spinneurons.paper.plan import STEPS, Step
from spinsweep.cli.options import requested
from spinsweep.discovery import figures

PAPER = (
    "1(d) 2(b) 2(c-k) 3(a) 3(b) 3(c) 3(d) 4(b) 4(c) 4(d, e) S1 S3(b) S4 S5 S6 S7 S8 S9 S11 S12 trade-off"
).replace("d, e", "d,e")


def test_every_figure_of_the_paper_is_drawn_and_no_file_is_written_twice() -> None:
    pictures = [picture for step in STEPS for picture in step.pictures]
    numbers = {picture.number.replace(" ", "") for picture in pictures}
    stems = [picture.stem for picture in pictures]
    assert set(PAPER.split()) <= numbers
    assert len(set(stems)) == len(stems)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_step_draws_what_its_sweep_can_draw(step: Step) -> None:
    assert {picture.stem for picture in step.pictures} <= set(figures(step.sweep(quick=False)))


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_the_command_that_is_printed_asks_for_the_sweep_that_was_run(step: Step, quick: bool) -> None:
    words = shlex.split(step.command(Path("results/paper"), quick))
    assert words[:3] == ["spinsweep", "run", step.name]
    settings = [after for word, after in pairwise(words) if word == "--set"]
    typed, run = requested(step.name, settings, None), step.sweep(quick)
    assert typed.digest == run.digest
    assert [axis.values for axis in typed.axes] == [axis.values for axis in run.axes]
    assert words[-1] == str(step.store(Path("results/paper")))
