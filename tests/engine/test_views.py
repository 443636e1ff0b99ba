"""Views: what an author declares, what is drawn where nobody did, and that they are nothing but views."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Sequence
from typing import Any

import cloudpickle
import pytest
from examples import GRID

from spinsweep import Axis, Dim, Output, Parameter, SpecError, Sweep, View, per_cell
from spinsweep.identity import identify
from spinsweep.views import default_views

NOISE = View("noise", x="variation", lines="width", over=("seed",), inner="last")
SEEN = dataclasses.replace(GRID, views=(NOISE,))


def uses_a_sweep(cells: Any) -> dict[str, Any]:
    return {"sum": SEEN.axes[0].values[0] * cells.coords["width"]}


def test_views_are_no_part_of_the_identity_nor_of_that_of_code_which_uses_the_sweep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert SEEN.digest == GRID.digest
    digests = set()
    for sweep in (SEEN, GRID):
        monkeypatch.setitem(globals(), "SEEN", sweep)
        digests.add(identify(uses_a_sweep).digest)
    assert len(digests) == 1
    monkeypatch.setitem(globals(), "SEEN", GRID.with_values(gain=2.0))
    assert identify(uses_a_sweep).digest not in digests


@pytest.mark.parametrize(
    "same",
    [
        lambda s: s.with_values(width=(5.0, 1.0), root_seed=3),
        lambda s: s.with_text({"seed": "0:3"}),
        lambda s: s.with_one_value_an_axis(),
        lambda s: pickle.loads(pickle.dumps(s)),
        lambda s: cloudpickle.loads(cloudpickle.dumps(s)),
        lambda s: s.as_in_cube(0, s.params, {a.name: a.values for a in s.axes}),
    ],
)
def test_views_go_wherever_their_sweep_goes(same: Any) -> None:
    assert same(SEEN).views == (NOISE,)


def walk(noise: float, rng: Any) -> float:
    """A step."""
    return noise * float(rng.random())


def test_a_sweep_of_a_function_takes_views_unless_the_function_has_such_an_argument() -> None:
    sweep = Sweep.from_function(walk, noise=[0.1, 0.2], seed=range(3), views=[View("walk", x="noise")])
    assert sweep.views == (View("walk", x="noise"),)

    def seen(views: float) -> float:
        return views

    with pytest.raises(SpecError, match="takes an argument 'views'; give its values in a mapping"):
        Sweep.from_function(seen, views=[1.0, 2.0])
    assert Sweep.from_function(seen, {"views": [1.0, 2.0]}).axis_names == ("views",)


@pytest.mark.parametrize(
    ("views", "says"),
    [
        (
            (View("nosie"),),
            r"views\[0\]: 'nosie' is no output \(did you mean 'noise'\?\); those of numbers are sum, n",
        ),
        ((NOISE, View("sum", x="step")), r"views\[1\]: x='step' is no axis or inner dim of sum"),
        ((View("noise", lines="widht"),), r"lines='widht' is no axis .* \(did you mean 'width'\?\); it has width, v"),
        ((View("noise", over=("chip",)),), "over='chip' is no axis or inner dim of noise"),
        ((View("noise", x="sum"),), "x='sum' is no output of numbers along one inner dim of noise"),
        (("noise",), r"views\[0\] must be View, not 'noise'"),
        ("noise", "views must be a tuple of View, not 'noise'"),
        (7, "views must be a tuple of View, not 7"),
    ],
)
def test_a_view_of_what_is_not_there_is_refused_in_one_line(views: Any, says: str) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        dataclasses.replace(GRID, views=views)
    assert str(caught.value).startswith("sweep 'grid': views")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"x": "width", "lines": "width"}, "view of noise: 'width' stands for two of x, lines and over"),
        ({"x": "seed", "over": "seed"}, "'seed' stands for two"),
        ({"inner": "first"}, "inner must be 'mean' or 'last', not 'first'"),
        ({"x": 3}, "view: x must be a name, not 3"),
        ({"over": 3}, "view: over must be a tuple of text, not 3"),
    ],
)
def test_a_view_that_contradicts_itself_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        View("noise", **given)


@per_cell
def nothing(cell: Any) -> dict[str, Any]:
    raise NotImplementedError


def sweep_of(axes: dict[str, Sequence[Any]], *outputs: Output, **more: Any) -> Sweep:
    return Sweep("s", "s", tuple(Axis(n, tuple(v)) for n, v in axes.items()), outputs, nothing, **more)


@pytest.mark.parametrize(
    ("axes", "inner", "expected"),
    [
        ({"a": range(3), "b": range(9), "seed": range(20)}, (), View("y", "b", "a", ("seed",))),
        ({"mode": "uvw", "seed": range(20)}, ("epoch",), View("y", "epoch", "mode", ("seed",))),
        ({"mode": "uvw", "b": range(4), "c": range(9)}, (), View("y", "c", "mode")),
        ({"mode": "uvw", "seed": range(20)}, (), View("y", "mode", None, ("seed",))),
        ({"seed": range(20)}, (), View("y", "seed")),
        ({"a": [1], "seed": range(20)}, (), View("y", "seed")),
        ({"a": [1]}, (), View("y", "a")),
        ({"many": "abcdefghijklmnop", "few": range(3), "b": range(30)}, (), View("y", "b", "many")),
    ],
)
def test_without_a_view_the_longest_axis_of_numbers_lies_across_and_names_are_lines(
    axes: dict[str, Sequence[Any]], inner: tuple[str, ...], expected: View
) -> None:
    dims = tuple(Dim(name, 5) for name in inner)
    sweep = sweep_of(axes, Output("text", dtype="str"), Output("y", inner), dims=dims)
    assert default_views(sweep.dimensions()) == (expected,)


def test_the_declared_views_come_first_and_each_further_output_has_one_of_its_own() -> None:
    views = SEEN.dimensions().every(SEEN.views)
    like = dataclasses.replace(NOISE, output="sum")
    assert views == (NOISE, like)
    only = View("noise", x="step", lines="width", over=("seed",))
    assert SEEN.dimensions().every([only]) == (only, View("sum", "width", "variation", ("seed",)))


def test_a_view_leaves_out_the_axis_that_a_cube_does_not_have() -> None:
    later = Axis("later", (0,), neutral=0)
    view = View("y", x="later", lines="a", over=("seed",))
    axes = (Axis("a", (1, 2)), Axis("b", (1, 2, 3)), Axis("seed", (0, 1)), later)
    sweep = Sweep("s", "s", axes, (Output("y"),), nothing, views=(view,))
    assert sweep.dimensions().every(sweep.views) == (View("y", "b", "a", ("seed",)),)
    grown = sweep.with_values(later=[0, 1])
    assert grown.dimensions().every(grown.views) == (view,)


def outputs(params: Any) -> tuple[Output, ...]:
    return (Output("y"),) if params["kind"] == "plain" else (Output("z"),)


def test_a_view_of_an_output_that_other_parameters_take_away_is_not_drawn() -> None:
    def sweep(view: View) -> Sweep:
        kind = Parameter("kind", "plain", choices=("plain", "other"))
        return sweep_of({"a": [1, 2]}, parameters=(kind,), outputs_of=outputs, views=(view,))

    other = sweep(View("y")).with_values(kind="other")
    assert other.dimensions().every(other.views) == (View("z", "a"),)
    with pytest.raises(SpecError, match="'z' is no output"):
        sweep(View("z"))
