"""Verdicts: what each rule says of an interval, and what a ceiling allows."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinneurons.paper.claim import Between, Claim, Covers, Finding, Verdict
from spinneurons.paper.multiplicity import multiplicity

ONE = Claim(
    id="one", where="Fig. 0", statement="Something rises.", paper="rises", measure="Slope; above 0", unit="A",
    rests_on=(), cubes=(), find=lambda cubes: Finding(0.0), rule=Between(low=0),
)  # fmt: skip


def verdict(found: Finding, **changes: object) -> Verdict:
    return dataclasses.replace(ONE, **changes).verdict(found)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.0, 2.0, Verdict.REPRODUCED),
        (-1.0, 2.0, Verdict.CONSISTENT),
        (-2.0, -1.0, Verdict.DIFFERS),
        (0.0, 0.0, Verdict.DIFFERS),  # no rise at all
        (math.nan, math.nan, Verdict.CONSISTENT),
    ],
)
def test_a_bound_is_passed_by_the_whole_interval_missed_by_it_or_not_decided(
    low: float, high: float, expected: Verdict
) -> None:
    assert verdict(Finding((low + high) / 2, low, high)) is expected


def test_a_number_of_the_paper_is_covered_or_not() -> None:
    found = Finding(5.0, 4.0, 6.0)
    assert verdict(found, rule=Covers(6.0)) is Verdict.REPRODUCED
    assert verdict(found, rule=Covers(6.1)) is Verdict.DIFFERS
    assert verdict(Finding(5.0), rule=Covers(5.0)) is Verdict.CONSISTENT


@given(
    numbers=st.lists(st.floats(-10, 10), min_size=3, max_size=3).map(sorted),
    rule=st.one_of(
        st.builds(Covers, st.floats(-10, 10)),
        st.lists(st.floats(-10, 10), min_size=2, max_size=2).map(sorted).map(lambda ends: Between(*ends)),
    ),
)
def test_what_was_put_into_the_model_is_never_reproduced_and_still_may_differ(
    numbers: list[float], rule: Between | Covers
) -> None:
    low, value, high = numbers
    free, capped = (
        verdict(Finding(value, low, high), rule=rule, ceiling_reason=ceiling_reason)
        for ceiling_reason in ("", "put in")
    )
    assert capped is (Verdict.CONSISTENT if free is Verdict.REPRODUCED else free)
    assert verdict(Finding(value, low, high), rule=None) is Verdict.UNTESTABLE


@given(half=st.floats(0, 5), wider=st.floats(0, 5), value=st.floats(-5, 5))
def test_a_wider_interval_never_decides_more(half: float, wider: float, value: float) -> None:
    narrow, wide = (verdict(Finding(value, value - h, value + h)) for h in (half, half + wider))
    assert wide in (narrow, Verdict.CONSISTENT)


def test_a_consistent_claim_says_whether_it_was_put_in_or_is_undecided_and_what_the_point_estimate_says() -> None:
    put_in = dataclasses.replace(ONE, ceiling_reason="put into the card")
    assert put_in.qualifier(Finding(1.5, 1.0, 2.0)) == "the most it can be: put into the card"
    assert put_in.qualifier(Finding(0.5, -1.0, 2.0)) == "undecided, point estimate agrees"
    assert put_in.qualifier(Finding(-0.5, -2.0, 1.0)) == "undecided, point estimate disagrees"
    assert ONE.qualifier(Finding(1.5, 1.0, 2.0)) == ONE.qualifier(Finding(-1.5, -2.0, -1.0)) == ""
    assert dataclasses.replace(ONE, rule=None).qualifier(Finding(1.5)) == ""


def test_many_claims_have_wider_intervals_and_those_that_change_with_them_are_named() -> None:
    clear, close = Finding(5.0, 4.0, 6.0), Finding(1.0, 0.1, 1.9)
    many = [(dataclasses.replace(ONE, id=f"{i}"), clear) for i in range(8)]
    exact = (dataclasses.replace(ONE, id="exact"), Finding(3.0, 3.0, 3.0))
    unruled = (dataclasses.replace(ONE, id="unruled", rule=None), close)
    found = multiplicity([*many, (ONE, close), exact, unruled])
    assert found.judged == 9
    assert found.by_chance == pytest.approx(9 * 0.025)
    assert found.factor == pytest.approx(2.7729 / 1.95996, rel=1e-4)  # normal quantiles of 1 - 0.05/18 and 0.975
    assert found.changed == (("one", Verdict.REPRODUCED, Verdict.CONSISTENT),)
    assert "9 claims are judged" in found.text
    assert "one from reproduced to consistent" in found.text
    alone = multiplicity([(ONE, close)])
    assert alone.factor == pytest.approx(1)
    assert alone.changed == ()
    assert multiplicity([]).judged == 0
