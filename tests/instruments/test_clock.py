"""Waits are exact, scale with the speed, and do not burn time."""

from __future__ import annotations

import time

import pytest
from tests.timing import fastest

from spinsweep.bench.clock import Clock


@pytest.mark.parametrize("seconds", [2e-5, 3e-4, 5e-3, 0.05])
def test_a_wait_is_never_shorter_than_asked_and_as_a_rule_later_by_less_than_a_sleep(seconds: float) -> None:
    late: dict[str, list[float]] = {"clock": [], "sleep": []}
    ways = {"clock": Clock().sleep, "sleep": time.sleep}
    for _ in range(15):
        for name, wait in ways.items():  # in turn, so that both meet the same load
            began = time.monotonic()
            wait(seconds)
            late[name].append(time.monotonic() - began - seconds)
    assert min(late["clock"]) >= 0
    assert sorted(late["clock"])[3] <= sorted(late["sleep"])[3]


def test_a_faster_clock_shows_and_waits_as_much_bench_time() -> None:
    clock = Clock(1000)

    def wait() -> None:
        shown = clock.now()
        clock.sleep(20)
        assert clock.now() - shown >= 20

    assert 0.02 <= fastest(wait, 1) < 1


def test_a_long_wait_leaves_the_processor_alone() -> None:
    busy = time.process_time()
    Clock().sleep(0.3)
    assert time.process_time() - busy < 0.05


def test_a_wait_that_is_over_already_returns() -> None:
    assert fastest(lambda: Clock().sleep(-1), 0.1) < 0.1
