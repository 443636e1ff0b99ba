"""Replicates in rounds: only where an interval is too wide, found from the values alone, whoever computes them."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from noisy_cells import SWEEP

import spinsweep
from spinsweep import Axis, Cells, Output, SpecError, State, Sweep, Until
from spinsweep.analysis.looks import Looks, half_width, moments
from spinsweep.cli import main
from spinsweep.cube import Cube

UNTIL = "y: half_width < 0.3"
SWEEP_FILE = """
import os, time

from spinsweep import Axis, Output, Sweep, per_cell


@per_cell
def cell(cell):
    while "HOLD" in os.environ and cell["seed"] >= 14:  # in the second round, if there is one
        time.sleep(0.02)
    return {"y": cell.rng().normal(1.0, cell["spread"])}


SWEEP = Sweep(
    "noisy", "Noise of several widths",
    (Axis("spread", (0.1, 0.6, 1.2)), Axis("seed", tuple(range(10)))), (Output("y", unit="V"),), cell,
)
"""


def replicates(store: Path) -> Any:
    """(kind, spread) cells that are done."""
    return (xr.open_zarr(store).cell_state == State.DONE).sum("seed").transpose("kind", "spread").values


def run(store: Path, sweep: Sweep = SWEEP, until: Any = UNTIL, most: Any = 60, **options: Any) -> Any:
    return spinsweep.run(sweep, store, until=until, max=most, progress=False, **{"block": 20, **options})


def test_only_sets_whose_interval_is_too_wide_get_more_and_the_others_stay_unwanted(tmp_path: Path) -> None:
    result = run(tmp_path / "c.zarr")
    sets = result.sets

    assert result.complete
    assert (replicates(tmp_path / "c.zarr") == sets.replicates.transpose("kind", "spread").values).all()
    assert (sets.replicates.sel(spread=0.1) == 10).all(), "the first round is enough"
    assert (sets.replicates.sel(spread=1.2) > sets.replicates.sel(spread=0.6)).all()
    assert (sets.is_met == (sets.y_half_width < 0.3)).all()
    assert sets.is_met.sel(spread=0.1).all()
    assert (sets.replicates.where(~sets.is_met, 60) == 60).all(), "what is not met has all that it may have"
    states = xr.open_zarr(tmp_path / "c.zarr").cell_state
    assert set(np.unique(states)) == {State.DONE, State.UNWANTED}
    assert states.sizes["seed"] == 60
    assert result.counts.total == int(sets.replicates.sum())


def test_values_are_those_of_the_full_grid_bit_for_bit(tmp_path: Path) -> None:
    run(tmp_path / "c.zarr")
    full = spinsweep.run(
        SWEEP.with_values(seed=range(60)), tmp_path / "full.zarr", progress=False, block=60
    ).dataset.load()
    rounds = spinsweep.open_cube(tmp_path / "c.zarr").load()
    done = rounds.cell_state == State.DONE

    assert 0 < int(done.sum()) < done.size
    for name in ("y", "hit", "n", "loss"):
        xr.testing.assert_equal(rounds[name].where(done), full[name].where(done))


def test_the_chosen_cells_do_not_depend_on_executor_blocks_or_workers(tmp_path: Path, client: Client) -> None:
    ways: dict[str, dict[str, Any]] = {
        "serial": {"block": 3},
        "processes": {"executor": "processes", "workers": 2, "block": 7},
        "dask": {"client": client, "block": {"seed": 16, "spread": 3}},
    }
    cubes = []
    for name, options in ways.items():
        run(tmp_path / f"{name}.zarr", **options)
        cubes.append(spinsweep.open_cube(tmp_path / f"{name}.zarr").load())
    for other in cubes[1:]:
        assert (other.cell_state == cubes[0].cell_state).all()
        xr.testing.assert_equal(other.y, cubes[0].y)


@given(done=st.lists(st.booleans(), min_size=6 * 40, max_size=6 * 40))
@settings(max_examples=3, deadline=None)
def test_cells_that_were_there_before_change_nothing_that_is_chosen(
    tmp_path_factory: pytest.TempPathFactory, done: list[bool]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    some = np.array(done).reshape(2, 40, 3)
    some[0, 0, 0] = True
    before = dataclasses.replace(
        SWEEP.with_values(seed=range(40)),
        wanted=lambda c: bool(some["ab".index(c["kind"]), c["seed"], (0.1, 0.6, 1.2).index(c["spread"])]),
    )
    spinsweep.run(before, folder / "c.zarr", progress=False, block=60)
    after, alone = run(folder / "c.zarr", most=40), run(folder / "alone.zarr", most=40)

    xr.testing.assert_identical(after.sets, alone.sets)


def by_hand(values: Any, limit: float, looks: Looks) -> int:
    """Replicates that one set gets, by the rule as the documentation has it."""
    place = 0
    while True:
        count = looks.counts[place]
        mean, spread, n = moments(values[None, :count], is_share=False)

        def half(later: int) -> float:
            number = np.round(n * looks.counts[later] / count).astype(int)  # noqa: B023
            return float(half_width(mean, spread, number, looks.levels[later], is_share=False)[0])  # noqa: B023

        if half(place) < limit or place == len(looks.counts) - 1:
            return count
        candidates = [k for k in range(place + 1, len(looks.counts)) if looks.counts[k] <= 2 * count] or [place + 1]
        place = next((k for k in candidates if half(k) < limit), candidates[-1])


def test_each_set_follows_the_rule_from_its_own_first_values(tmp_path: Path) -> None:
    sets = run(tmp_path / "c.zarr").sets
    full = spinsweep.run(
        SWEEP.with_values(seed=range(60)), tmp_path / "full.zarr", progress=False, block=60
    ).dataset.load()
    looks = Looks.plan(10, 60)

    for kind in ("a", "b"):
        for spread in (0.1, 0.6, 1.2):
            at = {"kind": kind, "spread": spread}
            assert int(sets.replicates.sel(at)) == by_hand(full.y.sel(at).values, 0.3, looks), at


def test_a_stricter_condition_goes_on_from_what_is_there(tmp_path: Path) -> None:
    first = run(tmp_path / "c.zarr").sets
    second = run(tmp_path / "c.zarr", until="y: half_width < 0.2")
    alone = run(tmp_path / "alone.zarr", until="y: half_width < 0.2")

    assert (second.sets.replicates >= first.replicates).all()
    xr.testing.assert_identical(second.sets, alone.sets)
    assert (xr.open_zarr(tmp_path / "c.zarr").cell_attempt.max() == 1).all(), "nothing was computed twice"


def test_without_until_the_run_asks_for_the_full_grid_of_its_values(tmp_path: Path) -> None:
    run(tmp_path / "c.zarr")
    done = replicates(tmp_path / "c.zarr")
    assert spinsweep.run(SWEEP, tmp_path / "c.zarr", progress=False).counts.total == 60, "the first round"
    assert (replicates(tmp_path / "c.zarr") == done).all()
    result = spinsweep.run(SWEEP.with_values(seed=range(60)), tmp_path / "c.zarr", progress=False)

    assert result.counts.done == result.counts.total == 360
    assert any("had left out" in note for note in result.notes)


def test_a_table_of_a_cube_in_rounds_lacks_no_replicates(tmp_path: Path) -> None:
    sets = run(tmp_path / "c.zarr").sets
    made = spinsweep.open_cube(tmp_path / "c.zarr").sweep.table("y", over="seed")

    assert "missing" not in made.note
    assert f"Mean over seed (10 to {int(sets.replicates.max())})" in made.note
    assert (made.frame["missing"] == 0).all()
    counts = made.frame.set_index(["kind", "spread"])["count"].to_xarray()
    assert (counts == sets.replicates).all()


def test_failed_cells_count_as_missing_and_their_set_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILS", "yes")
    result = run(tmp_path / "c.zarr", on_failure="keep")
    sets = result.sets
    failed = result.counts.failed
    table = spinsweep.open_cube(tmp_path / "c.zarr").sweep.table("y", over="seed")
    assert table.frame["missing"].sum() == failed, "what failed is missing, what is not wanted is not"

    assert failed == result.rounds.failed > 3
    assert (sets.replicates.sel(spread=0.1) == 10).all()
    assert sets.is_met.sel(kind="b", spread=0.6)
    monkeypatch.delenv("FAILS")
    again = run(tmp_path / "c.zarr", retry_failed=True)
    assert again.complete
    xr.testing.assert_identical(again.sets, run(tmp_path / "alone.zarr").sets)


def test_a_cell_that_fails_again_is_tried_once_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILS", "yes")
    run(tmp_path / "c.zarr", on_failure="keep")
    run(tmp_path / "c.zarr", on_failure="keep", retry_failed=True)
    cube = xr.open_zarr(tmp_path / "c.zarr")

    assert set(np.unique(cube.cell_attempt.where(cube.cell_state == State.FAILED, 2))) == {2}


def test_several_conditions_must_all_hold_and_may_be_relative_and_of_one_element(tmp_path: Path) -> None:
    result = run(tmp_path / "c.zarr", until=["loss[epoch=-1]: half_width < 30 %", "hit: half_width < 0.2"], most=80)
    sets = result.sets

    assert (sets.is_met == ((sets.loss_half_width < 0.3 * abs(sets.loss_mean)) & (sets.hit_half_width < 0.2))).all()
    assert sets.is_met.any()
    assert (sets.replicates > 20).all(), "a share of one half needs so many"
    whole = run(tmp_path / "every.zarr", until="loss: half_width < 1.0", most=80).sets
    last = run(tmp_path / "last.zarr", until="loss[epoch=2]: half_width < 1.0", most=80).sets
    assert (whole.replicates == last.replicates).all(), "the last one is the widest"


def test_a_sweep_may_have_its_own_condition_and_wanted_cells(tmp_path: Path) -> None:
    sweep = dataclasses.replace(
        SWEEP, until=Until(UNTIL, max={"seed": 30}), wanted=lambda c: bool(c["kind"] == "a" or c["spread"] > 1)
    )
    result = spinsweep.run(sweep, tmp_path / "c.zarr", progress=False)

    assert result.rounds is not None
    assert result.rounds.sets == 4
    assert replicates(tmp_path / "c.zarr")[1].tolist() == [0, 0, 30]
    assert (replicates(tmp_path / "c.zarr")[0] >= 10).all()
    assert sweep.digest == SWEEP.digest


def blockwise(cells: Cells) -> dict[str, Any]:
    return {"y": np.array([cell.rng().normal() for cell in cells]).reshape(cells.shape)}


def test_less_than_ten_replicates_are_filled_up_and_seeds_go_on_from_the_largest(tmp_path: Path) -> None:
    sweep = Sweep("few", "Few", (Axis("repeat", (5, 7, 3)),), (Output("y"),), blockwise)
    result = run(tmp_path / "c.zarr", sweep, "y: half_width < 0.01", 12)

    assert result.cube.axes["repeat"] == (5, 7, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16)
    assert (int(result.sets.replicates), bool(result.sets.is_met)) == (12, False)


def test_halves_of_two_machines_are_merged_and_go_on_as_one_cube(tmp_path: Path) -> None:
    for name, spread in (("low", [0.1, 0.6]), ("high", [1.2])):
        run(tmp_path / f"{name}.zarr", SWEEP.with_values(spread=spread))
    merge = ["merge", f"{tmp_path}/low.zarr", f"{tmp_path}/high.zarr", "--into", f"{tmp_path}/both.zarr"]
    assert main(merge) == 0
    merged = replicates(tmp_path / "both.zarr")
    both, alone = run(tmp_path / "both.zarr"), run(tmp_path / "alone.zarr")

    xr.testing.assert_identical(both.sets, alone.sets)
    assert (merged == replicates(tmp_path / "both.zarr")).all(), "nothing was left to compute"


def holey(cells: Cells) -> dict[str, Any]:
    values = blockwise(cells)["y"]
    return {"y": np.where(cells.coords["seed"] % 4 == 1, np.nan, 1e-3 * values)}


def test_nan_is_no_value_and_is_counted(tmp_path: Path) -> None:
    sweep = Sweep("holey", "Holes", (Axis("seed", tuple(range(10))),), (Output("y"),), holey)
    result = run(tmp_path / "c.zarr", sweep, "y: half_width < 5 %", 20)

    assert result.rounds.blank == 5, "a relative condition about a mean near zero needs all"
    assert not result.sets.is_met.any()
    assert np.isfinite(result.sets.y_half_width).all()


def test_a_run_that_is_stopped_between_two_rounds_is_not_complete(tmp_path: Path) -> None:
    """Ctrl-C while the last block of the first round is computed."""

    def stop(run: Any) -> None:
        if run.progress.blocks_ended == run.progress.blocks and run.progress.blocks_ended:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        run(tmp_path / "c.zarr", on_progress=stop)

    result = caught.value.result  # type: ignore[attr-defined]
    assert result.counts.done == result.counts.total
    assert not result.complete
    xr.testing.assert_identical(run(tmp_path / "c.zarr").sets, run(tmp_path / "alone.zarr").sets)


@pytest.mark.parametrize(
    ("until", "most", "words"),
    [
        ("z: half_width < 1", 60, "no output 'z'"),
        ("y half width", 60, "not OUTPUT: half_width < NUMBER"),
        ("y: half_width < 0", 60, "above 0"),
        ("y: half_width < nan", 60, "above 0"),
        ("y: half_width < 1; ; x", 60, "not OUTPUT"),
        ("y[epoch=1]: half_width < 1", 60, "it has no inner dim"),
        ("loss[epoch=7]: half_width < 1", 60, "epoch has no value '7'"),
        ("y: half_width < 1", {"speed": 60}, "no axis 'speed' (did you mean"),
        ("y: half_width < 1", {"kind": 60}, "no axis of whole numbers"),
        ("y: half_width < 1", 9, "more than max, 9"),
        ("y: half_width < 1", None, "until needs max"),
        ("y: half_width < 1", {"seed": 2.5}, "until needs max"),
        (None, 60, "give until as well"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_is_written(tmp_path: Path, until: Any, most: Any, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        run(tmp_path / "c.zarr", until=until, most=most)

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "c.zarr").exists()


def test_the_command_line_plans_runs_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "noisy.py").write_text(SWEEP_FILE)
    words = [f"{tmp_path}/noisy.py", "--store", f"{tmp_path}/c.zarr", "--until", UNTIL, "--max", "seed=60"]
    assert main(["plan", *words, "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert (planned["cells"], planned["cells_to_compute"]) == (30, 30)
    assert main(["run", *words, "--executor", "serial"]) == 0
    out = capsys.readouterr()
    assert "round 2: 2 of 3 sets open, widest half width y" in out.err
    assert "until     y: half_width < 0.3: met by" in out.out
    assert "saved     " in out.out
    assert main(["plan", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cells_to_compute"] == 0
    assert main(["status", f"{tmp_path}/c.zarr"]) == 0
    assert "y: half_width < 0.3: round" in " ".join(capsys.readouterr().out.split())
    assert main(["run", *words[:-2], "--executor", "serial"]) == 2
    assert "--until needs --max" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.faults
def test_a_killed_run_goes_on_in_the_round_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "killed.py").write_text(SWEEP_FILE)
    store = tmp_path / "c.zarr"
    options = ["--executor", "serial", "--until", UNTIL, "--max", "40", "--block", "2"]
    command = [sys.executable, "-m", "spinsweep.cli", "run", "killed.py", "--store", str(store), *options]
    with subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "HOLD": "yes"}) as process:
        until = time.monotonic() + 120
        while time.monotonic() < until and not (store.exists() and (_states(store) == State.DONE).sum() > 30):
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    left = _states(store)
    assert (left == State.ABSENT).any(), "a round was in hand"
    monkeypatch.chdir(tmp_path)
    assert main(command[3:]) == 0
    alone = [*command[3:6], str(tmp_path / "alone.zarr"), *options]
    assert main(alone) == 0

    assert (_states(store) == _states(tmp_path / "alone.zarr")).all()
    xr.testing.assert_equal(xr.open_zarr(store).y.load(), xr.open_zarr(tmp_path / "alone.zarr").y.load())
    assert json.loads(Cube(store).attributes.others["until"])["open"] == 0


def _states(store: Path) -> Any:
    try:
        return Cube(store).ledger("cell_state")
    except spinsweep.CubeError:
        return np.zeros(0, np.uint8)
