"""The macrospin sweep: same bits in any cut, the findings, its analysis, figures and benchmark."""

import json

import numpy as np
import pytest
import xarray as xr
from tests.bench import macrospin as bench

import spinsweep
from spinneurons.analysis.cubes import mask_unfinished
from spinneurons.macrospin import analysis, figures
from spinneurons.macrospin.sweep import SWEEP
from spinneurons.neurons.laws import LOGISTIC
from spinsweep.evaluate import evaluate

WIDTHS, PULSES = (20.0, 80.0, 140.0, 200.0), (1e-9, 3e-9)
SMALL = SWEEP.with_values(width=WIDTHS, pulse=PULSES, currents=12, trajectories=200)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return spinsweep.run(SMALL, tmp_path_factory.mktemp("macrospin") / "cube.zarr").dataset.load()


@pytest.fixture
def cube(stored):
    return stored.copy(deep=True)


def test_every_cell_is_done_and_counts_are_of_the_trajectories(stored):
    assert (stored["cell_state"] == 1).all()
    assert stored["switches"].dtype == np.int64
    assert 0 <= stored["switches"].min() <= stored["switches"].max() <= 200
    np.testing.assert_allclose(stored["stability"], np.array(WIDTHS), rtol=1e-3)  # 40 at 40 nm


def test_the_cells_are_the_same_bits_on_workers_and_in_another_cut(client, stored, tmp_path):
    spread = spinsweep.run(
        SMALL, tmp_path / "spread.zarr", client=client, block={"width": 1, "pulse": 1}
    ).dataset.load()
    alone = evaluate(SMALL, {"width": (80.0,), "pulse": (3e-9,)}).values
    for name in ("i_write", "switches", "i_bias", "i0_cloglog_stderr"):
        assert spread[name].values.tobytes() == stored[name].values.tobytes()
        assert np.asarray(alone[name][0, 0]).tobytes() == stored[name].values[1, 1].tobytes()


def test_counts_follow_the_exact_law(stored):
    p, n = stored["p_exact"].values, 200
    assert ((p > 0.001) & (p < 0.999)).all()
    chi = ((stored["switches"].values / n - p) ** 2 / (p * (1 - p) / n)).sum()
    assert abs(chi - p.size) < 5 * np.sqrt(2 * p.size)


@pytest.mark.parametrize("link", ["logistic", "cloglog"])
def test_bias_current_and_window_are_linear_in_the_width_but_their_ratio_does_not_grow_as_it_shrinks(stored, link):
    for pulse in range(2):
        found = analysis.curves_by_width(stored, pulse, link)
        assert found.bias_line.r_squared > 0.99
        assert found.window_line.r_squared > 0.97
        assert found.growth < 1 - 4 * found.growth_stderr


def test_the_ratio_is_that_of_an_independent_code():
    # another implementation, 10 ns, 20 and 200 nm: I_bias 1.05 and 14.9 uA, i0 0.148 and 1.17 uA
    sweep = SWEEP.with_values(width=(20.0, 200.0), pulse=(1e-8,), trajectories=200, currents=12)
    found = evaluate(sweep, {"width": (20.0, 200.0), "pulse": (1e-8,)}).values
    np.testing.assert_allclose(found["i_bias"][:, 0], [1.05e-6, 14.9e-6], rtol=0.05)
    np.testing.assert_allclose(found["i0"][:, 0], [0.148e-6, 1.17e-6], rtol=0.12)


def test_a_logistic_misses_the_counts_by_a_few_percent_only(stored):
    z = (stored["i_write"] - stored["i_bias"]) / stored["i0"]
    share = stored["switches"] / analysis.trajectories(stored)
    assert float(abs(LOGISTIC.probability(z) - share).max()) < 0.06 + 4 * 0.5 / np.sqrt(200)


