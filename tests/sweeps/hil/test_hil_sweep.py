"""The sweeps through the engine and the command line, and their figures."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from spinneurons.hil import analysis
from spinneurons.hil.figures import FIGURES, FIGURES_MULTIPLEXED, FIGURES_REPLICATES
from spinneurons.hil.replicates import REPLICATES
from spinneurons.hil.sweep import MULTIPLEXED, SWEEP
from spinneurons.neurons import card as cards
from spinneurons.neurons.hall_bar import HallBar
from spinsweep.cli import main
from spinsweep.evaluate import evaluate
from spinsweep.spec import Sweep

SMALL = SWEEP.with_values(seed=(0, 1), epochs=2, steps=20, cycles=20)
SMALL_MULTIPLEXED = MULTIPLEXED.with_values(seed=(0, 1), epochs=2, steps=20, cycles=20)
SMALL_REPLICATES = REPLICATES.with_values(
    variation=(0.0, 0.25), ratio=(10.0, 35.0), seed=(0, 1), epochs=2, steps=10, test_images=70
)


def values(sweep: Sweep, **some: Any) -> dict[str, np.ndarray]:
    """All outputs of the sweep, or of some of its axis values."""
    chosen = sweep.with_values(**some)
    found = evaluate(chosen, {a.name: a.values for a in chosen.axes})
    assert not found.errors
    return found.values


def cube_of(sweep: Sweep) -> xr.Dataset:
    """The sweep's results as the cube shows them."""
    found = values(sweep)
    coords = {a.name: np.asarray(a.values) for a in sweep.axes}
    coords |= {d.name: np.asarray(sweep.dim_values(d.name)) for d in sweep.dims}
    arrays = {o.name: ((*sweep.axis_names, *o.dims), found[o.name]) for o in sweep.outputs}
    state = (sweep.axis_names, np.ones(sweep.shape, np.uint8))
    return xr.Dataset({**arrays, "cell_state": state}, coords, {"parameters": '{"link": "logistic"}'})


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    return cube_of(SMALL)


@pytest.fixture(scope="module")
def multiplexed() -> xr.Dataset:
    return cube_of(SMALL_MULTIPLEXED)


@pytest.fixture(scope="module")
def replicated() -> xr.Dataset:
    return cube_of(SMALL_REPLICATES)


def test_a_run_from_the_command_line_is_resumed_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--set", "epochs=2", "--set", "steps=20", "--set", "cycles=20", "--workers", "0"]
    assert main(["run", "hil", "--set", "seed=0", *small]) == 0
    assert main(["run", "hil", "--set", "seed=0:2", *small]) == 0
    assert main(["figures", "results/hil.zarr", "--out", "figures"]) == 0
    capfd.readouterr()
    assert {f"{name}.png" for name in FIGURES} <= {p.name for p in (tmp_path / "figures").iterdir()}
    stored = xr.open_zarr(tmp_path / "results/hil.zarr")
    assert stored.sizes["neuron"] == 4
    assert (stored.cell_state == 1).all()
    alone = values(SMALL, mode=("hil",), seed=(1,))
    np.testing.assert_array_equal(stored.weights.sel(mode="hil", seed=1), alone["weights"][0, 0])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("classes=0,2", "neurons: 4, but 2 classes need 2; set neurons=2"),
        ("hidden=5", "neurons: 4, but 4 classes and hidden layers of 5 need 9; set neurons=9"),
        ("hidden=0", "hidden: 0 neurons in a layer"),
        ("classes=0,2,4,x", "classes: 'x' is not a whole number"),
        ("devices=", "devices: none given; at least one device number is needed"),
        ("images=18", "images: 18 images are not the same number of each of 4 classes; give a multiple of 4"),
        ("test_images=6", "test_images: 6 images are not the same number"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_one_line_before_anything_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], setting: str, said: str
) -> None:
    store = tmp_path / "hil.zarr"
    assert main(["run", "hil", "--workers", "0", "--set", setting, "--store", str(store)]) == 2
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert said in last
    assert not store.exists()


def test_both_modes_of_a_seed_share_images_and_curves_and_seeds_do_not(cube: xr.Dataset) -> None:
    hil, software = (cube.sel(mode=m) for m in ("hil", "software"))
    for name in ("label", "test_label", "curve_switches", "bias_current"):
        np.testing.assert_array_equal(hil[name], software[name])
    first, second = (cube.sel(mode="software", seed=s).weights for s in (0, 1))
    assert not np.array_equal(first, second)
    assert hil.r_write.notnull().all()
    assert software.r_write.isnull().all()
    assert software.test_r_write.notnull().all()


