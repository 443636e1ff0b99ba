"""The plan: sweeps that exist, settings that are allowed, and all figures of the paper."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from spinneurons.paper.plan import SWEEPS, PlannedSweep, gallery, store
from spinsweep.cli.options import requested
from spinsweep.discovery import figures, find
from spinsweep.executors.running import run

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
    assert {picture.stem for picture in planned.pictures} <= set(figures(find(planned.name)))


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("planned", SWEEPS, ids=lambda planned: planned.name)
def test_the_command_that_is_printed_asks_for_the_sweep_that_was_run(
    planned: PlannedSweep, quick: bool, tmp_path: Path
) -> None:
    for name in planned.inputs:
        few = find(name).with_values(width=(5.0, 1.0), currents=8, cycles=5, resamples=10)
        run(few, store(tmp_path, name), executor="serial")
    words = shlex.split(planned.command(tmp_path, quick=quick))
    assert words[:3] == ["spinsweep", "run", planned.name]
    settings = [after for word, after in pairwise(words) if word == "--set"]
    typed, ran = requested(planned.name, settings, None), planned.sweep(tmp_path, quick=quick)
    assert typed.digest == ran.digest
    assert [axis.values for axis in typed.axes] == [axis.values for axis in ran.axes]
    assert words[-1] == str(planned.store(tmp_path))


def test_an_input_is_the_cube_of_an_earlier_sweep_of_the_plan() -> None:
    names = [planned.name for planned in SWEEPS]
    resting = {planned.name: planned.inputs for planned in SWEEPS if planned.inputs}
    assert resting == {"measured-network": ("characterization",)}
    assert all(names.index(one) < names.index(name) for name, inputs in resting.items() for one in inputs)


def test_panels_of_a_figure_of_the_paper_have_its_letters() -> None:
    letters = {picture.stem: picture.letters for picture in gallery()}
    assert letters["fig2_switching"] == "(c)"
    assert letters["fig4de_confidence"] == "(d)"
    assert letters["s4_persistence"] == "(a)"
