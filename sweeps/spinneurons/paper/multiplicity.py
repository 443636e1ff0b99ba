"""Many claims at once: what chance alone decides among them, and which verdicts last with wider intervals.

Each claim is judged by its own 95 % interval.  Bonferroni's intervals, of 1 - 0.05/k each, hold all k numbers at once
with 95 %; here they are the same ones, widened about the value as those of a normal distribution are.  Ranges that
hold 95 % of the devices are treated alike.

Source: O. J. Dunn, J. Am. Stat. Assoc. 56, 52 (1961).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from scipy.stats import norm

from spinneurons.paper.claim import Claim, Finding, Verdict

LEVEL = 0.05


class Multiplicity(NamedTuple):
    """Of all claims of a report."""

    judged: int
    """Claims whose interval comes from a sample and is held against a rule."""
    by_chance: float
    """Claims that chance puts wholly beyond one end of their interval on average, if each is right at a bound."""
    factor: float
    """Factor on the intervals that makes all of them hold at once."""
    changed: tuple[tuple[str, Verdict, Verdict], ...]
    """Claims whose verdict is another one then: id, verdict, verdict with the wider interval."""

    @property
    def text(self) -> str:
        """In words."""
        changes = "; ".join(f"{id} from {one} to {other}" for id, one, other in self.changed) or "none"
        return (
            f"{self.judged} claims are judged by an interval of their own at 95 %, not all at once: of so many at "
            f"the edge of their bound, chance alone would decide {self.by_chance:.1g} the wrong way. With intervals "
            f"that hold all at once with 95 % (Bonferroni, {self.factor:.2f} times as wide), these verdicts change: "
            f"{changes}."
        )


def multiplicity(judged: Sequence[tuple[Claim, Finding]]) -> Multiplicity:
    """Of claims with their findings; those without a rule, or whose interval has no width, are not counted."""
    sampled = [(c, f) for c, f in judged if c.rule is not None and f.low < f.high]
    count = len(sampled)
    factor = float(norm.isf(LEVEL / 2 / max(count, 1)) / norm.isf(LEVEL / 2))
    pairs = [(c.id, c.verdict(f), c.verdict(widened(f, factor))) for c, f in sampled]
    changed = tuple(pair for pair in pairs if pair[1] is not pair[2])
    return Multiplicity(count, count * LEVEL / 2, factor, changed)


def widened(finding: Finding, factor: float) -> Finding:
    """The same value with both ends of its interval so much further from it."""
    below, above = (factor * (end - finding.value) for end in (finding.low, finding.high))
    return replace(finding, low=finding.value + below, high=finding.value + above)