def test_without_variation_the_modes_train_to_nearly_the_same_network() -> None:
    card = cards.default()
    for section in ("i_bias", "i0"):
        card[section]["spread"]["value"] = 0.0
    found = values(SWEEP, card=card, seed=(0,), steps=1000, epochs=1, cycles=5)["weights"][:, 0, 0]
    start = values(SWEEP, card=card, seed=(0,), steps=1000, epochs=1, cycles=5, learning_rate=0.0)["weights"][1, 0, 0]
    moved = np.sqrt(np.mean((found[1] - start) ** 2))
    assert np.sqrt(np.mean((found[0] - found[1]) ** 2)) < 0.1 * moved


def test_the_bias_current_is_the_width_s_mean_or_each_device_s_own_fit() -> None:
    mean = values(SMALL, mode=("hil",), seed=(0,))
    fitted = values(SMALL, mode=("hil",), seed=(0,), bias="fitted")
    assert len(set(mean["bias_current"].ravel())) == 1
    np.testing.assert_array_equal(fitted["bias_current"], fitted["curve_i_bias"])
    assert len(set(fitted["bias_current"].ravel())) == 4
    np.testing.assert_array_equal(fitted["curve_i_bias"], mean["curve_i_bias"])


def test_a_calibrated_device_is_driven_about_its_most_probable_bias_and_two_cycles_a_current_are_enough() -> None:
    software = values(SMALL, mode=("software",), seed=(0,))
    found = values(SMALL.with_text({"method": "calibrated", "seed": "0"}))
    np.testing.assert_array_equal(found["weights"], software["weights"])
    np.testing.assert_array_equal(found["curve_switches"], software["curve_switches"])
    np.testing.assert_allclose(found["bias_current"], found["curve_i_bias"], rtol=0.01)
    few = {"seed": "0", "cycles": "2", "currents": "14"}
    loop = values(SMALL.with_text({"method": "in-the-loop-calibrated", **few}))
    card = HallBar(cards.default())
    true = [card.individual(0.5, d)[0] for d in range(4)]
    nominal = float(card.i_bias(0.5))
    error, spread = (np.sqrt(np.mean((np.array(a) - true) ** 2)) for a in (loop["bias_current"][0, 0], nominal))
    assert error < spread / 2
    assert not np.array_equal(loop["weights"], software["weights"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["method=calibrated", "mode=hil"], "mode: hil, but method=calibrated has mode=software"),
        (["method=calibrated", "bias=fitted"], "bias: fitted, but method=calibrated has bias currents of its own"),
    ],
)
def test_a_method_with_another_mode_or_bias_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], settings: list[str], said: str
) -> None:
    words = [word for setting in settings for word in ("--set", setting)]
    assert main(["run", "hil", "--workers", "0", *words, "--store", str(tmp_path / "hil.zarr")]) == 2
    assert said in capfd.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "hil.zarr").exists()


def test_hidden_neurons_and_fewer_devices_than_neurons_are_described_by_the_cube() -> None:
    found = values(SMALL, mode=("hil",), seed=(0,), hidden="5,3", neurons=12, devices="0,3,1")
    assert found["device_number"][0, 0].tolist() == [0, 3, 1] * 4
    weights = found["weights"][0, 0, -1]
    assert np.isfinite(weights).sum(axis=0).tolist() == [784] * 5 + [5] * 3 + [3] * 4
    assert np.isnan(found["confidence"][..., :8]).all()
    assert np.isfinite(found["confidence"][..., 8:]).all()
    assert np.isfinite(found["activation"]).all()


def test_a_device_without_a_curve_cannot_be_driven_about_its_fit() -> None:
    chosen = SMALL.with_values(mode=("hil",), seed=(0,), bias="fitted", currents=2)
    (error,) = evaluate(chosen, {a.name: a.values for a in chosen.axes}).errors.values()
    assert error.message.startswith("device 0: ")
    assert error.message.endswith("drive it with bias=mean")


def test_one_device_is_two_neurons_with_noise_of_their_own(multiplexed: xr.Dataset) -> None:
    assert (multiplexed.device_number == 0).all()
    assert multiplexed.sizes["neuron"] == 2
    assert multiplexed.sizes["test_image"] == 6
    one = multiplexed.sel(mode="hil", seed=0)
    assert set(one.label.values) == {0, 2}
    assert not np.array_equal(one.r_reset[..., 0], one.r_reset[..., 1])


@settings(max_examples=6)
@given(data=st.data())
def test_any_box_of_the_replicates_has_the_same_numbers(replicated: xr.Dataset, data: st.DataObject) -> None:
    places = [
        data.draw(st.lists(st.integers(0, len(a.values) - 1), min_size=1, unique=True)) for a in SMALL_REPLICATES.axes
    ]
    some = {a.name: [a.values[i] for i in p] for a, p in zip(SMALL_REPLICATES.axes, places, strict=True)}
    found = values(SMALL_REPLICATES, **some)
    for name in ("accuracy", "loss"):
        np.testing.assert_array_equal(found[name], replicated[name].values[np.ix_(*places)])


