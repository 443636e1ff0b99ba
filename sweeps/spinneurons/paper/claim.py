"""A claim of the paper, what a run finds of it, and the rule by which the two are compared.

Verdicts are conservative.  *Reproduced* takes a whole 95 % interval inside what the claim says, and a claim that was
not put into the model.  What was put in (``ceiling_reason``) can at most be *consistent*; so can what the interval
does not decide.  An interval wholly outside *differs*.  Readings of the authors' own devices cannot be tested without
them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import xarray as xr

Cubes = Mapping[str, xr.Dataset]
"""Complete cubes in memory, by name of their sweep."""


class Verdict(StrEnum):
    """How a claim fares."""

    REPRODUCED = "reproduced"
    CONSISTENT = "consistent"
    DIFFERS = "differs"
    UNTESTABLE = "cannot be tested without the paper's data"


@dataclass(frozen=True)
class Finding:
    """A number from the cubes with its 95 % interval, in the claim's unit; NaN where there is none."""

    value: float
    low: float = math.nan
    high: float = math.nan
    note: str = ""
    """What else a reader should know, with its numbers."""

    @classmethod
    def of(cls, numbers: Iterable[float], note: str = "") -> Finding:
        """From value, low and high."""
        value, low, high = numbers
        return cls(float(value), float(low), float(high), note)


@dataclass(frozen=True)
class Between:
    """The claim holds above ``low`` and below ``high``."""

    low: float = -math.inf
    high: float = math.inf

    def point_agrees(self, finding: Finding) -> bool:
        """Whether the number itself, whatever its interval, is where the claim wants it."""
        return self.low < finding.value < self.high

    def holds(self, finding: Finding) -> bool | None:
        """True or False where the whole interval says so, None where it does not decide."""
        if self.low < finding.low and finding.high < self.high:
            return True
        return False if finding.high <= self.low or self.high <= finding.low else None


@dataclass(frozen=True)
class Covers:
    """The claim's own number lies in the interval."""

    value: float

    def point_agrees(self, finding: Finding) -> bool:
        """Nothing speaks against it as long as the interval does not."""
        return self.holds(finding) is not False

    def holds(self, finding: Finding) -> bool | None:
        """Whether it does; None without an interval."""
        return None if math.isnan(finding.low + finding.high) else finding.low <= self.value <= finding.high


@dataclass(frozen=True)
class Claim:
    """One statement of the paper."""

    id: str
    where: str
    """Figure or section."""
    statement: str
    """What the paper says, in our words."""
    paper: str
    """Its number, with unit; or what it says in two words."""
    measure: str
    """What our number is, and the rule in words."""
    unit: str
    rests_on: tuple[str, ...]
    """Names of the assumptions behind our number, see ``texts.toml``."""
    cubes: tuple[str, ...]
    """Sweeps that it is found from."""
    find: Callable[[Cubes], Finding]
    rule: Between | Covers | None
    """None: there is nothing of the paper's to compare with."""
    ceiling_reason: str = ""
    """Why the claim can at most be consistent; empty if it can be reproduced."""
    generic: str = ""
    """Of what else the claim is true: one that any such network fulfils says little of this one."""

    def verdict(self, finding: Finding) -> Verdict:
        """By the rule; a number without an interval decides nothing."""
        if self.rule is None:
            return Verdict.UNTESTABLE
        holds = self.rule.holds(finding)
        if holds is False:
            return Verdict.DIFFERS
        return Verdict.REPRODUCED if holds and not self.ceiling_reason else Verdict.CONSISTENT

    def qualifier(self, finding: Finding) -> str:
        """Why a claim is no more than consistent, in a few words; empty for other verdicts."""
        if self.rule is None or self.verdict(finding) is not Verdict.CONSISTENT:
            return ""
        if self.rule.holds(finding):
            return f"the most it can be: {self.ceiling_reason}"
        return (
            "undecided, point estimate agrees"
            if self.rule.point_agrees(finding)
            else "undecided, point estimate disagrees"
        )
