"""The sweeps through the engine: any box of cells has the same numbers, and the energies are those of the card."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spinsweep
from spinneurons.codesign.network import Network
from spinneurons.codesign.sweep import CROSSBAR, SWEEP
from spinneurons.mnist import data
from spinneurons.neurons import card as cards
from spinsweep.evaluate import evaluate
from spinsweep.spec import Sweep

SMALL = SWEEP.with_values(images=40, steps=12, epochs=1, seed=(0, 1))
SMALL_CROSSBAR = CROSSBAR.with_values(
    images=24, steps=8, epochs=1, seed=(0,), width=(5.0, 0.3), levels=(0, 3), stuck_off=(0.0, 0.1)
)
OUTPUTS = [o.name for o in SWEEP.outputs]


def values(sweep: Sweep, **some: Any) -> dict[str, np.ndarray]:
    """All outputs of the sweep, or of some of its axis values."""
    chosen = sweep.with_values(**some) if some else sweep
    found = evaluate(chosen, {a.name: a.values for a in chosen.axes})
    assert not found.errors
    return found.values


@pytest.fixture(scope="module")
def whole(trained: Network) -> dict[str, np.ndarray]:
    return values(SMALL)


@pytest.fixture(scope="module")
def whole_crossbar(trained: Network) -> dict[str, np.ndarray]:
    return values(SMALL_CROSSBAR)


def subsets(values: tuple[Any, ...]) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=len(values), unique=True)


def assert_box(sweep: Sweep, whole: dict[str, np.ndarray], places: list[list[int]]) -> None:
    some = {a.name: [a.values[i] for i in chosen] for a, chosen in zip(sweep.axes, places, strict=True)}
    found = values(sweep, **some)
    for name in OUTPUTS:
        np.testing.assert_array_equal(found[name], whole[name][np.ix_(*places)])


@settings(max_examples=8)
@given(places=st.tuples(*(subsets(a.values) for a in SMALL.axes)))
def test_any_box_of_the_grid_has_the_same_numbers(
    whole: dict[str, np.ndarray], places: tuple[list[int], ...]
) -> None:
    assert_box(SMALL, whole, list(places))


@settings(max_examples=5)
@given(places=st.tuples(*(subsets(a.values) for a in SMALL_CROSSBAR.axes)))
def test_any_box_of_the_crossbar_grid_has_the_same_numbers(
    whole_crossbar: dict[str, np.ndarray], places: tuple[list[int], ...]
) -> None:
    assert_box(SMALL_CROSSBAR, whole_crossbar, list(places))


def test_the_widest_bar_takes_fifty_times_the_energy_of_the_narrowest(whole: dict[str, np.ndarray]) -> None:
    energy = whole["synaptic_energy"]
    np.testing.assert_allclose(energy[0, 0] / energy[-1, 0], 50, rtol=1e-6)
    np.testing.assert_allclose(energy[0] / energy[-1], 50, rtol=0.2)  # with variation the spikes differ
    normalised = whole["energy_normalised"]
    np.testing.assert_allclose(energy / energy[0, 0, 0, -1], normalised / normalised[0, 0, 0, -1], rtol=1e-12)


def test_energy_is_what_the_spikes_read_at_the_current_of_the_card(
    whole: dict[str, np.ndarray], trained: Network
) -> None:
    card = cards.default()
    i0 = cards.value(card, "i0.intercept") + cards.value(card, "i0.slope") * 5.0
    every = sum(np.abs(w).sum() for w in trained.folded)
    volt = i0 / 1e-4
    one_read_of_all = volt**2 * 1e-4 * every * 1e-3
    np.testing.assert_allclose(
        whole["synaptic_energy"][0], whole["energy_normalised"][0] * one_read_of_all, rtol=1e-6
    )
    assert np.all((whole["energy_normalised"][0, ..., 0] > 0.05) & (whole["energy_normalised"][0, ..., 0] < 0.5))


def test_energy_and_spikes_only_grow_with_time(whole: dict[str, np.ndarray]) -> None:
    for name in ("synaptic_energy", "energy_normalised", "spikes_hidden", "spikes_output"):
        assert np.all(np.diff(whole[name], axis=-1) >= 0), name


def test_the_cube_names_the_weights_and_has_the_shift_of_z_of_the_card(tmp_path: Path, trained: Network) -> None:
    small = SMALL.with_values(width=(5.0,), variation=(0.1,), seed=(0,))
    spinsweep.run(small, tmp_path / "codesign.zarr", block={"width": 9, "variation": 6})
    grown = small.with_values(width=(5.0, 1.0, 0.3))
    cube = spinsweep.run(grown, tmp_path / "codesign.zarr").dataset

    assert cube.attrs["network_sha256"] == trained.digest
    assert cube.attrs["network_file"].endswith(".npz")
    assert list(cube.attrs["crossbar_tiles"]) == [49, 4]
    assert cube.coords["z_shift_scale"].dims == ("width",)
    assert cube.z_shift_scale.values == pytest.approx([10, 18.94, 30], rel=1e-3)
    assert cube.timestep.values[[0, -1]].tolist() == [1, small.params["steps"]]
    assert (cube.cell_state == 1).all()


@pytest.mark.slow  # tests/engine/test_rests_on.py tries the same with artifacts that cost nothing
def test_weights_that_another_processor_trained_are_not_mixed_in(tmp_path: Path) -> None:
    def run(processor: str, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
        asked = {
            "width": "5",
            "variation": "0.1",
            "seed": "0",
            "images": "20",
            "steps": "5",
            "epochs": "1",
            **settings,
        }
        command = [
            sys.executable,
            "-m",
            "spinsweep.cli",
            "run",
            "codesign",
            "--workers",
            "0",
            "--store",
            "c.zarr",
            *options,
        ]
        command += [part for name, value in asked.items() for part in ("--set", f"{name}={value}")]
        # torch's code for a processor without vector units rounds otherwise, as another processor's does
        environment = os.environ | {"ATEN_CPU_CAPABILITY": processor, "SPINSWEEP_CACHE": str(tmp_path / processor)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert run("avx2").returncode == 0
    complete, refused, stale = run("default"), run("default", seed="0:2"), run("default", "--mark-stale", seed="0:2")
    assert complete.returncode == 0, complete.stderr
    assert not complete.stderr.count("epoch")  # nothing to compute, nothing to train
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].count("computed with network_sha256")
    assert "Traceback" not in refused.stderr
    assert stale.returncode == 0, stale.stderr
    assert "2 of 2 done (2 in this run" in stale.stdout

    shutil.copytree(tmp_path / "default", tmp_path / "avx2", dirs_exist_ok=True)  # the way that the message names
    assert run("avx2", seed="0:3").returncode == 0


def test_cells_of_a_seed_share_their_noise_and_seeds_do_not(whole: dict[str, np.ndarray]) -> None:
    hidden = whole["spikes_hidden"]
    np.testing.assert_array_equal(hidden[0, 0], hidden[-1, 0])
    assert not np.array_equal(hidden[0, 0, 0], hidden[0, 0, 1])


@pytest.mark.parametrize(
    "change",
    [
        {"vary": "neurons"},
        {"distribution": "normal"},
        {"w2": "raw"},
        {"ties": "random"},
        {"levels": 3},
        {"stuck_off": 0.1},
        {"stuck_on": 0.01},
        {"read_noise": 1.0},
        {"link": "cloglog"},
        {"root_seed": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_choice_changes_numbers_and_identity(whole: dict[str, np.ndarray], change: dict[str, Any]) -> None:
    changed = SMALL.with_values(**change)
    found = values(changed, width=(1.0,), variation=(0.15,), seed=(0,))
    at = [[4], [3], [0]]
    assert any(not np.array_equal(found[n], whole[n][np.ix_(*at)]) for n in ("accuracy", "spikes_output"))
    assert changed.digest != SMALL.digest


def test_where_the_data_lie_is_no_part_of_the_identity(tmp_path: Path) -> None:
    for path in data.PACKAGE.glob("*.gz"):
        shutil.copy(path, tmp_path)
    elsewhere = SWEEP.with_text({"data": str(tmp_path)})
    assert elsewhere.params["data"]["folder"] == str(tmp_path)
    assert elsewhere.digest == SWEEP.digest


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_story_of_the_paper_holds_on_all_test_images() -> None:
    found = values(SWEEP, seed=(0, 1, 2))["accuracy"][..., -1].astype(np.float64)
    mean = found.mean(axis=2)
    baseline = mean[:, 0]
    np.testing.assert_allclose(baseline, 0.9738, atol=0.003)
    assert baseline[0] - mean[0, -1] < 0.03
    assert baseline[-1] - mean[-1, -1] > 0.15
    assert np.all(np.diff(mean[:, 2:], axis=0) < 0.001)
