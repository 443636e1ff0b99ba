"""Which cycles of an imported device switched: by its levels, or as the user says; and why others are not used.

Without a word from the user, the two levels of a device's own readings decide.  Where they blur because the offset
drifts, the difference of each pair of readings decides, if that has two levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.family import Bools, Decision, Floats, LevelMixture, Levels, NeuronFamily
from spinneurons.neurons.levels import RESETS, find_levels, is_plausible, is_reading, level_means
from spinsweep.errors import SpecError

METHODS = ("levels", "difference", "threshold", "counts")
"""Meaning of ``decided_by``."""
UNUSED = ("lost reading", "beyond the levels", "reset failed", "no two levels")
"""Reasons for which a cycle is not used."""
NEAR = 0.25
"""Of the step: how far the level of no step may be from zero."""


@dataclass(frozen=True)
class DecisionRule:
    """How states are told; :meth:`to_json` is a parameter of the cube."""

    reset_state: int = -1
    levels: tuple[float, float] | None = None
    """Low and high, ohm; None: those of each device's own readings."""
    threshold: float | None = None
    """ohm; a reading above it is the high state."""
    difference: bool = False
    """Whether ``r_write - r_reset`` decides, and not each reading by itself."""

    @classmethod
    def of(cls, reset_state: int, rule: Mapping[str, Any]) -> DecisionRule:
        """From the parameters of a cube."""
        levels = rule.get("levels")
        return cls(reset_state, None if levels is None else (levels[0], levels[1]), rule.get("threshold"),
                   rule.get("difference", False))  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """What the user said beside the reset state; {} for nothing."""
        said = {"levels": self.levels and list(self.levels), "threshold": self.threshold,
                "difference": self.difference or None}  # fmt: skip
        return {name: value for name, value in said.items() if value is not None}

    def require_one(self) -> None:
        """``SpecError`` where two rules contradict each other."""
        if len(self.to_json()) > 1:
            raise SpecError("--levels, --threshold and --difference are three ways to tell states; give one of them")
        if self.levels and not self.levels[0] < self.levels[1]:
            raise SpecError(f"--levels {self.levels[0]:g},{self.levels[1]:g}: give the low one first, in ohm")


class DeviceDecision(NamedTuple):
    """What the cycles of one device say."""

    switched: npt.NDArray[Any]
    """(currents, cycles) bool; of counts (currents, 2) int: those that switched, and 0."""
    valid: npt.NDArray[Any]
    """Of that shape; of counts: those that switched, and those that did not."""
    levels: Levels
    """Of the readings, or of their differences; NaN if they are not distinct, or nobody looked."""
    method: str
    """One of ``METHODS``."""
    unused: Mapping[str, int]
    """Recorded cycles that are not used, by the reason, one of ``UNUSED``."""
    reason: str = ""
    """Why no cycle is used."""
    help: str = ""
    """What the user can do."""
    other_reset_state: bool = False
    """Whether resets give the other level than the rule says."""

    @property
    def decision(self) -> Decision:
        """What was decided, in the form in which an analysis asks for it."""
        return Decision(self.switched, self.valid, self.levels, self.reason)


def of_counts(n_switched: npt.ArrayLike, n_valid: npt.ArrayLike) -> DeviceDecision:
    """The counts of one device, (currents,) each, as a decision whose sums they are."""
    k, n = (np.asarray(a, np.int64) for a in (n_switched, n_valid))
    none = Levels(np.nan, np.nan, np.nan)
    return DeviceDecision(np.stack([k, 0 * k], -1), np.stack([k, n - k], -1), none, "counts", {})


def decide(
    r_reset: npt.ArrayLike | None, r_write: npt.ArrayLike, recorded: Bools, rule: DecisionRule, family: NeuronFamily
) -> DeviceDecision:
    """Which cycles of one device switched.

    Parameters
    ----------
    r_reset, r_write : (currents, cycles) ohm; NaN marks a lost or absent sample. None: nothing was read after reset
    recorded : (currents, cycles), whether there was a cycle
    """
    write = np.asarray(r_write, np.float64)
    if r_reset is None:
        return _write_alone(write, recorded, rule)
    return _of_pairs(np.asarray(r_reset, np.float64), write, recorded, rule, family)


def mixture(
    decided: DeviceDecision, r_reset: npt.ArrayLike | None, r_write: npt.ArrayLike | None, family: NeuronFamily
) -> LevelMixture:
    """Levels among the readings of one device, or among their differences where these decide; none of counts."""
    if r_write is None:
        return LevelMixture(np.empty(0), np.nan)
    write = np.asarray(r_write, np.float32)
    if r_reset is None:
        return LevelMixture(level_means(write), np.nan)
    if decided.method == "difference" and not decided.reason:
        return LevelMixture(level_means(np.asarray(r_write, np.float64) - np.asarray(r_reset, np.float64)), np.nan)
    return family.level_mixture((np.asarray(r_reset, np.float32), write))


def _of_pairs(
    reset: Floats, write: Floats, recorded: Bools, rule: DecisionRule, family: NeuronFamily
) -> DeviceDecision:
    if rule.threshold is not None:
        return _by_threshold(reset, write, recorded, rule)
    if rule.difference:
        return _by_difference(reset, write, recorded, rule)
    levels = None if rule.levels is None else Levels(*rule.levels, np.nan)
    decision = family.with_reset_state(rule.reset_state).decide(
        (reset.astype(np.float32), write.astype(np.float32)), levels
    )
    if not decision.reason:
        return _told(decision, reset, write, recorded, "levels")
    if decision.levels.reason:
        by_difference = _by_difference(reset, write, recorded, rule)
        if not by_difference.reason:
            return by_difference
    other, help = _help(reset, write, decision, rule)
    undecided = _told(decision, reset, write, recorded, "levels")
    return undecided._replace(help=help, other_reset_state=other)


