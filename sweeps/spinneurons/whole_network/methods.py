"""What a whole network comes to on a chip within a budget of cycles, by calibration, by learning, or by both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.codesign.calibrated import NeuronEstimates
from spinneurons.hil.rules import LearnBy
from spinneurons.hil.streams import Streams
from spinneurons.mnist.data import Digits
from spinneurons.whole_network.chip import Devices, LearningChip
from spinneurons.whole_network.learning import Learned, learn

Floats = npt.NDArray[np.float32]


class Method(NamedTuple):
    """How cycles of the devices are used."""

    rule: str = ""
    """Of :data:`spinneurons.hil.rules.RULES`; none: the weights stay."""
    starts: str = "software"
    """``software``: with weights that were trained without devices; ``random``."""
    calibrates: bool = False
    """The first cycles, or all of them without a rule, go to a calibration of each neuron."""
    gains: bool = False
    """Of i0 as well."""


_THEN = {
    "loop": "gradient",
    "physics-aware": "physics-aware",
    "node-perturbation": "node-perturbation",
    "weight-perturbation": "weight-perturbation",
    "noise-based": "noise-based",
}
METHODS: Mapping[str, Method] = {
    "none": Method(),
    "calibrated": Method(calibrates=True),
    "calibrated-i0": Method(calibrates=True, gains=True),
    **{f"software-then-{name}": Method(rule) for name, rule in _THEN.items()},
    "calibrated-then-loop": Method("gradient", calibrates=True),
    "in-the-loop": Method("gradient", "random"),
    **{name: Method(rule, "random") for name, rule in _THEN.items() if name != "loop"},
}
"""By name."""


class Outcome(NamedTuple):
    """What a method comes to within a budget."""

    weights: tuple[Floats, ...]
    estimates: NeuronEstimates | None
    cycles: int
    """Of each device, that the method used."""
    loss: float
    """Mean squared error of the latest images that it learned from; NaN without any."""


@dataclass(frozen=True)
class Schedule:
    """What the methods of a seed have in common."""

    digits: Digits
    """To learn from."""
    starts: Mapping[str, Callable[[], tuple[Floats, ...]]]
    """Weights by the name of the start, made where they are needed."""
    trains: Streams
    luck: Streams
    rng: Callable[[], np.random.Generator]
    """A new generator of the luck of a calibration."""
    rules: Mapping[str, LearnBy]
    calibration: int
    """Cycles that a method which also learns calibrates with, at the most."""


def outcomes(method: Method, chip: LearningChip, schedule: Schedule, budgets: Sequence[int]) -> list[Outcome]:
    """The network within each budget of cycles a device."""
    start = schedule.starts[method.starts]()
    before = [0] * len(budgets)
    if method.calibrates:
        before = [min(b, schedule.calibration) if method.rule else b for b in budgets]
    estimates = {first: chip.calibrated(first, schedule.rng(), gains=method.gains) for first in sorted(set(before))}
    if not method.rule:
        return [Outcome(start, estimates[first], first, float("nan")) for first in before]
    by = schedule.rules[method.rule]
    learned: dict[tuple[int, int], Learned] = {}
    for first in estimates:
        counts = [(b - f) // by.cycles for b, f in zip(budgets, before, strict=True) if f == first]
        devices = Devices(chip, estimates[first], schedule.luck)
        found = learn(start, schedule.digits, schedule.trains, devices, by, counts)
        learned |= {(first, count): one for count, one in found.items()}
    result = []
    for budget, first in zip(budgets, before, strict=True):
        images = (budget - first) // by.cycles
        weights, loss = learned[first, images]
        result.append(Outcome(weights, estimates[first], first + images * by.cycles, loss))
    return result
