"""Cells that fail: when a run stops because of them, and how it goes on."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st

import spinsweep
from spinsweep import Axis, Cell, Output, SpecError, Sweep, per_cell
from spinsweep.blocks import Block
from spinsweep.executors.failure_limit import ALL_OF_FIRST, MANY, OF_FIRST, FailureLimit
from spinsweep.executors.running import run
from spinsweep.interactive.failures import sweep_failed
from spinsweep.ledger import Receipt


@per_cell
def mistaken(cell: Cell) -> dict[str, Any]:
    """Fails below ``works_from``: with one message for all cells, or with one for each."""
    if cell["x"] < cell.params["works_from"]:
        raise ValueError("no such column: voltage" if cell.params["same"] else f"no good at {cell['x']}")
    return {"y": float(cell["x"])}


MISTAKEN = Sweep(
    name="mistaken",
    title="Cells with a mistake",
    axes=(Axis("x", tuple(range(200))),),
    outputs=(Output("y"),),
    parameters=(spinsweep.Parameter("works_from", 1000), spinsweep.Parameter("same", default=1)),
    function=mistaken,
)


def receipt(done: int, **errors: int) -> Receipt:
    failed = sum(errors.values())
    first = next(iter(errors), "")
    return Receipt(Block((0,), (done + failed,)), done, failed, 1.0, first_error=first, errors=errors)


def stopped_at(limit: FailureLimit, receipts: list[Receipt]) -> int | None:
    """The number of receipts after which a run stops."""
    return next((n for n, each in enumerate(receipts, 1) if limit.note(each)), None)


def test_a_run_stops_when_each_of_the_first_cells_failed_with_one_error() -> None:
    assert stopped_at(FailureLimit(), [receipt(0, same=1)] * 30) == ALL_OF_FIRST
    assert stopped_at(FailureLimit(), [receipt(0, same=1000)]) == 1
    assert stopped_at(FailureLimit(), [receipt(1), *[receipt(0, same=1)] * (MANY - 1)]) is None


def test_a_run_stops_when_half_of_the_first_hundred_failed_with_one_error_and_not_later() -> None:
    assert stopped_at(FailureLimit(), [receipt(1), receipt(0, same=1)] * 60) == 2 * MANY
    assert stopped_at(FailureLimit(), [*[receipt(1)] * OF_FIRST, *[receipt(0, same=1)] * 500]) is None
    assert stopped_at(FailureLimit(), [receipt(940, same=60)]) is None


def test_different_errors_never_stop_a_run_by_default() -> None:
    assert stopped_at(FailureLimit(), [receipt(0, **{f"error {n}": 1}) for n in range(300)]) is None


RECEIPTS = st.lists(
    st.builds(lambda done, a, b: receipt(done, a=a, b=b), *[st.integers(0, 40)] * 3).filter(
        lambda each: bool(each.done + each.failed)
    ),
    max_size=12,
)


@given(RECEIPTS, st.integers(1, 200))
def test_a_limit_stops_at_the_block_in_which_it_is_reached(receipts: list[Receipt], most: int) -> None:
    totals = [sum(each.failed for each in receipts[: n + 1]) for n in range(len(receipts))]
    expected = next((n for n, total in enumerate(totals, 1) if total >= most and receipts[n - 1].failed), None)

    assert stopped_at(FailureLimit(most), receipts) == expected
    assert stopped_at(FailureLimit(math.inf), receipts) is None


@given(RECEIPTS)
def test_by_default_a_run_stops_only_if_the_cells_so_far_are_of_one_error(receipts: list[Receipt]) -> None:
    number = stopped_at(FailureLimit(), receipts)
    if number is None:
        return
    ended = sum(each.done + each.failed for each in receipts[:number])
    most = max(sum(each.errors.get(name, 0) for each in receipts[:number]) for name in "ab")
    assert most == ended >= ALL_OF_FIRST or (most >= MANY and 2 * most >= ended)


@pytest.mark.parametrize("where", ["serial", pytest.param("processes", marks=pytest.mark.slow), "dask"])
def test_a_mistake_in_a_sweep_ends_its_run_soon_and_the_mended_one_goes_on(
    tmp_path: Path, client: Client, where: str
) -> None:
    options: dict[str, Any] = {
        "serial": {},
        "processes": {"executor": "processes", "workers": 2},
        "dask": {"client": client},
    }[where]
    first = run(MISTAKEN, tmp_path / "c.zarr", block=1, **options)

    assert first.outcome == "stopped"
    assert first.stopped_because.endswith("cells failed with the same error, ValueError: no such column: voltage")
    assert ALL_OF_FIRST <= first.counts.failed <= ALL_OF_FIRST + 60 + 2, "what was sent ahead may be computed"
    assert "the run stopped because each of the first" in str(sweep_failed(first))
    again = run(MISTAKEN, tmp_path / "c.zarr", retry_failed=True, max_failures=math.inf, **options)
    assert (again.outcome, again.counts.failed) == ("failed cells", 200)
    assert again.cube.ledger("cell_attempt").max() == 2


def test_how_many_may_fail_is_said_by_the_sweep_and_the_call_says_otherwise(tmp_path: Path) -> None:
    sweep = dataclasses.replace(MISTAKEN.with_values(same=0), max_failures=3)

    assert run(sweep, tmp_path / "a.zarr", block=1).counts.failed == 3
    assert run(sweep, tmp_path / "b.zarr", block=1, max_failures=5).counts.failed == 5
    assert run(MISTAKEN.with_values(same=0), tmp_path / "c.zarr", block=1).counts.failed == 200
    assert sweep.digest == MISTAKEN.with_values(same=0).digest, "it changes no number"


def test_numbers_do_not_depend_on_whether_a_run_stopped(tmp_path: Path) -> None:
    sweep = MISTAKEN.with_values(works_from=60)
    stopped = run(sweep, tmp_path / "a.zarr", block=1)
    assert stopped.counts.done == 0
    run(sweep, tmp_path / "a.zarr", max_failures=math.inf)
    whole = run(sweep, tmp_path / "b.zarr", block=1, max_failures=math.inf)

    keep = ["y", "cell_state", "cell_error", "cell_attempt"]
    xr.testing.assert_identical(stopped.cube.dataset()[keep].drop_attrs(), whole.dataset[keep].drop_attrs())


@pytest.mark.parametrize("value", [0, -1, 2.5, math.nan, True, "many"])
def test_a_limit_that_cannot_be_is_one_line(tmp_path: Path, value: Any) -> None:
    with pytest.raises(SpecError, match="max_failures must be a number of cells from 1 on, or inf, not"):
        run(MISTAKEN, tmp_path / "c.zarr", max_failures=value)
    with pytest.raises(SpecError, match="sweep 'mistaken': max_failures must be a number"):
        dataclasses.replace(MISTAKEN, max_failures=value)
    assert not (tmp_path / "c.zarr").exists()
