"""Messages between processes: JSON on the way, the same values at both ends, one line for what cannot be read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest

from spinsweep import Axis, Cell, Dim, Output, Sweep, per_cell
from spinsweep.dashboard.reports import describe
from spinsweep.messages import (
    VERSION,
    FailureGroup,
    LaneReport,
    MessageError,
    ProgressReport,
    RunDescription,
    Series,
    StopAnswer,
)
from spinsweep.runs import open_run

LANE = LaneReport(
    bench="hall",
    experiment="cube/width=1",
    train="current 6",
    cycles=7,
    pulses=20,
    worn="d1",
    wear=0.1,
    figures={"loss": 0.5},
)
DRAWN = replace(
    LANE,
    series=(Series.of("d1", [1e-4, 2e-4], [0, 1], x_range=(0, 1e-3)), Series.of("fit", [1], [2], line=True)),
    readings=(Series.of("d1", [1, 2.5], [1e-4, 2e-4], y_unit="V"),),
    levels={"low": 1e-4, "high": 2e-4},
    seconds_left=3.5,
    seconds_whole=7.0,
)
PROGRESS = ProgressReport(cells_done=3, seconds_left=2.5, groups=(FailureGroup(2, {"a": 1}, "ValueError: no"),))


@per_cell
def zero(cell: Cell) -> dict[str, Any]:
    return {"v": 0.0}


SWEEP = Sweep(
    name="told",
    title="Told",
    axes=(
        Axis("a", (1, 2), "A", "current"),
        Axis("word", ("x", "y")),
        Axis("flag", (True, False)),
    ),
    dims=(Dim("time", 3),),
    outputs=(Output("v", ("time",), unit="V"),),
    function=zero,
)


@pytest.fixture
def described(tmp_path: Path) -> RunDescription:
    with open_run(SWEEP, tmp_path / "c.zarr") as run:
        return describe(run, "client-1")


@pytest.mark.parametrize("message", [LANE, DRAWN, StopAnswer(doing="a train"), PROGRESS, ProgressReport()])
def test_a_message_survives_json_and_dasks_own_wire(message: LaneReport | ProgressReport | StopAnswer) -> None:
    text = json.dumps(message.to_json())
    assert type(message).from_json(json.loads(text)) == message
    wire = msgpack.loads(msgpack.dumps(message.to_json()), use_list=False)  # as Dask does: lists come as tuples
    assert type(message).from_json(wire) == message


def test_the_description_of_a_run_is_json_whatever_the_axes_hold(described: RunDescription) -> None:
    assert RunDescription.from_json(json.loads(json.dumps(described.to_json()))) == described
    assert [axis.values for axis in described.axes] == [(1, 2), ("x", "y"), (True, False)]
    assert described.outputs[0].dims == ("time",)


@pytest.mark.parametrize("version", [VERSION + 1, None, "1"])
def test_a_message_of_another_version_is_refused_in_one_line_that_says_what_to_do(version: Any) -> None:
    with pytest.raises(MessageError, match="install the same spinsweep") as refused:
        LaneReport.from_json({**LANE.to_json(), "version": version, "new": 1})
    assert "\n" not in str(refused.value)


def test_what_dask_adds_to_a_message_is_ignored() -> None:
    assert LaneReport.from_json({**LANE.to_json(), "worker": "tls://127.0.0.1:1"}) == LANE


def test_a_message_without_a_field_is_refused_in_one_line() -> None:
    damaged = {"bench": "hall", "version": VERSION}
    with pytest.raises(MessageError, match=r"^it sent a damaged LaneReport: ") as refused:
        LaneReport.from_json(damaged)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("groups", [[1], [{"cells": 1}], 3])
def test_damaged_parts_are_refused_as_the_whole_is(groups: Any) -> None:
    with pytest.raises(MessageError, match="damaged ProgressReport"):
        ProgressReport.from_json({**PROGRESS.to_json(), "groups": groups})


@pytest.mark.parametrize("field", ["series", "readings", "levels", "seconds_left", "seconds_whole"])
def test_a_lane_of_before_which_does_not_draw_is_read(field: str) -> None:
    old = {name: value for name, value in DRAWN.to_json().items() if name != field}
    assert getattr(LaneReport.from_json(old), field) == getattr(LANE, field)


@pytest.mark.parametrize(
    "wrong", [{"x": [1.0], "y": []}, {"x": ["a"], "y": [1.0]}, {"x": [float("nan")], "y": [1.0]}]
)
def test_a_series_that_cannot_be_drawn_is_refused_in_one_line(wrong: dict[str, Any]) -> None:
    damaged = {**LANE.to_json(), "series": [{"name": "d1", **wrong}]}
    with pytest.raises(MessageError, match=r"^it sent a damaged LaneReport: the series 'd1' is not pairs") as refused:
        LaneReport.from_json(damaged)
    assert "\n" not in str(refused.value)


def test_no_message_at_all_is_refused_too() -> None:
    with pytest.raises(MessageError):
        LaneReport.from_json("ready")  # type: ignore[arg-type]


def test_a_lane_report_knows_its_cell_and_its_cube() -> None:
    assert LANE.cell == "width=1"
    assert LANE.measures_for("cube")
    assert not LANE.measures_for("other")
