"""``@spinsweep.cell`` and ``Sweep.from_function``: plain functions as cells, and the mistakes of their authors."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import spinsweep
from spinsweep import Axis, Cell, Dim, Output, Parameter, SpecError, Sweep, per_cell
from spinsweep.cell_function import by_output
from spinsweep.errors import OutputError
from spinsweep.evaluate import evaluate
from spinsweep.identity import identify

AXES = (Axis("noise", (0.1, 0.5), "V"), Axis("seed", tuple(range(4))))
STEPS = Parameter("steps", 20)


@spinsweep.cell
def walk(noise: float, steps: int, rng: np.random.Generator) -> float:
    """How far a walk gets."""
    return float(abs(rng.normal(0, noise, steps).cumsum()).max())


@per_cell
def walk_of_cell(cell: Cell) -> dict[str, Any]:
    return {"far": abs(cell.rng().normal(0, cell["noise"], cell.params["steps"]).cumsum()).max()}


@spinsweep.cell(streams={"chip": ("seed",), "noise_of_read": None})
def with_streams(
    noise: float, chip: np.random.Generator, noise_of_read: np.random.Generator, cell: Cell, **others: Any
) -> tuple[float, float, int]:
    return chip.random(), noise_of_read.random() * noise, others["seed"] + others["steps"] + 0 * cell["seed"]


def made(function: Callable[..., Any], *outputs: Output, **changes: Any) -> Sweep:
    about: dict[str, Any] = {"axes": AXES, "outputs": outputs or (Output("far"),), "parameters": (STEPS,)}
    return Sweep("walk", "A walk", function=function, **{**about, **changes})


def computed(sweep: Sweep, **coords: tuple[Any, ...]) -> dict[str, Any]:
    result = evaluate(sweep, coords or {axis.name: axis.values for axis in sweep.axes})
    assert not result.errors, next(iter(result.errors.values())).traceback
    return result.values


def test_a_function_by_name_gives_the_bits_of_one_that_takes_the_cell() -> None:
    np.testing.assert_array_equal(computed(made(walk))["far"], computed(made(walk_of_cell))["far"])


def test_a_marked_function_stays_a_plain_function() -> None:
    assert walk(0.5, steps=3, rng=np.random.default_rng(1)) == walk(0.5, 3, np.random.default_rng(1))


def test_further_streams_are_those_of_the_cell_and_double_star_takes_what_is_left() -> None:
    @per_cell
    def reference(cell: Cell) -> dict[str, Any]:
        return {
            "a": cell.rng("chip", axes=("seed",)).random(),
            "b": cell.rng("noise_of_read").random() * cell["noise"],
            "n": cell["seed"] + cell.params["steps"],
        }

    outputs = Output("a"), Output("b"), Output("n", dtype="int64")
    found, expected = computed(made(with_streams, *outputs)), computed(made(reference, *outputs))
    for name in "abn":
        np.testing.assert_array_equal(found[name], expected[name])
    assert (found["a"][0] == found["a"][1]).all(), "shared by cells of one seed"


def test_neutral_axes_reach_the_function_as_well() -> None:
    @spinsweep.cell
    def delayed(noise: float, delay: float) -> float:
        return noise + delay

    sweep = made(delayed, axes=(*AXES, Axis("delay", (0.25,), neutral=0.25)))
    assert computed(sweep)["far"][0, 0] == 0.35


@given(st.permutations(["noise", "seed", "steps", "rng"]), st.integers(0, 4))
@settings(max_examples=20, deadline=None)
def test_the_order_and_choice_of_arguments_do_not_matter(order: list[str], count: int) -> None:
    names = order[:count]
    scope: dict[str, Any] = {}
    exec(f"def f({', '.join(names)}): return dict(got=sorted(locals()))", scope)
    seen = []

    @spinsweep.cell
    @functools.wraps(scope["f"])
    def noted(**values: Any) -> float:
        seen.append(sorted(values))
        return 1.0

    computed(made(noted), noise=(0.1,), seed=(1,))
    assert seen == [sorted(names)]


def test_partials_methods_and_wrapped_functions_are_cells(tmp_path: Path) -> None:
    class Walker:
        gain = 2.0

        @spinsweep.cell
        def walk(self, noise: float) -> float:
            return noise * self.gain

    half = functools.partial(walk, steps=1)
    assert computed(made(Walker().walk))["far"][1, 0] == 1
    assert computed(made(half, parameters=()))["far"].shape == (2, 4)
    sweep = made(Walker().walk)
    result = spinsweep.run(sweep, tmp_path / "c.zarr", executor="processes", workers=1, progress=False)
    assert result.complete


def test_code_and_streams_of_the_function_are_its_identity() -> None:
    def one(noise: float, rng: Any) -> float:
        return noise + rng.random()

    def other(noise: float, rng: Any) -> float:
        return noise - rng.random()

    def shared(noise: float, rng: Any) -> float:
        return noise + rng.random()

    digests = [
        identify(spinsweep.cell(one)).digest,
        identify(spinsweep.cell(other)).digest,
        identify(spinsweep.cell(shared, streams={"rng": ("seed",)})).digest,
    ]
    assert len(set(digests)) == 3
    assert identify(spinsweep.cell(one)).digest == digests[0]


# ---- mistakes --------------------------------------------------------------------------------------------------


def one_line(make: Callable[[], Any]) -> str:
    with pytest.raises(SpecError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def typo(nois: float, rng: Any) -> float:
    return nois


def unmarked(noise: float, rng: Any) -> float:
    return noise


def no_argument_is_near(noise: float, voltage: float) -> float:
    return noise


def near_default(noise: float, sed: int = 1) -> float:
    return noise + sed


def by_place(noise: float, /) -> float:
    return noise


def stars(*noise: float) -> float:
    return noise[0]


async def later(noise: float) -> float:
    return noise


def generated(noise: float) -> Any:
    yield noise


MISTAKES: list[tuple[Any, str]] = [
    (
        spinsweep.cell(typo),
        "typo takes 'nois', which is no axis or parameter (did you mean 'noise'?); there are noise, "
        "seed, steps and rng",
    ),
    (spinsweep.cell(no_argument_is_near), "no_argument_is_near takes 'voltage', which is no axis or parameter"),
    (spinsweep.cell(near_default), "near_default takes 'sed', which is no axis or parameter (did you mean 'seed'?)"),
    (spinsweep.cell(by_place), "by_place takes noise by its place; a cell's arguments are given by name"),
    (spinsweep.cell(stars), "stars takes *noise by its place"),
    (spinsweep.cell(later), "later is asynchronous; a cell is computed by a plain def"),
    (spinsweep.cell(generated), "generated is a generator"),
    (unmarked, "mark it with @spinsweep.cell, and it is given axes, parameters and rng by name"),
    (lambda noise, seed: noise, "cannot be called with one argument"),
    (
        spinsweep.cell(lambda noise, chip: noise, streams={"chip": ("sed",)}),
        "the stream 'chip' is along 'sed', which is no axis (did you mean 'seed'?); the axes are noise, seed",
    ),
    (spinsweep.cell(lambda noise: noise, streams="chip"), "has the stream 'chip', but no such argument"),
    (
        spinsweep.cell(lambda noise: noise, streams=["noise"]),
        "the stream 'noise' has the name of an axis or parameter",
    ),
]


@pytest.mark.parametrize(("function", "says"), MISTAKES, ids=lambda v: getattr(v, "__name__", "")[:30])
def test_a_function_that_cannot_be_called_is_found_when_the_sweep_is_made(function: Any, says: str) -> None:
    assert says in one_line(lambda: made(function))


class Walker:
    def walk(self, noise: float) -> float:
        return noise


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: spinsweep.cell(Walker().walk), "walk is a bound method; write @spinsweep.cell above the method"),
        (lambda: spinsweep.cell(3), "spinsweep.cell marks a plain function, not 3"),  # type: ignore[call-overload]
        (lambda: spinsweep.cell(abs), "marks a plain function, not <built-in function abs>; write a def"),
        (lambda: spinsweep.cell(typo, streams={"chip": 3}), "streams must map an argument to names of axes or None"),  # type: ignore[dict-item]
        (lambda: per_cell(Walker().walk), "per_cell cannot mark <bound method Walker.walk"),
    ],
)
def test_what_cannot_be_marked_is_one_line(make: Callable[[], Any], says: str) -> None:
    assert says in one_line(make)


@pytest.mark.parametrize(
    ("returned", "outputs", "says"),
    [
        (None, ["far"], "walk returned None; it ends without a return of far"),
        ((1, 2, 3), ["a", "b"], "walk returned 3 values for 2 outputs; return a mapping, or a tuple of a, b"),
        (1.0, ["a", "b"], "walk returned float for 2 outputs"),
    ],
)
def test_what_does_not_fit_the_outputs_is_the_error_of_the_cell(returned: Any, outputs: list[str], says: str) -> None:
    with pytest.raises(OutputError) as caught:
        by_output(returned, outputs, walk)
    assert says in str(caught.value)


def test_what_cannot_be_sent_is_named_however_deep_it_is(tmp_path: Path) -> None:
    import threading

    lock = threading.Lock()

    def helper() -> float:
        with lock:
            return 1.0

    @spinsweep.cell
    def uses(noise: float) -> float:
        return helper()

    says = "its function, which uses 'helper', which uses 'lock', cannot be sent to workers (TypeError: cannot pickle"
    line = one_line(lambda: spinsweep.run(made(uses), tmp_path / "c.zarr", workers=1))
    assert says in line
    assert 'compute in this process (executor="serial")' in line
    assert not (tmp_path / "c.zarr").exists()


# ---- from_function ---------------------------------------------------------------------------------------------


def test_lists_are_axes_single_values_and_defaults_are_parameters_and_outputs_are_inferred() -> None:
    def far(noise: float, steps: int = 30, *, rng: Any, scale: float = 2.0, kind: str = "normal") -> Any:
        """How far it gets.

        More.
        """
        path = rng.normal(0, noise, steps).cumsum()
        return {
            "farthest": scale * abs(path).max(),
            "above": (path > 0).sum(),
            "is_up": bool(path[-1] > 0),
            "n": 0,
            "path": path.astype("float32"),
            "parts": [[1, 2, 3]],
        }

    sweep = Sweep.from_function(
        far, noise=np.linspace(0.1, 0.2, 3), seed=range(5), steps=4, units={"noise": "V", "farthest": "V"}
    )

    assert (sweep.name, sweep.title) == ("far", "How far it gets.")
    assert [(a.name, a.unit, len(a.values)) for a in sweep.axes] == [("noise", "V", 3), ("seed", "1", 5)]
    assert sweep.params == {"steps": 4, "scale": 2.0, "kind": "normal"}
    assert [(o.name, o.dtype, o.dims) for o in sweep.outputs] == [
        ("farthest", "float64", ()),
        ("above", "int64", ()),
        ("is_up", "bool", ()),
        ("n", "float64", ()),
        ("path", "float32", ("path_0",)),
        ("parts", "float64", ("parts_0", "parts_1")),
    ]
    assert sweep.outputs[0].unit == "V"
    assert computed(sweep)["path"].shape == (3, 5, 4)
    assert computed(sweep.with_values(scale=4.0))["farthest"][0, 0] == 2 * computed(sweep)["farthest"][0, 0]


def test_a_value_alone_is_the_output_of_the_functions_name_and_a_tuple_needs_names() -> None:
    def mean_and_spread(x: float) -> tuple[float, float]:
        return x, 2 * x

    assert [o.name for o in Sweep.from_function(walk, noise=[1.0], seed=[1], steps=3).outputs] == ["walk"]
    assert [o.name for o in Sweep.from_function(lambda x: x, x=[1.0], name="f", outputs="y").outputs] == ["y"]
    sweep = Sweep.from_function(mean_and_spread, x=[1.0, 2.0], outputs=("mean", "spread"))
    assert computed(sweep)["spread"].tolist() == [2, 4]
    typed = Sweep.from_function(mean_and_spread, x=[1.0], outputs={"mean": np.float32, "spread": "float64"})
    assert [o.dtype for o in typed.outputs] == ["float32", "float64"]
    assert "returned a tuple of 2; name them: outputs=('mean', 'spread')" in one_line(
        lambda: Sweep.from_function(mean_and_spread, x=[1.0])
    )


def test_axes_with_the_names_of_arguments_of_ours_come_in_a_mapping() -> None:
    sweep = Sweep.from_function(
        lambda name, title: len(name) * title, {"name": ["a", "bc"], "title": 3}, name="named"
    )
    assert (sweep.axis_names, sweep.params) == (("name",), {"title": 3})
    assert computed(sweep)[sweep.outputs[0].name].tolist() == [3, 6]


def test_labelled_arrays_keep_their_dims() -> None:
    def waves(x: float) -> Any:
        return {"up": xr.DataArray(np.full((2, 3), x), dims=("t", "channel")), "down": np.zeros(2)}

    sweep = Sweep.from_function(waves, x=[1.0])
    assert [o.dims for o in sweep.outputs] == [("t", "channel"), ("down_0",)]


def test_outputs_that_are_declared_need_no_cell_to_be_computed() -> None:
    def never(x: float) -> float:
        raise AssertionError

    sweep = Sweep.from_function(never, x=[1.0], outputs=Output("y", unit="A"))
    assert (sweep.outputs[0].unit, sweep.dims) == ("A", ())


def test_an_axis_is_taken_as_it_is_and_limits_hold() -> None:
    sweep = Sweep.from_function(
        walk, noise=Axis("noise", (0.5,), "V", low=0), seed=[1], steps=Parameter("steps", 3, low=1)
    )
    assert "takes numbers from 0 V up" in one_line(lambda: sweep.with_values(noise=-1))


def raising(x: float) -> float:
    raise ValueError("no luck")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: Sweep.from_function(walk, nois=[1.0], seed=[1], steps=3),
            "walk has no argument 'nois' (did you mean 'noise'?)",
        ),
        (lambda: Sweep.from_function(walk, noise=[1.0]), "walk takes 'steps', which has no value"),
        (lambda: Sweep.from_function(Walker.walk, noise=[1.0]), "walk takes 'self', which has no value"),
        (lambda: Sweep.from_function(Walker().walk, noise=[1.0]), "walk is a bound method"),
        (lambda: Sweep.from_function(raising, x=[1.0], y=2), "raising has no argument 'y'; it takes x"),
        (lambda: Sweep.from_function(raising, x=[1.0]), "raising at x=1.0 raised ValueError: no luck;"),
        (lambda: Sweep.from_function(raising, x=1.0), "raising: no axis; give one argument"),
        (lambda: Sweep.from_function(raising, x=None), "raising: x is None; give x=[...] for an axis"),
        (lambda: Sweep.from_function(raising, x={1, 2}), "has no order; give a list"),
        (lambda: Sweep.from_function(raising, {"x": [1]}, x=[1]), "from_function: 'x' is given twice"),
        (lambda: Sweep.from_function(lambda x: x, x=[1]), "a lambda has no name; give name='...'"),
        (lambda: Sweep.from_function(lambda x: None, x=[1], name="f"), "returned None; it must return its outputs"),
        (lambda: Sweep.from_function(lambda x: object(), x=[1], name="f", outputs="y"), "no number or array"),
        (lambda: Sweep.from_function(lambda x: [[1], [1, 2]], x=[1], name="f", outputs="y"), "no array (ValueError"),
        (
            lambda: Sweep.from_function(lambda x: (1, 2), x=[1], name="f", outputs=("a", "b", "c")),
            "returned a tuple of 2; outputs= names a, b, c",
        ),
        (lambda: Sweep.from_function(lambda x: {"a": 1}, x=[1], name="f", outputs="b"), "and outputs= names b"),
        (lambda: Sweep.from_function(raising, x=[1.0], outputs=3), "outputs must be names, Outputs"),
        (lambda: Sweep.from_function(walk, noise=[1.0], steps=1, units={"nois": "V"}), "units names 'nois' (did"),
        (lambda: Sweep.from_function(raising, x=Axis("z", (1,))), "x= is given Axis 'z'; name both the same"),
        (lambda: Sweep.from_function(3, x=[1]), "from_function takes a function, not 3"),  # type: ignore[arg-type]
    ],
)
def test_a_mistake_in_from_function_is_one_line(make: Callable[[], Any], says: str) -> None:
    assert says in one_line(make)


SCRIPT = """
import spinsweep

