"""Runs on a bench that cannot begin: one line, status 2, and nothing is written or fired."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from test_lane import SMALL, ended, start
from test_lane import _nothing_left_behind as _nothing_left_behind
from test_lane import _own_places as _own_places
from test_watchdog import emulated

from spinsweep.cli import main

pytestmark = pytest.mark.faults

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def spinsweep(capfd: pytest.CaptureFixture[str]) -> Command:
    """``spinsweep ...`` to its end: exit status, and all that it said.

    In this process; in one of its own with workers, which make another process the bench's owner.
    """

    def ran(*words: object) -> tuple[int, str]:
        if "--workers" in words and words[words.index("--workers") + 1] != 0:
            return ended(start(*words))
        capfd.readouterr()
        return main([str(word) for word in words]), "".join(capfd.readouterr())

    return ran


def measuring(bench: Path, store: Path, workers: int) -> list[object]:
    """A small characterization's words."""
    words = ["run", "characterization", "--on", bench, "--store", store, "--no-dashboard", *SMALL]
    return [*words, "--workers", workers]


def complaint(said: str) -> str:
    """The last line that was said, and no traceback above it."""
    assert "Traceback" not in said, said
    return said.splitlines()[-1]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_on_a_bench_that_does_not_answer_leaves_no_cube_and_a_complete_cube_needs_no_bench(
    tmp_path: Path, spinsweep: Command, workers: int
) -> None:
    store = tmp_path / "measured.zarr"
    with emulated(tmp_path) as (bench, control):
        control.set("refuse", "source")
        status, said = spinsweep(*measuring(bench, store, workers))
        assert status == 2
        assert "6221 at" in complaint(said)
        assert "tried for 3 s" in complaint(said)
        assert not store.exists()
        control.clear()
        status, said = spinsweep(*measuring(bench, store, 0))
        assert status == 0, said
        before = control.state()["connections"]
        status, said = spinsweep(*measuring(bench, store, workers))
        assert status == 0, said
        assert "nothing to compute" in said
        assert control.state()["connections"] == before


def test_devices_that_fill_no_grid_are_refused_before_anything_is_written(tmp_path: Path, spinsweep: Command) -> None:
    with emulated(tmp_path) as (bench, control):
        bench.write_text(bench.read_text().replace("{width = 0.5, device = 1}", "{width = 0.3, device = 1}"))
        for workers in (0, 2):
            status, said = spinsweep(*measuring(bench, tmp_path / "measured.zarr", workers))
            assert status == 2
            assert "bench emulated has no device with labels width=0.5, device=1" in complaint(said)
        assert not (tmp_path / "measured.zarr").exists()
        assert set(control.state()["connections"].values()) == {0}
        words = ["run", "characterization", "--on", bench, "--store", tmp_path / "measured.zarr", "--workers", 0]
        words += ["--set", "width=0.3", "--set", "device=1", "--set", "cycles=15", "--set", "currents=10"]
        status, said = spinsweep(*words)
        assert status == 0, said


@pytest.mark.parametrize("words", [["run", "characterization", "--on"], ["bench", "plan", "characterization"]])
def test_pulses_that_cannot_be_read_are_one_line(tmp_path: Path, spinsweep: Command, words: list[str]) -> None:
    with emulated(tmp_path) as (bench, control):
        state = tmp_path / "state" / "emulated"
        state.mkdir(parents=True)
        (state / "pulses.json").write_text('{"bar0": 12')
        more = ["--store", tmp_path / "measured.zarr"] if words[0] == "run" else []
        status, said = spinsweep(*words, bench, *more)
        assert status == 2
        assert f"{state / 'pulses.json'} is damaged" in complaint(said)
        assert not (tmp_path / "measured.zarr").exists()
        assert set(control.state()["connections"].values()) == {0}
