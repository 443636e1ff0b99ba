"""Every sweep uses the card that it takes: what changes no number of a sweep is no part of its identity.

For every sweep that takes a card, and for every entry of a card: the entry is changed, by much.  Either a small cube
has other numbers then, or the sweep is the same one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from tests.digit_files import write_folder

from spinneurons.mnist import data
from spinneurons.neurons import card as cards
from spinneurons.neurons.family import Card, MeasuredDevices
from spinneurons.neurons.hall_bar import HallBar
from spinsweep.cli import main
from spinsweep.discovery import find
from spinsweep.evaluate import evaluate
from spinsweep.plugins import installed
from spinsweep.spec import Sweep

DIGITS = {"images": 8, "steps": 30}
TRAINING = {"seed": (0,), "epochs": 1, "currents": 6, "cycles": 20, "test_images": 4, "width": 1.0, **DIGITS}
SMALL: dict[str, dict[str, Any]] = {
    "anisotropy": {"width": (1.0, 0.5), "device": (0, 1), "fields": 9, "spread": 0.05},
    "characterization": {"width": (1.0, 0.5), "device": (0, 1), "currents": 8, "cycles": 200, "resamples": 10},
    "codesign": {"width": (1.0, 0.5), "variation": (0.2,), "seed": (0,), "images": 12, "steps": 10, "epochs": 1},
    "codesign-crossbar": {
        "width": (1.0, 0.5), "variation": (0.2,), "seed": (0,), "levels": (4,), "stuck_off": (0.1,),
        "stuck_on": (0.0,), "read_noise": (1.0,), "images": 12, "steps": 10, "epochs": 1,
    },
    "endurance": {"width": (1.0, 0.5), "device": (0, 1, 2, 3), "cycles": 50},
    "frontier": {
        "chips": "card", "pulses": (0, 60, 300), "variation": (0.2,), "ratio": (10.0,), "i0_variation": (0.1,),
        "seed": (0,), "epochs": 1, "test_images": 12, **DIGITS,
    },
    "codesign-networks": {
        "width": (1.0, 0.5), "variation": (0.2,), "seed": (0,), "training": (0,), "images": 12, "steps": 10,
        "epochs": 1,
    },
    "hil": TRAINING,
    "hil-fitted": TRAINING | {"bias": "mean"},  # of these bars, some have no fitted curve
    "hil-multiplexed": TRAINING,
    "lifetime": {
        "chips": "card", "week": (0, 500), "variation": (0.2,), "ratio": (10.0,), "i0_variation": (0.1,),
        "seed": (0,), "epochs": 1, "pulses": 900, "calibrated_pulses": 60, "test_images": 400, **DIGITS,
    },
    "whole-network": {
        "method": ("calibrated", "in-the-loop"), "pulses": (0, 200), "width": (1.0, 0.5), "layers": ("784-12-10",),
        "variation": (0.2,), "seed": (0,), "epochs": 1, "steps": 10, "test_images": 20, "test_steps": 10,
    },
    "hil-replicates": {
        "variation": (0.2,), "ratio": (10.0,), "seed": (0,), "epochs": 2, "test_images": 12, **DIGITS,
    },
    "hysteresis": {"width": (1.0, 0.5), "device": (0, 1), "steps": 61, "cycles": 20},
    "persistence": {"width": (1.0, 0.5), "device": (0,), "day": (0, 7), "currents": 9, "cycles": 10_000},
}  # fmt: skip
"""Settings of a small cube of every sweep that takes a card."""
ALIKE = ("codesign-crossbar", "codesign-networks", "hil-fitted", "hil-multiplexed", "hil-replicates", "lifetime")
"""Those that take the card as another one does: the first of their name, or the frontier."""


def but_slow(*names: str) -> list[Any]:
    """Every sweep; a test is slow for these, and for those that are like another one."""
    return [pytest.param(name, marks=pytest.mark.slow if name in (*ALIKE, *names) else ()) for name in SMALL]


def base(noise: float) -> Card:
    """Bars on which every entry can matter: noisy, and with some curves that reach down to the read current.

    ``noise`` of one reading in ohm; the two states are 5.4 ohm apart.
    """
    card = cards.default()
    numbers: dict[str, Any] = {
        "devices.widths": [1.0, 0.5],
        "i_bias.intercept": 2.65e-4, "i_bias.slope": 1e-5, "i_bias.spread": 0.3,
        "i0.intercept": 2.5e-5, "i0.slope": 2e-6,
        "read.current": 2.5e-4, "read.noise": noise * 2.5e-4,
    }  # fmt: skip
    for key, number in numbers.items():
        section, name = key.split(".")
        card[section][name]["value"] = number
    for section in ("i_bias", "i0"):  # a measured line is taken with any ratio
        for key in ("intercept", "slope"):
            card[section][key]["provenance"] = "measured"
    return cards.validate(card)


def base_of(sweep: str) -> Card:
    return base(1.2 if sweep.startswith(("hil", "frontier", "lifetime")) else 0.65)


def with_individuals(card: Card) -> Card:
    """The same with each of its devices listed."""
    numbers = {"i_bias": 2.7e-4, "i_bias_stderr": 1e-6, "i0": 2.6e-5, "i0_stderr": 1e-6}
    keys = [(width, index) for width in card["devices"]["widths"]["value"] for index in range(4)]
    return cards.validate({**card, "device": [{"width_um": w, "index": i, **numbers} for w, i in keys]})


CHANGES: dict[str, Callable[[Any], Any]] = {
    "devices.widths": lambda widths: [40.0, *widths],
    "devices.per_width": lambda count: count + 3,
    "devices.seed": lambda seed: seed + 1,
    "i_bias.intercept": lambda current: 1.03 * current,
    "i_bias.slope": lambda current: 2 * current,
    "i_bias.spread": lambda spread: spread / 2,
    "i0.intercept": lambda current: 1.3 * current,
    "i0.slope": lambda current: 3 * current,
    "i0.spread": lambda spread: 3 * spread,
    "switching.link": lambda _: "cloglog",
    "switching.pulse_width": lambda time: 2 * time,
    "switching.reset_failure": lambda share: share / 10,
    "hall.amplitude": lambda _: 0.01,
    "hall.offset": lambda _: 1e8,  # beyond what float32 resolves
    "hall.tilt": lambda _: 0.999,
    "hall.reset_state": lambda state: -state,
    "read.current": lambda current: 0.95 * current,
    "read.noise": lambda noise: 5 * noise,
    "read.never_switches": lambda never: not never,
    "drift.sd": lambda sd: 10 * sd,
    "drift.period": lambda period: period / 100,
}
"""What each entry is changed to."""
OF_DEVICES: dict[str, Callable[[Any], Any]] = {
    "i_bias": lambda current: 1.03 * current,
    "i_bias_stderr": lambda error: 2 * error,
    "i0": lambda current: 1.3 * current,
    "i0_stderr": lambda error: 2 * error,
}
"""What the entries of individuals are changed to."""


def changed(card: Card, key: str) -> Card:
    """The card with another value of an entry; of ``device.i0``, say, at each individual."""
    card = copy.deepcopy(card)
    section, name = key.split(".")
    if section == "device":
        for one in card["device"]:
            one[name] = OF_DEVICES[name](one[name])
    else:
        card[section][name]["value"] = CHANGES[key](card[section][name]["value"])
    return cards.validate(card)


@pytest.fixture(scope="module", autouse=True)
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A few digits, and a place of its own for the networks that are trained on them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPINSWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield write_folder(tmp_path_factory.mktemp("digits"), 200)


def small(name: str, card: Card, digits: Path) -> Sweep:
    """The sweep with the card, at the axis values of the small cube whatever devices the card has."""
    sweep = find(name)
    own = {"data": data.describe(str(digits))} if any(p.name == "data" for p in sweep.parameters) else {}
    return sweep.with_values(card=card, **SMALL[name], **own)


def numbers(sweep: Sweep) -> dict[str, np.ndarray]:
    found = evaluate(sweep, {axis.name: axis.values for axis in sweep.axes})
    assert not found.errors, found.errors
    return found.values


def same(some: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(some[n], others[n], equal_nan=some[n].dtype.kind == "f") for n in some)


FEW = {
    "characterization": {"currents": 8, "cycles": 50},
    "endurance": {"cycles": 20},
    "persistence": {"currents": 9, "cycles": 100},
}
"""Where fewer cycles than in the small cube will do."""


def one_width() -> Card:
    """Two devices of one width, as measured: constants instead of lines."""
    rows = [np.array([row]) for row in ([6.0e-4, 6.3e-4], [1e-6, 1e-6], [4.2e-5, 3.9e-5], [2e-6, 2e-6])]
    return HallBar(cards.default()).measured(MeasuredDevices(np.array([2.0]), *rows))


@pytest.mark.parametrize("name", but_slow("hil", "frontier", "whole-network", "hysteresis"))
def test_a_card_of_one_width_works_in_every_sweep_and_its_figures_are_drawn(
    name: str, digits: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sweep, path, store = find(name), tmp_path / "one.toml", tmp_path / "cube.zarr"
    path.write_text(cards.dumps(one_width()))
    given = {"card": path, **SMALL[name], **FEW.get(name, {})}
    given |= {"data": digits} if any(p.name == "data" for p in sweep.parameters) else {}
    width = given.pop("width", None)
    if "width" in sweep.axis_names:  # they follow the card
        given.pop("device", None)
    texts = {n: ",".join(map(str, v)) if isinstance(v, tuple) else str(v) for n, v in given.items()}
    words = ["run", name, "--workers", "0", "--store", str(store)]
    words += [word for n, text in texts.items() for word in ("--set", f"{n}={text}")]
    if width is not None and "width" not in sweep.axis_names:
        assert main(words) == 2
        said = capfd.readouterr().err.splitlines()[-1]
        assert said == "spinsweep: width: 0.5 um, but the card was measured at 2 um; set width=2"
        words += ["--set", "width=2"]
    assert main(words) == 0
    cube = xr.open_zarr(store)
    assert (cube["cell_state"] == 1).all()
    if "width" in sweep.axis_names:
        assert cube["width"].values.tolist() == [2.0]
    assert main(["figures", str(store), "--out", str(tmp_path / "figures")]) == 0
    assert list((tmp_path / "figures").glob("*.png"))


def takes_a_card(sweep: Sweep) -> bool:
    return any(parameter.name == "card" for parameter in sweep.parameters)


def test_every_sweep_with_a_card_and_every_entry_of_a_card_are_looked_at() -> None:
    assert {name for name in installed() if takes_a_card(find(name))} == set(SMALL)
    default = cards.default()
    assert {f"{s}.{k}" for s, section in default.items() if isinstance(section, dict) for k in section} == set(
        CHANGES
    )
    assert set(cards.Individual.model_fields) == {"width_um", "index", *OF_DEVICES}


@pytest.mark.parametrize("name", but_slow("frontier", "whole-network"))
def test_an_entry_of_the_card_changes_numbers_or_is_no_part_of_the_identity(name: str, digits: Path) -> None:
    plain = base_of(name)
    wrong = []
    for card, keys in ((plain, [*CHANGES]), (with_individuals(plain), [f"device.{key}" for key in OF_DEVICES])):
        sweep = small(name, card, digits)
        before = numbers(sweep)
        for key in keys:
            other = small(name, changed(card, key), digits)
            equal = same(before, numbers(other))
            if equal and other.digest != sweep.digest:
                wrong.append(f"{key} changes no number, but the identity")
            if not equal and other.digest == sweep.digest:
                wrong.append(f"{key} changes numbers, but not the identity")
    assert not wrong, "\n".join(wrong)
