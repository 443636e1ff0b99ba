"""A sweep's description: what it refuses, and what its identity holds."""

from __future__ import annotations

import dataclasses
import pickle

import cloudpickle
import pytest
from examples import GRID, LOGGED

from engine import Axis, Dim, Output, Parameter, SpecError, Sweep


def test_axis_values_are_no_part_of_the_identity() -> None:
    assert GRID.with_values(seed=range(100)).digest == GRID.digest


@pytest.mark.parametrize(
    "other",
    [
        GRID.with_values(gain=2.0),
        GRID.with_values(steps=4),
        GRID.with_values(root_seed=1),
        dataclasses.replace(GRID, version="2"),
    ],
    ids=["parameter", "dim length", "root seed", "version"],
)
def test_everything_that_changes_a_number_is_part_of_the_identity(other: Sweep) -> None:
    assert other.digest != GRID.digest


def test_the_identity_does_not_depend_on_how_a_number_is_written() -> None:
    assert GRID.with_text({"gain": "2"}).digest == GRID.with_values(gain=2.0).digest


def test_a_typo_in_a_name_is_one_line_that_knows_better() -> None:
    with pytest.raises(SpecError, match=r"no axis or parameter 'variaton' \(did you mean 'variation'\?\)") as caught:
        GRID.with_text({"variaton": "0.1"})

    assert "axes width, variation, seed; parameters steps, gain" in str(caught.value)


def test_parameters_are_checked_like_axes() -> None:
    with pytest.raises(SpecError, match="parameter 'steps': 0 is out of range; it takes whole numbers from 1 up"):
        GRID.with_text({"steps": "0"})
    with pytest.raises(SpecError, match=r"parameter 'steps': 2.5 is not a whole number"):
        GRID.with_values(steps=2.5)


@pytest.mark.parametrize(
    "change",
    [
        {"outputs": (Output("y", ("nowhere",)),)},
        {"outputs": (Output("width"),)},
        {"outputs": (Output("cell_state"),)},
        {"outputs": ()},
        {"outputs": (Output("a/b"),)},
        {"outputs": (Output("errors"),)},
        {"parameters": (Parameter("root_seed", 1),)},
        {"dims": (Dim("seed", 3),)},
        {"together": ("nothing",)},
        {"parameters": (Parameter("seed", 1),)},
        {"axes": (Axis("x", (1.0,)), Axis("x", (1.0,)))},
    ],
)
def test_descriptions_that_cannot_be_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        dataclasses.replace(GRID, **change)  # type: ignore[arg-type]


def test_only_numbers_and_booleans_can_be_outputs() -> None:
    with pytest.raises(SpecError, match="dtype 'U5'"):
        Output("name", dtype="U5")


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_a_sweep_survives_pickling(dumps) -> None:  # type: ignore[no-untyped-def]
    _ = GRID.digest, LOGGED.digest

    assert pickle.loads(dumps(GRID)).digest == GRID.digest
