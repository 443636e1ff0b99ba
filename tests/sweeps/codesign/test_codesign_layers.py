"""Networks of any depth, trained here or elsewhere: spikes of the reference, weights of the file, one-line errors."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from chips_and_digits import compare_spikes, reference_neurons

from spinneurons.codesign import chip as chips
from spinneurons.codesign import network, own_weights, reference
from spinneurons.codesign.calibrated import Method, estimate
from spinneurons.codesign.chip import Chip, Programmed
from spinneurons.codesign.draws import Batch, Draws
from spinneurons.codesign.model import CellGrid, plane
from spinneurons.codesign.network import Network, Recipe
from spinneurons.codesign.sweep import CROSSBAR, SWEEP
from spinneurons.mnist import data
from spinneurons.mnist.data import Digits
from spinneurons.neurons.laws import LOGISTIC
from spinsweep.errors import SpecError
from spinsweep.evaluate import evaluate

SIZES = (784, 40, 30, 20, 10)
ETAS, RATIOS = (0.0, 0.2), (10.0, 25.0)


@pytest.fixture(scope="module")
def deep() -> Chip:
    """A chip of four layers whose sums are of the order of a neuron's window."""
    rng = np.random.default_rng(1)
    w = [rng.normal(0, 3 / np.sqrt(n), (n, m)).astype(np.float32) for n, m in pairwise(SIZES)]
    return chips.make([Programmed.ideal(one) for one in w], *(np.random.default_rng(i) for i in (2, 3)),
                      scales=np.random.default_rng(4))  # fmt: skip


def cells(chip: Chip, steps: int, kind: str) -> CellGrid:
    if kind == "plain":
        return CellGrid(ETAS, RATIOS, steps)
    method = Method(28, LOGISTIC, gains=kind == "both")
    estimates = estimate(chip, ETAS, RATIOS, 0.1, method, np.random.default_rng(5))
    return CellGrid(ETAS, RATIOS, steps, zeta=0.1, estimates=estimates)


@pytest.mark.parametrize("kind", ["plain", "i_bias", "both"])
def test_all_spikes_of_four_layers_equal_the_reference(deep: Chip, digits: Batch, draws: Draws, kind: str) -> None:
    every = tuple((e, r) for e in range(2) for r in range(2))
    compared, different = compare_spikes(deep, digits[:6], draws, cells(deep, 52, kind), every)
    assert compared == 6 * 52 * sum(SIZES[1:]) * 4
    assert different <= 2e-6 * compared


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])  # the second runs as on a CUDA device
@pytest.mark.parametrize("kind", ["plain", "both"])
def test_a_plane_of_four_layers_gives_the_reference_cells(
    deep: Chip, digits: Batch, draws: Draws, kind: str, device: str
) -> None:
    grid = cells(deep, 15, kind)
    fast = plane(deep, digits[:20], draws, grid, device=device)
    slow = reference.run(deep, digits[:20], draws, 0.2, 25.0, 15, neurons=reference_neurons(grid, 1, 1))
    np.testing.assert_allclose(fast.accuracy[1, 1], slow.accuracy, atol=1e-12)
    np.testing.assert_array_equal(fast.spikes_hidden[1, 1], slow.spikes_hidden)
    np.testing.assert_allclose(fast.weight_read[1, 1], slow.weight_read, rtol=3e-5)


def test_a_deep_network_learns_as_automatic_differentiation_says() -> None:
    train = data.load("train")
    some = Digits(train.images[:200], train.labels[:200])
    recipe = Recipe(hidden=16, further=(12,), epochs=1, batch=50, dropout=0.0)
    found = network.fit(some, recipe, 3)
    rng = np.random.default_rng(3)
    weights = [
        torch.from_numpy((rng.random(shape, np.float32) * 2 - 1) * np.float32(4 * np.sqrt(6 / sum(shape))))
        for shape in ((784, 16), (16, 12), (12, 10))
    ]
    for w in weights:
        w.requires_grad_(True)
    optimiser = torch.optim.SGD(weights, lr=2.0, momentum=0.5)
    for batch in rng.permutation(200).reshape(-1, 50):
        y = torch.from_numpy(some.images[batch] / np.float32(255))
        for w in weights:
            y = torch.sigmoid(y @ w)
        target = torch.eye(10)[torch.from_numpy(some.labels[batch].astype(np.int64))]
        optimiser.zero_grad()
        (0.5 * (y - target).square().sum() / 50).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    for mine, theirs in zip(found, weights, strict=True):
        np.testing.assert_allclose(mine, theirs.detach().numpy(), atol=1e-5)


def test_without_further_layers_a_network_has_the_name_that_it_always_had() -> None:
    assert network.name(Recipe(), "a", 0) == "131f234c8864b36c2f2a9f822c96b0a522ebb62981ad99e4c4d7b50940daf34a"
    assert network.name(Recipe(further=(30,)), "a", 0) != network.name(Recipe(), "a", 0)


SMALL = SWEEP.with_values(images=20, steps=4, epochs=1, seed=(0,), width=(5.0, 0.3), variation=(0.0, 0.2))


def values(sweep: Any) -> dict[str, np.ndarray]:
    found = evaluate(sweep, {a.name: a.values for a in sweep.axes})
    assert not found.errors
    return found.values