def walk(noise, drift, steps, rng):
    return abs(rng.normal(drift, noise, steps).cumsum()).max()

if __name__ == "__main__":
    sweep = spinsweep.Sweep.from_function(walk, noise=[0.1, 0.5], drift=[0, 0.1], seed=range(4), steps=100)
    ds = spinsweep.run(sweep, "walk.zarr", workers=2).dataset
    print(ds.walk.values.tolist())
"""


def test_a_function_of_a_script_gives_the_same_numbers_in_this_process_and_in_others(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300
    )
    scope: dict[str, Any] = {"__name__": "mine"}
    exec(SCRIPT, scope)
    here = Sweep.from_function(scope["walk"], noise=[0.1, 0.5], drift=[0, 0.1], seed=range(4), steps=100)
    assert done.stdout == f"{computed(here)['walk'].tolist()}\n"
    assert done.stderr.startswith("walk: 16 cells to compute in ")


def test_a_sweep_of_a_function_is_pickled_with_it() -> None:
    sweep = Sweep.from_function(lambda x: 2 * x, x=[1.0, 2.0], name="f", outputs="y")
    assert computed(cloudpickle.loads(cloudpickle.dumps(sweep)))["y"].tolist() == [2, 4]


def test_dims_of_declared_outputs_are_declared_by_the_sweep_itself() -> None:
    assert (
        made(spinsweep.cell(lambda noise: [noise] * 2), Output("y", ("t",)), dims=(Dim("t", 2),)).dims[0].name == "t"
    )
