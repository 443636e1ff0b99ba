"""The goal of ``cost.py``, kept."""

from __future__ import annotations

import asyncio

import pytest
from cost import GOAL, measure


@pytest.mark.slow
def test_a_thousand_blocks_a_second_cost_the_scheduler_less_than_one_percent() -> None:
    cost = asyncio.run(measure())

    assert cost.reports + cost.hooks < GOAL