@pytest.mark.parametrize("suffix", [".npz", "transposed.npz", ".pt"])
def test_weights_of_a_file_are_those_of_the_network_that_was_stored(
    trained: Network, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"own{suffix}"
    first, second = trained.folded
    if suffix == ".npz":
        np.savez(file, first=first, second=second)
    elif suffix == ".pt":
        model = torch.nn.Sequential(torch.nn.Linear(784, 400, bias=False), torch.nn.Linear(400, 10, bias=False))
        model[0].weight.data, model[1].weight.data = torch.from_numpy(first.T), torch.from_numpy(second.T)
        torch.save(model.state_dict(), file)
    else:
        np.savez(file, first=first.T, second=second.T, bias=np.zeros(10))
    own = SMALL.with_text({"weights": str(file)})
    here, there = values(own), values(SMALL)
    for name in here:
        np.testing.assert_array_equal(here[name], there[name])
    assert own.artifact_ids is not None
    assert own.artifact_ids(own)["network_file"] == file.name
    moved = tmp_path / f"moved{suffix}"
    file.rename(moved)
    assert SMALL.with_text({"weights": str(moved)}).digest == own.digest != SMALL.digest


def write(folder: Path, kind: str) -> Path:
    """A file that is refused."""
    w = {"a": np.ones((784, 5)), "b": np.ones((5, 10))}
    arrays: dict[str, Any] = {
        "bias": {**w, "a.bias": np.ones(5)},
        "order": {"b": w["b"], "a": w["a"]},
        "one": {"a": np.ones((784, 10))},
        "nan": {**w, "b": np.full((5, 10), np.nan)},
        "text": {**w, "b": np.array([["a"]])},
        "convolution": {"conv": np.ones((8, 1, 3, 3)), **w},
    }
    path = folder / f"{kind}.npz"
    if kind in arrays:
        np.savez(path, **arrays[kind])
    elif kind == "whole model":
        path = folder / "model.pt"
        torch.save(torch.nn.Linear(784, 10), path)
    elif kind == "bytes":
        path.write_bytes(b"nothing of that kind")
    elif kind != "absent":
        path = folder / f"weights.{kind}"
        path.write_bytes(b"\x00" * 20)
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("bias", "a.bias is a bias"), ("order", "store them in their order"), ("one", "at least 2"),
        ("nan", "not finite"), ("text", "not numbers"), ("convolution", "only Linear layers"),
        ("whole model", "state_dict"), ("bytes", "no .npz file"), ("absent", "cannot be read"),
        ("onnx", "has to end with"), ("safetensors", "safetensors"),
    ],
)  # fmt: skip
def test_weights_that_cannot_be_taken_are_refused_in_one_line(tmp_path: Path, kind: str, said: str) -> None:
    file = write(tmp_path, kind)
    with pytest.raises(SpecError) as error:
        SWEEP.with_text({"weights": str(file)})
    assert said in str(error.value)
    assert file.name in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_that_changed_since_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.npz"
    np.savez(file, a=np.ones((784, 5)), b=np.ones((5, 10)))
    described = own_weights.describe(str(file))
    np.savez(file, a=np.ones((784, 5)), b=np.zeros((5, 10)))
    with pytest.raises(own_weights.WeightsError, match="not"):
        own_weights.checked(described["file"], described["sha256"])


@pytest.mark.parametrize(
    "text", ["784-10", "784-400", "100-400-10", "784-0-10", "784-400-10-", "deep", "784-99999-10"]
)
def test_layers_that_are_no_network_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(SpecError, match="784-400-100-10"):
        SWEEP.with_text({"layers": text})


@pytest.mark.parametrize("sweep", [SWEEP, CROSSBAR], ids=lambda sweep: sweep.name)
def test_a_sweep_of_a_deeper_network_has_its_tiles_and_energy(sweep: Any) -> None:
    axes = (
        {"levels": (0,), "stuck_off": (0.0,), "stuck_on": (0.0,), "read_noise": (0.0,)} if sweep is CROSSBAR else {}
    )
    deeper = sweep.with_values(
        layers="784-100-50-10", images=40, steps=12, epochs=1, seed=(0,), width=(5.0,), variation=(0.0,), **axes
    )
    found = values(deeper)
    assert found["accuracy"].ravel()[-1] > 0.5
    assert 0 < found["spikes_hidden"].ravel()[-1] < 150 * 12
    assert np.all(found["energy_normalised"] < 12)
    assert deeper.artifact_ids(deeper)["crossbar_tiles"] == [14, 1, 1]
    assert deeper.digest != deeper.with_values(layers="784-30-10").digest


@pytest.fixture(scope="module")
def several(trained: Network) -> dict[str, np.ndarray]:
    return values(SMALL.with_values(training=(0, 1), calibration_cycles=("0", "28")))


@pytest.mark.parametrize("offset", [0, 1])
def test_a_training_of_the_axis_is_the_network_of_that_seed(several: dict[str, np.ndarray], offset: int) -> None:
    alone = values(SMALL.with_values(network=offset))
    for name, here in several.items():
        np.testing.assert_array_equal(here[:, :, :, 0, offset], alone[name])
    assert not np.array_equal(several["accuracy"][..., 0, :], several["accuracy"][..., 1, :])


def test_each_training_is_named_so_that_a_cube_grows_along_it(trained: Network) -> None:
    assert SMALL.artifact_ids is not None
    one, two = (SMALL.artifact_ids(SMALL.with_values(training=offsets)) for offsets in ((0,), (0, 1)))
    assert one["network_sha256"] == trained.digest
    assert {name: value for name, value in two.items() if name in one} == one
    assert two["network_sha256_1"] != two["network_sha256"]


def test_trainings_of_weights_from_elsewhere_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", a=np.ones((784, 5)), b=np.ones((5, 10)))
    sweep = SMALL.with_text({"weights": str(tmp_path / "own.npz"), "training": "0,1"})
    assert sweep.prepare is not None
    with pytest.raises(SpecError, match="not trained here"):
        sweep.prepare(sweep)
