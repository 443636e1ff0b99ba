"""The compiled loops give the spikes of the general kernel, bit for bit, and those of the reference."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from chips_and_digits import compare_spikes, make_chip
from hypothesis import given, settings
from hypothesis import strategies as st

from spinneurons.codesign import chip as chips
from spinneurons.codesign import fused, model
from spinneurons.codesign.chip import Programmed
from spinneurons.codesign.draws import Batch, Draws, neuron_thresholds
from spinneurons.codesign.model import CellGrid, Plane, plane
from spinneurons.codesign.network import Network
from spinneurons.codesign.tables import PlaneTables

NEVER = 10**9
FIELDS = [field.name for field in dataclasses.fields(Plane)]


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled loops also where they would not pay."""
    monkeypatch.setattr(model, "FROM_IMAGES", 0)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("vary", chips.VARY)
def test_all_spikes_equal_the_reference_but_for_rounding_at_a_threshold(
    trained: Network, digits: Batch, draws: Draws, vary: str
) -> None:
    grid = CellGrid((0.0, 0.05, 0.25), (10.0, 18.9, 30.0, 40.0), 53)
    chip = make_chip(trained, vary)
    assert fused.fits(PlaneTables(chip, grid))
    compared, different = compare_spikes(chip, digits[:8], draws, grid, ((0, 0), (1, 2), (2, 1), (2, 3)))
    assert compared > 600_000
    assert different <= 2e-6 * compared


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_plane_equals_that_of_the_general_kernel_bit_for_bit(data: st.DataObject) -> None:
    sizes = data.draw(st.tuples(st.just(784), st.integers(1, 9), st.integers(1, 10)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    scale = data.draw(st.sampled_from([0.1, 1.0, 8.0]))
    layers = [Programmed.ideal((rng.normal(size=shape) * scale).astype(np.float32)) for shape in pairwise(sizes)]
    chip = chips.make(layers, rng, rng, data.draw(st.sampled_from(chips.VARY)), "uniform", rng)
    images = rng.integers(0, 256, (data.draw(st.integers(1, 18)), 784), np.uint8) * (rng.random(784) < 0.2)
    batch = Batch(
        images.astype(np.uint8), rng.integers(0, sizes[-1], len(images)).astype(np.uint8), np.arange(len(images))
    )
    grid = CellGrid(
        data.draw(st.lists(st.sampled_from([0.0, 0.05, 0.3]), min_size=1, max_size=3)),
        data.draw(st.lists(st.floats(1, 60), min_size=1, max_size=5)),
        data.draw(st.sampled_from([1, 7, 50, 61, 100])),
        ties=data.draw(st.sampled_from(["fraction", "random"])),
        thresholds=neuron_thresholds(read_noise=data.draw(st.sampled_from([0.0, 0.5]))),
        zeta=data.draw(st.sampled_from([0.0, 0.2])),
    )
    planes = []
    for least in (0, NEVER):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(model, "FROM_IMAGES", least)
            planes.append(plane(chip, batch, Draws((3, 4)), grid, threads=data.draw(st.sampled_from([1, 2]))))
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(planes[0], name), getattr(planes[1], name))


def test_what_the_loops_do_not_know_is_left_to_the_general_kernel(trained: Network) -> None:
    chip = make_chip(trained)
    assert not fused.fits(PlaneTables(chip, CellGrid([0.1], [18.9], 5, class_by="membrane")))


@pytest.mark.slow
def test_where_nothing_compiled_can_be_kept_each_process_compiles(tmp_path: Path) -> None:
    program = """
import numba.core.caching
numba.core.caching.CacheImpl._locator_classes = []
import numpy as np
from spinneurons.codesign import fused
d = np.array([0, 1, 2, 3], np.float32)
limits = np.full(16, np.inf, np.float32)
limits[:2] = 0.5, 2.5
print([fused._count(one, limits) for one in d])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stdout == "[0, 1, 1, 2]\n", done.stderr
