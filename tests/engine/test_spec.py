"""A sweep's description: what it refuses, and what its identity holds."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from examples import GRID, LOGGED

from spinsweep import Axis, Dim, Output, Parameter, SpecError, Sweep


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


def test_a_setting_with_a_plus_adds_to_what_is_there() -> None:
    def variations(**axes: tuple[float, ...]) -> tuple[object, ...]:
        return GRID.with_text({"variation+": "0.25,0.1", "seed": "0"}, existing=axes).axis("variation").values

    assert variations() == (0.0, 0.1, 0.2, 0.3, 0.25)
    assert variations(variation=(0.5,)) == (0.5, 0.25, 0.1)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"gain+": "1"}, "'gain' is a parameter: it has one value"),
        ({"seed+": "1", "seed": "2"}, r"seed is set by = and by \+="),
        ({"sed+": "1"}, r"no axis or parameter 'sed' \(did you mean 'seed'\?\)"),
        ({"+": "1"}, "no axis or parameter ''"),
    ],
)
def test_what_cannot_be_added_to_is_one_line(settings: dict[str, str], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        GRID.with_text(settings)


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
        {"shared_axes": ("nothing",)},
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


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"function": None}, r"sweep 'grid': function None cannot be called; it takes Cells"),
        ({"name": "a b/c"}, r"sweep name 'a b/c' cannot be the name of a file"),
        ({"name": ""}, r"sweep name '' cannot be the name of a file"),
        ({"name": "../grid"}, r"sweep name '\.\./grid' cannot be the name of a file"),
    ],
)
def test_a_function_or_a_name_that_cannot_be_is_refused_when_the_sweep_is_built(
    change: dict[str, object], says: str
) -> None:
    with pytest.raises(SpecError, match=says):
        dataclasses.replace(GRID, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["hil-multiplexed", "grid_2", "v1.2", "Größe"])
def test_names_that_a_file_can_have_are_taken(name: str) -> None:
    assert dataclasses.replace(GRID, name=name).name == name


def test_a_default_outside_its_own_limits_is_refused_where_it_is_written() -> None:
    with pytest.raises(SpecError, match="parameter 'steps': 0 is out of range; it takes whole numbers from 1 up"):
        Parameter("steps", 0, low=1)
    with pytest.raises(SpecError, match=r"parameter 'gain': 2 is out of range; it takes numbers up to 1 A"):
        Parameter("gain", 2.0, "A", high=1)
    with pytest.raises(SpecError, match="parameter 'link' cannot take the value 'linear'; it takes one of log, exp"):
        Parameter("link", "linear", choices=("log", "exp"))


@pytest.mark.parametrize("width", [1.0, 1, np.float64(1), np.array(1.0), "1"])
def test_a_single_value_of_an_axis_is_a_list_of_one(width: object) -> None:
    assert GRID.with_values(width=width).axis("width").values == (1.0,)


def test_a_single_name_is_one_value_and_not_its_letters() -> None:
    vary = Axis("vary", ("both",), choices=("neurons", "both"))
    assert dataclasses.replace(GRID, axes=(vary,)).with_values(vary="neurons").axis("vary").values == ("neurons",)
    assert Axis("vary", "both").values == ("both",)  # type: ignore[arg-type]


def test_an_axis_value_that_is_none_is_one_line() -> None:
    with pytest.raises(SpecError, match="axis 'width': None is not a number"):
        GRID.with_values(width=None)


@pytest.mark.parametrize("name", ["noisy.toml", Path("noisy.toml")])
def test_the_name_of_a_file_instead_of_its_contents_says_what_reads_it(name: object) -> None:
    card = Parameter("card", {}, load=lambda name: {"from": name})
    sweep = dataclasses.replace(GRID, parameters=(*GRID.parameters, card))

    with pytest.raises(
        SpecError, match=r"not its name 'noisy.toml'; with_text\({'card': 'noisy.toml'}\) reads the file"
    ):
        sweep.with_values(card=name)
    assert sweep.with_text({"card": "noisy.toml"}).params["card"] == {"from": "noisy.toml"}


@pytest.mark.parametrize(
    ("dtype", "tolerance", "why"),
    [
        ("float64", -1e-9, "must be at least 0 and below 1"),
        ("float64", 1.0, "must be at least 0 and below 1"),
        ("float64", float("nan"), "must be at least 0 and below 1"),
        ("float64", "1e-9", "must be at least 0 and below 1"),
        ("int64", 1e-9, "on int64: only floating-point outputs have one"),
    ],
)
def test_a_tolerance_that_cannot_be_is_refused(dtype: str, tolerance: float, why: str) -> None:
    with pytest.raises(SpecError, match=why):
        Output("y", dtype=dtype, tolerance=tolerance)


def test_a_tolerance_is_no_part_of_the_identity() -> None:
    loose = dataclasses.replace(GRID, outputs=tuple(dataclasses.replace(o, tolerance=1e-9) for o in GRID.outputs))
    assert loose.digest == GRID.digest
