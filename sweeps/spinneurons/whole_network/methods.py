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
from spinneurons.whole_network.chip import ChipDevices, LearningChip
from spinneurons.whole_network.learning import LearnedNetwork, learn

Floats = npt.NDArray[np.float32]


class NetworkMethod(NamedTuple):
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
METHODS: Mapping[str, NetworkMethod] = {
    "none": NetworkMethod(),
    "calibrated": NetworkMethod(calibrates=True),
    "calibrated-i0": NetworkMethod(calibrates=True, gains=True),
    **{f"software-then-{name}": NetworkMethod(rule) for name, rule in _THEN.items()},
    "calibrated-then-loop": NetworkMethod("gradient", calibrates=True),
    "in-the-loop": NetworkMethod("gradient", "random"),
    **{name: NetworkMethod(rule, "random") for name, rule in _THEN.items() if name != "loop"},
}
"""By name."""


class NetworkOutcome(NamedTuple):
    """What a method comes to within a budget."""

    weights: tuple[Floats, ...]
    estimates: NeuronEstimates | None
    cycles: int
    """Of each device, that the method used."""
    loss: float
    """Mean squared error of the latest images that it learned from; NaN without any."""


@dataclass(frozen=True)
class NetworkSchedule:
    """What the methods of a seed have in common."""

    digits: Digits
    """To learn from."""
    starts: Mapping[str, Callable[[], tuple[Floats, ...]]]
    """Weights by the name of the start, made where they are needed."""
    trains: Streams
    pulses: Streams
    rng: Callable[[], np.random.Generator]
    """A new generator of the luck of a calibration."""
    rules: Mapping[str, LearnBy]
    calibration: int
    """Cycles that a method which also learns calibrates with, at the most."""


def outcomes(
    method: NetworkMethod, chip: LearningChip, schedule: NetworkSchedule, budgets: Sequence[int]
) -> list[NetworkOutcome]:
    """The network within each budget of cycles a device."""
    start = schedule.starts[method.starts]()
    before = [0] * len(budgets)
    if method.calibrates:
        before = [min(b, schedule.calibration) if method.rule else b for b in budgets]
    estimates = {first: chip.calibrated(first, schedule.rng(), gains=method.gains) for first in sorted(set(before))}
    if not method.rule:
        return [NetworkOutcome(start, estimates[first], first, float("nan")) for first in before]
    by = schedule.rules[method.rule]
    learned: dict[tuple[int, int], LearnedNetwork] = {}
    for first in estimates:
        counts = [(b - f) // by.cycles for b, f in zip(budgets, before, strict=True) if f == first]
        devices = ChipDevices(chip, estimates[first], schedule.pulses)
        of_counts = learn(start, schedule.digits, schedule.trains, devices, by, counts)
        learned |= {(first, count): one for count, one in of_counts.items()}
    result = []
    for budget, first in zip(budgets, before, strict=True):
        images = (budget - first) // by.cycles
        weights, loss = learned[first, images]
        result.append(NetworkOutcome(weights, estimates[first], first + images * by.cycles, loss))
    return result