def _by_threshold(reset: Floats, write: Floats, recorded: Bools, rule: DecisionRule) -> DeviceDecision:
    usable = is_reading(reset) & is_reading(write)
    threshold = np.float64(rule.threshold)
    with np.errstate(invalid="ignore"):
        high, is_reset = write > threshold, (reset > threshold) == (rule.reset_state > 0)
    valid = usable & is_reset
    readings = np.concatenate([reset[usable], write[usable]])
    above = readings > threshold
    means = [float(part.mean()) if part.size else np.nan for part in (readings[~above], readings[above])]
    levels = Levels(means[0], means[1], np.nan)
    decision = Decision(valid & (high != (rule.reset_state > 0)), valid, levels, "")
    return _told(decision, reset, write, recorded, "threshold")


def _by_difference(reset: Floats, write: Floats, recorded: Bools, rule: DecisionRule) -> DeviceDecision:
    """By the step between the two readings of each cycle, which a slow drift leaves as it is.

    A reset that failed shows no step, as a write that did not switch: such cycles cannot be told apart here.
    """
    step = np.where(is_reading(reset) & is_reading(write), write - reset, np.nan)
    levels = find_levels(step)
    rest = levels.high if rule.reset_state > 0 else levels.low
    reason = levels.reason.replace("resistance level", "level of r_write - r_reset")
    if not reason and abs(rest) > NEAR * (levels.high - levels.low):
        reason = "no step is the rule, or steps go the other way; check the reset state"
    if reason:
        none = np.zeros(step.shape, np.bool_)
        return _told(Decision(none, none.copy(), levels, reason), reset, write, recorded, "difference")
    valid = is_plausible(step, levels)
    with np.errstate(invalid="ignore"):
        switched = (step > levels.threshold) != (rule.reset_state > 0)
    return _told(Decision(switched & valid, valid, levels, ""), reset, write, recorded, "difference")


def _write_alone(write: Floats, recorded: Bools, rule: DecisionRule) -> DeviceDecision:
    """By the reading after write; every reset is taken to have succeeded."""
    if rule.threshold is not None:
        return _by_threshold(np.full(write.shape, rule.threshold + rule.reset_state), write, recorded, rule)
    levels = find_levels(write) if rule.levels is None else Levels(*rule.levels, np.nan)
    if levels.reason:
        none = np.zeros(write.shape, np.bool_)
        decision = Decision(none, none.copy(), levels, levels.reason)
        help = _level_help(write)
        return _told(decision, np.zeros(write.shape), write, recorded, "levels")._replace(help=help)
    valid = is_plausible(write, levels)
    with np.errstate(invalid="ignore"):
        switched = (write > levels.threshold) != (rule.reset_state > 0)
    reset = np.full(write.shape, levels.high if rule.reset_state > 0 else levels.low)
    return _told(Decision(switched & valid, valid, levels, ""), reset, write, recorded, "levels")


def _told(decision: Decision, reset: Floats, write: Floats, recorded: Bools, method: str) -> DeviceDecision:
    """The decision, with the recorded cycles that are not used counted by their reason."""
    left = recorded & ~decision.valid
    lost = left & ~(is_reading(reset) & is_reading(write))
    counts = {"lost reading": int(lost.sum())}
    rest = left & ~lost
    if decision.levels.reason or (decision.reason and method == "difference"):
        counts["no two levels"] = int(rest.sum())
    elif decision.reason:
        counts["reset failed"] = int(rest.sum())
    elif method == "difference":
        counts["beyond the levels"] = int(rest.sum())
    elif method == "threshold":
        counts["reset failed"] = int(rest.sum())
    else:
        within = is_plausible(reset, decision.levels) & is_plausible(write, decision.levels)
        counts["reset failed"] = int((rest & within).sum())
        counts["beyond the levels"] = int(rest.sum()) - counts["reset failed"]
    return DeviceDecision(
        decision.switched, decision.valid, decision.levels, method, {k: n for k, n in counts.items() if n},
        decision.reason,
    )  # fmt: skip


def _help(reset: Floats, write: Floats, decision: Decision, rule: DecisionRule) -> tuple[bool, str]:
    """Whether resets give the other level, and what may be wrong with a device whose cycles are not used."""
    if decision.levels.reason:
        return False, _level_help(np.concatenate([reset.ravel(), write.ravel()]))
    share = float((reset[is_reading(reset)] > decision.levels.threshold).mean())
    side = "high" if rule.reset_state < 0 else "low"
    if (share if rule.reset_state < 0 else 1 - share) >= RESETS:
        return True, f"resets give the {side} level: say --reset-state {-rule.reset_state}"
    return False, "resets give both levels: check the reset pulse"


def _level_help(readings: Floats) -> str:
    levels = level_means(readings)
    shown = ", ".join(f"{level:.4g}" for level in levels)
    if len(levels) > 2:
        return f"{len(levels)} levels, {shown} ohm: say which are the states, --levels LOW,HIGH or --threshold OHM"
    if len(levels) == 1:
        return f"one level, {shown} ohm: if it never switched, say --levels LOW,HIGH"
    return ""