def test_the_fitted_bias_current_is_the_exact_one_to_the_curve_s_shape(stored):
    params = json.loads(stored.attrs["parameters"])
    for w in WIDTHS:
        exact = analysis.exact_bias(params, w, 1e-9)
        fitted = stored.sel(width=w, pulse=1e-9)
        assert float(fitted["i_bias"]) == pytest.approx(exact, abs=0.5 * float(fitted["i0"]))


def test_pulses_of_100_us_need_less_current_by_the_barrier_and_by_the_exact_law(stored):
    found = analysis.long_pulse(stored, 1e-4)
    np.testing.assert_allclose(found.mapped, found.exact, rtol=0.02)
    assert (found.exact < 0.1 * analysis.curves_by_width(stored, 0).i_bias).all()


def test_spins_in_the_plane_switch_with_a_field_of_one_sign_only():
    field = 0.2 * 5.493e4
    shares = []
    for sign in (1, -1):
        sweep = SWEEP.with_values(
            torque="in-plane",
            field_x=sign * field,
            rest=3e-9,
            currents=5,
            trajectories=60,
            width=(60.0,),
            pulse=(5e-9,),
        )
        values = evaluate(sweep, {"width": (60.0,), "pulse": (5e-9,)}).values
        shares.append(values["switches"][0, 0] / 60)
        assert np.isnan(values["p_exact"]).all()
        np.testing.assert_allclose(values["i_write"][0, 0, [0, -1]] / 1.677922e-5 / 3, [0.3, 1.5], rtol=1e-3)
    assert shares[0][2] > 0.5  # 0.9 of the critical current
    assert shares[1][2] < 0.2


@pytest.mark.parametrize("name", figures.FIGURES)
@pytest.mark.parametrize(
    "cut", [{}, {"width": [1]}, pytest.param({"width": [2, 0], "pulse": [1]}, marks=pytest.mark.slow)]
)
def test_a_figure_of_any_part_is_drawn(cube, name, cut, tmp_path):
    figures.FIGURES[name](cube.isel(cut)).savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 2_000


@pytest.mark.parametrize("name", figures.FIGURES)
def test_a_cube_with_nothing_done_says_so(cube, name):
    cube["cell_state"].values[:] = 0
    texts = [t.get_text() for ax in figures.FIGURES[name](cube).axes for t in ax.texts]
    assert {"no cell is done yet", "fewer than two widths have a fit"} & set(texts)


def test_a_cell_that_is_not_done_is_left_out(cube):
    cube["cell_state"].values[0, 0] = 2
    done = figures._fitted(mask_unfinished(cube))
    assert done[0].width.tolist() == [80.0, 140.0, 200.0]
    assert done[1].width.tolist() == list(WIDTHS)


def test_the_ratio_of_the_macrospin_falls_where_the_card_s_rises(cube):
    lines = {line.get_label(): line.get_ydata() for line in figures.FIGURES["s7_ratio"](cube).axes[0].lines}
    card = lines["Hall bars, device card"]
    assert card[0] == pytest.approx(3)
    assert card[-1] == 1
    found = figures.FIGURES["s7_ratio"](cube).axes[0].containers[0].lines[0].get_ydata()
    assert found[0] < 0.8


def test_the_benchmark_compares_the_kernel_with_the_reference(capsys):
    found = bench.main(["--rounds", "1", "--steps", "100"])
    assert all(rate > 0 for rates in found.values() for rate in rates)
    assert found["kernel, 8,192 trajectories"][0] > 2 * found["reference, 10,000 trajectories"][0]
    assert "times the reference" in capsys.readouterr().out


@pytest.mark.slow
def test_the_kernel_does_33_million_steps_a_second_of_a_core_at_least():
    rates = bench.main(["--rounds", "5"])["kernel, 8,192 trajectories"]
    assert max(rates) > bench.LEAST


def test_a_cube_is_an_xarray_dataset_with_units(stored):
    assert isinstance(stored, xr.Dataset)
    assert stored["i_bias"].attrs["units"] == "A"
    assert stored["pulse"].attrs["units"] == "s"
