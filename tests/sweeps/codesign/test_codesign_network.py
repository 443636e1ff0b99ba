"""Training follows the recipe, is the same each time, and happens once for each name."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from chips_and_digits import QUICK

from digit_files import write_folder
from spinneurons.codesign import network
from spinneurons.codesign.network import Network, NetworkError, Recipe
from spinneurons.mnist import data
from spinneurons.mnist.data import Digits

TINY = Recipe(hidden=16, epochs=2, batch=50)


def analog_accuracy(trained: network.Network, test: data.Digits) -> float:
    """Part of the test images whose largest output is their label, without spikes or noise."""
    x = test.images.astype(np.float32) / 255
    h = 1 / (1 + np.exp(-(x @ trained.w[0])))
    return float(np.mean(np.argmax(h @ trained.folded[1], axis=1) == test.labels))


@pytest.fixture(scope="module")
def some() -> Digits:
    train = data.load("train")
    return Digits(train.images[:300], train.labels[:300])


def test_one_seed_gives_the_same_weights_with_any_number_of_threads(some: Digits) -> None:
    before = torch.get_num_threads()
    try:
        weights = []
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            weights.append(network.fit(some, TINY, 5))
    finally:
        torch.set_num_threads(before)
    for other in weights[1:]:
        np.testing.assert_array_equal(weights[0][0], other[0])
        np.testing.assert_array_equal(weights[0][1], other[1])


def test_another_seed_gives_other_weights(some: Digits) -> None:
    assert not np.array_equal(network.fit(some, TINY, 5)[0], network.fit(some, TINY, 6)[0])


def test_the_update_is_that_of_automatic_differentiation_and_momentum(some: Digits) -> None:
    recipe = dataclasses.replace(TINY, dropout=0.0, epochs=1)
    w1, w2 = network.fit(some, recipe, 3)

    rng = np.random.default_rng(3)
    weights = [
        torch.from_numpy((rng.random(shape, np.float32) * 2 - 1) * np.float32(4 * np.sqrt(6 / sum(shape))))
        for shape in ((784, 16), (16, 10))
    ]
    for w in weights:
        w.requires_grad_(True)
    optimiser = torch.optim.SGD(weights, lr=2.0, momentum=0.5)
    order = rng.permutation(300)
    for batch in order.reshape(-1, 50):
        x = torch.from_numpy(some.images[batch] / np.float32(255))
        y = torch.sigmoid(torch.sigmoid(x @ weights[0]) @ weights[1])
        target = torch.eye(10)[torch.from_numpy(some.labels[batch].astype(np.int64))]
        optimiser.zero_grad()
        (0.5 * (y - target).square().sum() / len(batch)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    np.testing.assert_allclose(w1, weights[0].detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(w2, weights[1].detach().numpy(), atol=1e-5)


def test_masked_neurons_learn_nothing(some: Digits) -> None:
    start = network.fit(some, dataclasses.replace(TINY, epochs=0), 3)
    after = network.fit(some, dataclasses.replace(TINY, epochs=1, dropout=1.0), 3)
    np.testing.assert_array_equal(start[0], after[0])
    np.testing.assert_array_equal(start[1], after[1])


def test_one_epoch_of_mnist_is_right_for_nine_of_ten_images(trained: Network) -> None:
    assert analog_accuracy(trained, data.load("test")) > 0.9


@pytest.mark.parametrize(
    "change",
    [{"hidden": 17}, {"epochs": 3}, {"batch": 51}, {"learning_rate": 1.9}, {"momentum": 0.4}, {"dropout": 0.4}],
    ids=lambda change: next(iter(change)),
)
def test_the_name_changes_with_each_part_of_the_recipe(change: dict[str, float]) -> None:
    changed = dataclasses.replace(TINY, **change)  # type: ignore[arg-type]
    assert network.name(TINY, "data", 0) != network.name(changed, "data", 0)


def test_the_name_changes_with_data_and_seed_and_with_nothing_else() -> None:
    names = {network.name(TINY, data, seed) for data in ("a", "b") for seed in (0, 1)}
    assert len(names) == 4
    assert network.name(dataclasses.replace(TINY), "a", 0) in names


def test_a_stored_network_is_read_back_with_its_digest(trained: Network) -> None:
    again = network.obtain(QUICK, data.describe(), 0)
    assert again.digest == trained.digest
    np.testing.assert_array_equal(again.w[0], trained.w[0])


WANTED = """
import sys
from pathlib import Path
from spinneurons.codesign import network
def said(line):
    with Path(sys.argv[1], "epochs").open("a") as file:
        file.write(line + "\\n")
recipe = network.Recipe(hidden=16, epochs=3, batch=50)
print(network.obtain(recipe, {"folder": sys.argv[2], "sha256": sys.argv[3]}, 0, said).digest)
"""


def test_processes_that_want_one_network_at_the_same_time_train_it_once(tmp_path: Path) -> None:
    described = data.describe(str(write_folder(tmp_path / "data", n=200)))
    command = [sys.executable, "-c", WANTED, str(tmp_path), described["folder"], described["sha256"]]
    environment = {**os.environ, "SPINSWEEP_CACHE": str(tmp_path / "cache")}
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    digests = {process.communicate(timeout=120)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0]
    assert len(digests) == 1
    assert len((tmp_path / "epochs").read_text().splitlines()) == 3  # of one training
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 1
    assert not list((tmp_path / "cache").glob("*.part"))


@pytest.mark.parametrize("spoil", ["cut", "other weights", "empty"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str) -> None:
    monkeypatch.setenv("SPINSWEEP_CACHE", str(tmp_path / "cache"))
    described = data.describe(str(write_folder(tmp_path / "data", n=60)))
    network.obtain(TINY, described, 0)
    (path,) = (tmp_path / "cache").glob("*.npz")
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    elif spoil == "empty":
        path.write_bytes(b"")
    else:
        with np.load(path) as stored:
            np.savez(path, **{**stored, "w1": stored["w1"] + 1})
    with pytest.raises(NetworkError, match=path.name):
        network.obtain(TINY, described, 0)


def test_a_cache_that_cannot_be_written_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SPINSWEEP_CACHE", str(tmp_path / "file"))
    with pytest.raises(NetworkError, match="SPINSWEEP_CACHE"):
        network.obtain(TINY, data.describe(), 0)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_full_recipe_reaches_the_accuracy_of_the_paper() -> None:
    full = network.obtain(Recipe(), data.describe(), 0)
    assert analog_accuracy(full, data.load("test")) == pytest.approx(0.9745, abs=0.003)