def test_drives_and_decisions_beside_each_other_have_the_numbers_that_each_has_alone(replicated: xr.Dataset) -> None:
    both = {"bias": ("mean", "own"), "decision": ("counts", "inputs", "normalised")}
    sweep = SMALL_REPLICATES.with_values(variation=(0.25,), ratio=(35.0,), **both)
    found = values(sweep)["accuracy"][:, 0, 0]  # mode, bias, decision, seed
    np.testing.assert_array_equal(found[:, 0, 0], replicated["accuracy"].sel(variation=0.25, ratio=35.0))
    for b, d in np.ndindex(2, 3):
        alone = values(sweep, bias=(both["bias"][b],), decision=(both["decision"][d],))["accuracy"]
        np.testing.assert_array_equal(alone.reshape(2, 2), found[:, b, d])
    software = found[1]
    np.testing.assert_array_equal(software[0, 1], software[1, 1])  # inputs come of no device


def test_devices_that_do_not_deviate_have_the_same_mean_and_own_drive() -> None:
    sweep = SMALL_REPLICATES.with_values(variation=(0.0,), ratio=(35.0,), bias=("mean", "own"))
    found = values(sweep)["accuracy"][:, 0, 0]
    np.testing.assert_array_equal(found[:, 0], found[:, 1])


@pytest.mark.parametrize("decision", ["inputs", "normalised"])
def test_a_class_may_be_chosen_by_the_inputs_of_the_neurons(decision: str) -> None:
    found = values(SMALL, decision=decision, mode=("hil",), seed=(0,))
    plain = values(SMALL, mode=("hil",), seed=(0,))
    for name in ("weights", "test_activation", "test_label"):
        np.testing.assert_array_equal(found[name], plain[name])
    z, confidence = found["test_input"][0, 0], found["confidence"][0, 0]
    np.testing.assert_allclose(confidence.sum(axis=-1), 1)
    if decision == "inputs":
        np.testing.assert_allclose(confidence, np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True), rtol=1e-9)
        classes = np.array([0, 2, 4, 6])
        np.testing.assert_array_equal(found["predicted"][0, 0], classes[z.argmax(axis=-1)])
    assert "test_input" not in plain


def test_a_rule_without_a_model_of_a_device_trains_in_the_loop_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert SWEEP.with_values(rule="noise-based").axis("mode").values == ("hil",)
    words = ["run", "hil", "--workers", "0", "--store", str(tmp_path / "a.zarr"), "--set", "rule=noise-based"]
    assert main([*words, "--set", "mode=hil,software"]) == 2
    assert "mode: hil, software, but rule=noise-based learns from devices; set mode=hil" in capfd.readouterr().err
    assert not (tmp_path / "a.zarr").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_hardware_in_the_loop_keeps_what_variation_takes_from_software() -> None:
    """At I_bias/i0 = 35 and 25 %: all but a few points in the loop, and a third and more in software."""
    found = values(REPLICATES, variation=(0.0, 0.25), ratio=(35.0,), seed=tuple(range(10)))["accuracy"][:, :, 0]
    (hil, software) = found.mean(axis=-1)
    assert hil[0] == pytest.approx(software[0], abs=0.01)
    assert hil[0] - hil[1] < 0.1
    assert software[0] - software[1] > 0.25
    assert np.mean(found[0, 1] > found[1, 1]) >= 0.9


def gains(hil: list[float], software: list[float]) -> xr.Dataset:
    """Replicates of one variation and ratio with these accuracies by seed."""
    accuracy = np.array([hil, software])[:, None, None, :]
    coords = {"mode": ["hil", "software"], "variation": [0.1], "ratio": [20.0], "seed": np.arange(len(hil))}
    state = np.where(np.isnan(accuracy), 2, 1).astype(np.uint8)
    dims = tuple(coords)
    return xr.Dataset({"accuracy": (dims, np.nan_to_num(accuracy)), "cell_state": (dims, state)}, coords)


def test_the_gain_is_compared_seed_by_seed_and_unpaired_seeds_are_left_out() -> None:
    found = analysis.advantage(gains([0.8, 0.9, 0.7, np.nan], [0.5, 0.8, 0.7, 0.1])).squeeze()
    assert float(found["mean"]) == pytest.approx(0.4 / 3)
    assert float(found["half"]) == pytest.approx(4.302653 * np.std([0.3, 0.1, 0.0], ddof=1) / np.sqrt(3))
    assert float(found["wins"]) == pytest.approx(2.5 / 3)
    assert 0 < float(found["low"]) < 2.5 / 3 < float(found["high"]) <= 1


