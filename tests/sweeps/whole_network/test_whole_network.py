"""The whole network on devices: methods are what their equations say, and another program agrees."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from spinneurons.codesign import reference as codesign_reference
from spinneurons.codesign.calibrated import NeuronEstimates
from spinneurons.codesign.draws import Batch, Draws
from spinneurons.hil.rules import RULES, LearnBy
from spinneurons.hil.streams import Streams
from spinneurons.mnist import data
from spinneurons.mnist.data import Digits
from spinneurons.neurons.family import Law
from spinneurons.neurons.laws import CLOGLOG, LOGISTIC
from spinneurons.whole_network import reference
from spinneurons.whole_network.chip import ChipDevices, LearningChip, Point
from spinneurons.whole_network.figures import FIGURES
from spinneurons.whole_network.learning import learn
from spinneurons.whole_network.methods import METHODS, NetworkSchedule, outcomes
from spinneurons.whole_network.sweep import SWEEP
from spinsweep.cli import main
from spinsweep.evaluate import evaluate

Floats = np.ndarray[Any, np.dtype[np.float32]]
FAR = Point(0.25, 6.0, 0.1)


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Networks of these tests go to a folder that goes away."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SPINSWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))


def streams(seed: int) -> Streams:
    return Streams(np.random.default_rng(seed))


def chip(
    sizes: tuple[int, ...], seed: int = 0, far: Point = FAR, law: Law = LOGISTIC, **options: str
) -> LearningChip:
    rngs = tuple(np.random.default_rng([seed, k]) for k in range(3))
    return LearningChip.draw(sizes, (rngs[0], rngs[1], rngs[2]), far, law, **options)


def weights(sizes: tuple[int, ...], seed: int = 0, size: float = 0.3) -> tuple[Floats, ...]:
    rng = np.random.default_rng([seed, 9])
    return tuple(rng.uniform(-size, size, shape).astype(np.float32) for shape in pairwise(sizes))


def tiny(count: int = 5, pixels: int = 12) -> Digits:
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (count, pixels), np.uint8) * (rng.random((count, pixels)) < 0.6)
    return Digits(images.astype(np.uint8), rng.integers(0, 3, count).astype(np.uint8))


@pytest.mark.parametrize(("law", "calibrated"), [(LOGISTIC, True), (CLOGLOG, False)], ids=["logistic", "cloglog"])
@pytest.mark.parametrize("rule", RULES)
def test_a_training_is_the_loop_over_images_steps_and_neurons(rule: str, calibrated: bool, law: Law) -> None:
    sizes = (12, 5, 4, 3)
    one, begin = chip(sizes, law=law), weights(sizes)
    estimates = one.calibrated(28, np.random.default_rng(3), gains=True) if calibrated else None
    by = LearnBy(rule, 0.5, 0.2, 7)
    fast = learn(begin, tiny(), streams(1), ChipDevices(one, estimates, streams(2)), by, [0, 7, 12])
    slow = reference.learn(begin, tiny(), streams(1), one, estimates, streams(2), by, 12)
    for mine, other, first in zip(fast[12].weights, slow, begin, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-3, atol=2e-5)
        assert np.abs(mine - first).max() > 2e-4
    assert fast[0].weights[0] is begin[0]
    assert np.isnan(fast[0].loss)
    assert fast[7].loss > 0


def schedule(digits: Digits, sizes: tuple[int, ...], rate: float = 0.3, steps: int = 10) -> NetworkSchedule:
    rules = {name: LearnBy(name, rate if k < 2 else 0.02, 0.5, steps) for k, name in enumerate(RULES)}
    starts = {"software": lambda: weights(sizes), "random": lambda: weights(sizes, 1)}
    return NetworkSchedule(digits, starts, streams(1), streams(2), lambda: np.random.default_rng(3), rules, 28)


def test_no_method_uses_more_than_its_budget_and_all_begin_where_they_say() -> None:
    sizes, budgets = (12, 4, 3), [0, 15, 28, 61, 100]
    one, plan = chip(sizes), schedule(tiny(), sizes)
    used = {name: [o.cycles for o in outcomes(method, one, plan, budgets)] for name, method in METHODS.items()}
    assert used["none"] == [0] * 5
    assert used["calibrated"] == used["calibrated-i0"] == budgets
    assert used["in-the-loop"] == used["software-then-physics-aware"] == [0, 10, 20, 60, 100]
    assert used["noise-based"] == used["software-then-node-perturbation"] == [0, 0, 20, 60, 100]
    assert used["calibrated-then-loop"] == [0, 15, 28, 58, 98]
    for name, method in METHODS.items():
        first, *_, last = outcomes(method, one, plan, budgets)
        assert first.weights[0] is not None
        np.testing.assert_array_equal(first.weights[0], plan.starts[method.starts]()[0], name)
        assert first.estimates is None
        assert (last.estimates is not None) == method.calibrates


def test_budgets_beside_each_other_change_no_outcome() -> None:
    sizes = (12, 4, 3)
    one, plan = chip(sizes), schedule(tiny(), sizes)
    for name, method in METHODS.items():
        together = outcomes(method, one, plan, [0, 28, 100, 60])
        for budget, outcome in zip([0, 28, 100, 60], together, strict=True):
            (alone,) = outcomes(method, one, plan, [budget])
            assert alone.cycles == outcome.cycles
            for a, b in zip(alone.weights, outcome.weights, strict=True):
                np.testing.assert_array_equal(a, b, name)


@pytest.mark.parametrize("where", ["hidden", "output", "both"])
def test_neurons_that_are_not_devices_do_not_deviate_and_are_not_calibrated(where: str) -> None:
    one = chip((12, 5, 3), on_devices=where)
    estimates = one.calibrated(280, np.random.default_rng(0), gains=True)
    assert estimates is not None
    deviates = np.array([where != "output"] * 5 + [where != "hidden"] * 3)
    np.testing.assert_array_equal(one.x != 0, deviates)
    np.testing.assert_array_equal(estimates.shift[0, 0] != 0, deviates)
    np.testing.assert_array_equal(estimates.gain[0, 0] != 1, deviates)


def test_it_is_tested_by_the_reference_of_codesign() -> None:
    """What was learned is in front of the test as it was in front of the rule: the same chip, the same drive."""
    test = data.load("test")
    batch = Batch.first(test.images, test.labels, 60)
    one, found = chip((784, 20, 10)), weights((784, 20, 10), size=0.2)
    estimates = one.calibrated(28, np.random.default_rng(0), gains=True)
    assert isinstance(estimates, NeuronEstimates)
    neurons = codesign_reference.CellNeurons(zeta=0.1, shift=estimates.shift[0, 0], gain=estimates.gain[0, 0])
    slow = codesign_reference.run(
        one.with_weights(found), batch, Draws((1, 2)), FAR.variation, FAR.ratio, 8, neurons=neurons
    )
    assert one.accuracy(found, estimates, batch, Draws((1, 2)), 8) == pytest.approx(slow.accuracy[-1], abs=1e-3)


# The sweep


SMALL = SWEEP.with_values(
    method=("none", "calibrated", "software-then-noise-based", "in-the-loop"), pulses=(0, 28, 400), seed=(0, 1),
    variation=(0.0, 0.25), layers=("784-20-10",), i0_variation=(0.1,), epochs=1, test_images=200, test_steps=10,
)  # fmt: skip


@cache
def numbers() -> dict[str, Any]:
    """All outputs of the small sweep."""
    from spinneurons.whole_network.sweep import prepare

    prepare(SMALL)
    found = evaluate(SMALL, {a.name: a.values for a in SMALL.axes})
    assert not found.errors
    return found.values


def test_no_pulses_change_nothing_and_more_of_them_help() -> None:
    accuracy = numbers()["accuracy"]
    none, calibrated, noise, loop = (accuracy[k, :, 0, 1, 0, 0] for k in range(4))  # at +-25 %
    assert (none == none[0]).all()
    np.testing.assert_array_equal(calibrated[0], none[0])
    np.testing.assert_array_equal(noise[0], none[0])
    assert (calibrated[1] > none[0] + 0.1).all()
    assert (loop[0] < 0.35).all()
    assert (numbers()["pulses_used"][:, -1, 0, 0, 0, 0, 0] == [0, 400, 400, 400]).all()
    np.testing.assert_allclose(numbers()["hours"], numbers()["pulses_used"] * 5.0002 / 3600)
    assert np.isnan(numbers()["loss"][:2]).all()


@settings(max_examples=4)
@given(data=st.data())
def test_any_box_of_cells_has_the_same_numbers(data: st.DataObject) -> None:
    numbers()
    places = [data.draw(st.lists(st.integers(0, len(a.values) - 1), min_size=1, unique=True)) for a in SMALL.axes]
    box = {a.name: tuple(a.values[i] for i in p) for a, p in zip(SMALL.axes, places, strict=True)}
    found = evaluate(SMALL, box)
    assert not found.errors
    for name in numbers():
        np.testing.assert_array_equal(found.values[name], numbers()[name][np.ix_(*places)], name)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["layers=784"], "axis 'layers': layers '784': write 784 pixels, one or more hidden layers"),
        (["layers=784-400-3"], "write 784 pixels, one or more hidden layers"),
        (["method=magic"], "magic"),
        (["on_devices=none"], "on_devices"),
    ],
)
def test_what_is_no_network_or_method_is_one_line(
    settings: list[str], words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "whole.zarr"
    assert main(["run", "whole-network", "--workers", "0", "--store", str(store), "--set", *settings]) == 2
    said = capfd.readouterr().err.strip()
    assert words in said
    assert len(said.splitlines()) == 1
    assert not store.exists()


def test_it_runs_and_is_drawn_from_the_command_line(tmp_path: Path) -> None:
    store, numbers_ = tmp_path / "whole.zarr", ["method=none,calibrated,noise-based", "pulses=0,28,80", "seed=0:2"]
    more = ["layers=784-20-10", "epochs=1", "test_images=100", "test_steps=5"]
    sets = [part for text in (*numbers_, *more) for part in ("--set", text)]
    assert main(["run", "whole-network", "--workers", "0", "--store", str(store), *sets]) == 0
    assert main(["figures", str(store), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "whole_network.png").stat().st_size > 10_000
    cube = xr.open_zarr(store).load()
    assert cube["accuracy"].notnull().all()
    figure = FIGURES["whole_network"](cube)
    assert [ax.get_title(loc="left").split("  ")[-1] for ax in figure.axes] == [
        "784-20-10, 0.3 µm, ±25 %: weights of software",
        "784-20-10, 0.3 µm, ±25 %: random weights",
    ]


# Another program for the same experiment: its own random numbers, torch's gradients


def independent(
    one: LearningChip, digits: Digits, begin: tuple[Floats, ...], images: int, by: LearnBy, seed: int
) -> list[torch.Tensor]:
    """Weights after a training with trains, order, signs and luck of its own."""
    torch.manual_seed(seed)
    rng, point = np.random.default_rng([seed, 5]), one.point
    w = [torch.from_numpy(a).double().clone() for a in begin]
    factor = [1 + point.variation * torch.from_numpy(a).double() for a in one.xi]
    ends = np.cumsum(one.sizes)[:-1]
    shift = [torch.from_numpy(a) for a in np.split(point.variation * point.ratio * one.x.astype(float), ends)]
    gain = [torch.from_numpy(a) for a in np.split(1 + point.i0_variation * one.y.astype(float), ends)]

    def present(x: torch.Tensor, used: list[torch.Tensor], offsets: list[Any]) -> tuple[list[Any], list[Any]]:
        zs, spikes = [], [x]
        for k in range(len(used)):
            zs.append(spikes[-1] @ (used[k] * factor[k]))
            spikes.append(torch.bernoulli(torch.sigmoid((zs[-1] + offsets[k] - shift[k]) / gain[k])))
        return zs, spikes

    for n in range(images):
        i = int(rng.integers(len(digits.labels))) if n >= len(digits.labels) else n
        x = torch.bernoulli(torch.from_numpy(digits.images[i] / 255).repeat(by.steps, 1))
        target = torch.zeros(one.sizes[-1], dtype=torch.double)
        target[int(digits.labels[i])] = 1
        zero = [0.0] * len(w)
        if by.rule in ("gradient", "physics-aware"):
            zs, spikes = present(x, w, zero)
            back = (spikes[-1].mean(0) - target) / by.steps
            steps = []
            for k in reversed(range(len(w))):
                s = torch.zeros(len(shift[k]), dtype=torch.double)
                if by.rule == "gradient":
                    wanted = (spikes[k + 1].sum(0) + 0.5) / (by.steps + 1)
                    low, high = s - 60, s + 60
                    for _ in range(30):
                        s = (low + high) / 2
                        above = torch.sigmoid(zs[k] - s).mean(0) > wanted
                        low, high = torch.where(above, s, low), torch.where(above, high, s)
                p = torch.sigmoid(zs[k] - s)
                delta = back * p * (1 - p)
                steps.insert(0, spikes[k].T @ delta)
                back = delta @ w[k].T
        else:
            signs = [
                torch.randint(0, 2, a.shape if by.rule == "weight-perturbation" else a.shape[1:]) * 2.0 - 1 for a in w
            ]
            size = 0.0 if by.rule == "noise-based" else by.size
            tries = []
            for way in (1, -1):
                if by.rule == "weight-perturbation":
                    tries.append(present(x, [a + way * size * b for a, b in zip(w, signs, strict=True)], zero)[1])
                else:
                    tries.append(present(x, w, [way * size * b for b in signs])[1])
            losses = [float(((t[-1].mean(0) - target) ** 2).sum() / 2) for t in tries]
            steps = []
            for k in range(len(w)):
                mean = (tries[0][k].mean(0) + tries[1][k].mean(0)) / 2
                if by.rule == "noise-based":
                    moved = (tries[0][k + 1].mean(0) - tries[1][k + 1].mean(0)) * by.steps / 2
                    steps.append((losses[0] - losses[1]) * torch.outer(mean, moved))
                elif by.rule == "node-perturbation":
                    steps.append((losses[0] - losses[1]) / (2 * size) * torch.outer(mean, signs[k]))
                else:
                    active = (x.sum(0) > 0)[:, None] if k == 0 else 1.0
                    steps.append((losses[0] - losses[1]) / (2 * size) * signs[k] * active)
        for a, step in zip(w, steps, strict=True):
            a -= by.rate * step
    return w


@cache
def few() -> tuple[Digits, Digits]:
    """Images of three classes, to learn from and to test on."""
    parts = []
    for name, count in (("train", 400), ("test", 300)):
        every = data.load(name)
        chosen = np.flatnonzero(every.labels < 3)[:count]
        parts.append(Digits(every.images[chosen], every.labels[chosen]))
    return parts[0], parts[1]


def agree(rule: str, seeds: int, images: int) -> None:
    """Paired over chips: the accuracy of ours less that of the other program is 0 within 4 standard errors."""
    learned, tested = few()
    rates = {"gradient": (0.5, 0.0), "physics-aware": (0.2, 0.0), "noise-based": (0.1, 0.0)}
    rates |= {"node-perturbation": (0.3, 1.0), "weight-perturbation": (0.01, 0.3)}
    by = LearnBy(rule, *rates[rule], 10)
    sizes = (784, 3) if rule == "weight-perturbation" else (784, 15, 3)  # of many weights it learns too slowly
    differences, rights, untrained = [], [], []
    for seed in range(seeds):
        one, begin = chip(sizes, seed, Point(0.15, 20.0, 0.1)), weights(sizes, seed, 0.15)
        mine = learn(begin, learned, streams(seed), ChipDevices(one, None, streams(seed + 50)), by, [images])[images]
        other = independent(one, learned, begin, images, by, seed)
        both = [right(one, w, tested, seed + k) for k, w in enumerate((mine.weights, [a.numpy() for a in other]))]
        differences.append(both[0] - both[1])
        rights.append(both[0])
        untrained.append(right(one, begin, tested, seed))
    spread = np.std(differences, ddof=1) / np.sqrt(seeds)
    assert abs(np.mean(differences)) < 4 * spread + 0.02, differences
    assert np.mean(rights) > np.mean(untrained) + 0.1


def right(one: LearningChip, learned: Any, tested: Digits, seed: int) -> float:
    """Part of the test images that is right, in 40 steps."""
    rng, point, x = np.random.default_rng(seed), one.point, None
    ends = np.cumsum(one.sizes)[:-1]
    shift = np.split(point.variation * point.ratio * one.x, ends)
    gain = np.split(1 + point.i0_variation * one.y, ends)
    x = (rng.random((40, *tested.images.shape)) < tested.images / 255).astype(float)
    for k, w in enumerate(learned):
        z = x @ (w * (1 + point.variation * one.xi[k]))
        x = (rng.random(z.shape) < expit((z - shift[k]) / gain[k])).astype(float)
    counts = x.sum(axis=0)
    best = counts == counts.max(axis=1, keepdims=True)
    return float(np.mean(best[np.arange(len(counts)), tested.labels] / best.sum(axis=1)))


ONE_AND_SLOW_OTHERS = [
    pytest.param(rule, marks=pytest.mark.slow if number else ()) for number, rule in enumerate(RULES)
]


@pytest.mark.slow
@pytest.mark.parametrize("rule", ONE_AND_SLOW_OTHERS)
def test_another_program_with_its_own_random_numbers_learns_as_much(rule: str) -> None:
    agree(rule, seeds=2, images=150)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_another_program_learns_as_much_on_many_chips(rule: str) -> None:
    agree(rule, seeds=20, images=2000)


def test_the_network_and_the_settings_of_a_rule_are_part_of_what_a_cube_is() -> None:
    for name, value in {"learning_rate": 0.1, "noise_rate": 0.1, "node_size": 0.1, "steps": 10, "network": 1}.items():
        assert replace(SWEEP, overrides={name: value}).digest != SWEEP.digest, name