def test_images_right_are_counted_ties_in_part_and_cells_not_done_are_not(cube: xr.Dataset) -> None:
    cube = cube.copy(deep=True)
    labels = cube["test_label"][0, 0].values
    own = (np.array([0, 2, 4, 6]) == labels[:, None]).astype(float)
    cube["confidence"][0, 0] = own
    cube["confidence"][1, 0] = np.array([0.25, 0.5 * own[1].max(), np.nan, 0.0])[:, None] + 0 * own
    cube["confidence"][1, 0, 0] = 0.25  # four classes share it
    cube["confidence"][1, 0, 1] = np.where(own[1] > 0, 0.4, np.where(np.roll(own[1], 1) > 0, 0.4, 0.1))  # two do
    cube["confidence"][1, 0, 3] = np.where(own[3] > 0, 0.1, 0.3)  # another class is ahead
    cube["cell_state"][0, 1] = 2
    right = analysis.right(cube)
    assert float(right[0, 0]) == 4
    assert float(right[1, 0]) == 0.25 + 0.5 + 0 + 0
    assert np.isnan(right[0, 1])
    assert analysis.shown_seed(cube) == 0


def test_the_images_of_a_figure_are_those_of_the_training(
    cube: xr.Dataset, multiplexed: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    multiplexed.attrs["sweep"] = "hil-multiplexed"
    for one, name, count in ((cube, "s11_network", 16), (multiplexed, "s12_images", 6)):
        *_, ax = (FIGURES | FIGURES_MULTIPLEXED)[name](one).axes
        assert len(ax.images) == count
    labels = cube["label"].values.copy()
    labels[..., 4:] = np.roll(labels[..., 4:], 1, axis=-1)
    other = cube.assign(label=cube["label"].copy(data=labels))
    *_, ax = FIGURES["s11_network"](other).axes
    assert [t.get_text() for t in ax.texts] == ["the data here give other training images"]

    def gone(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("digits")

    monkeypatch.setattr("spinneurons.hil.sweep.data.checked", gone)
    *_, ax = FIGURES["s11_network"](cube).axes
    assert [t.get_text() for t in ax.texts] == ["the data of the training images are not here"]


def size(build: Any, cube: xr.Dataset) -> int:
    file = BytesIO()
    build(cube).savefig(file, format="png")
    return file.tell()


ALL = [
    *((FIGURES[n], "cube") for n in FIGURES),
    *((FIGURES_MULTIPLEXED[n], "multiplexed") for n in FIGURES_MULTIPLEXED),
    *((FIGURES_REPLICATES[n], "replicated") for n in FIGURES_REPLICATES),
]


@pytest.mark.parametrize(("build", "name"), ALL, ids=lambda v: v if isinstance(v, str) else v.__name__)
def test_a_figure_of_the_whole_or_of_some_cells_or_of_nothing(
    build: Any, name: str, request: pytest.FixtureRequest
) -> None:
    cube = request.getfixturevalue(name)
    assert size(build, cube) > 5000
    for place in range(2):
        state = xr.zeros_like(cube["cell_state"])
        state[{"mode": place, "seed": 1}] = 1
        assert size(build, cube.assign(cell_state=state)) > 1000
        assert size(build, cube.isel(mode=[place])) > 1000
    assert size(build, cube.assign(cell_state=xr.zeros_like(cube["cell_state"]))) > 1000


def test_loss_is_drawn_for_the_seed_that_the_legend_names(cube: xr.Dataset) -> None:
    (ax,) = FIGURES["fig4c_loss"](cube).axes
    thick = [line for line in ax.lines if line.get_linewidth() > 1]
    for line, mode in zip(thick, ("hil", "software"), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), cube["loss"].sel(mode=mode, seed=0))
        np.testing.assert_array_equal(line.get_xdata(), [1, 2])


def test_confidences_are_drawn_by_class_and_marked_right_or_wrong(cube: xr.Dataset) -> None:
    left, _ = FIGURES["fig4de_confidence"](cube).axes
    one = cube.sel(mode="hil", seed=0)
    heights = [[bar.get_height() for bar in group] for group in left.containers]
    np.testing.assert_allclose(np.transpose(heights), one["confidence"])
    marks = [t.get_text() for t in left.texts]
    assert marks == ["✓" if good else "✗" for good in (one["predicted"] == one["test_label"]).values]


def test_the_identity_of_a_training_has_what_changes_numbers() -> None:
    changed = [
        SWEEP.with_values(**{name: v})
        for name, v in (
            ("bias", "fitted"),
            ("epochs", 3),
            ("z_limit", 6.0),
            ("rule", "noise-based"),
            ("decision", "inputs"),
        )
    ]
    digests = {s.digest for s in (SWEEP, MULTIPLEXED, replace(SWEEP, title="another"), *changed)}
    assert len(digests) == 7
