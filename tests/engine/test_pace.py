"""Rate and time left, told by counts and times alone."""

from __future__ import annotations

import numpy as np
import pytest

from spinsweep.blocks import Block
from spinsweep.ledger import Receipt
from spinsweep.messages import LongBlock
from spinsweep.pace import WINDOW_S, Pace
from spinsweep.progress import Progress, left_in_words


def worked(pace: Pace, blocks: int, seconds: float, *, began: float = 0.0, cells: int = 1) -> float:
    """One worker, whose blocks each take so long; the time then."""
    for n in range(blocks):
        pace.note(began + (n + 1) * seconds, cells, seconds)
    return began + blocks * seconds


def test_the_rate_is_that_of_the_last_minutes() -> None:
    pace = Pace(0.0)
    now = worked(pace, 2000, 1.0)
    assert pace.rate(now) == pytest.approx(1.0)
    now = worked(pace, 100, 10.0, began=now)
    assert pace.rate(now) == pytest.approx(0.1, rel=0.05)


def test_time_without_a_worker_does_not_count() -> None:
    pace = Pace(0.0)
    now = worked(pace, 10, 1.0)
    pace.wait(now, waits=True)
    now += 1000
    assert pace.rate(now) == pytest.approx(1.0)
    pace.wait(now, waits=False)
    now = worked(pace, 10, 1.0, began=now)
    assert pace.rate(now) == pytest.approx(1.0)


def test_the_interval_of_the_time_left_holds_the_time_that_it_takes_nineteen_times_of_twenty() -> None:
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(1000):
        times = rng.gamma(4.0, 0.25, 60)
        pace, now = Pace(0.0), 0.0
        for seconds in times[:30]:
            now += seconds
            pace.note(now, 1, seconds)
        left = pace.left(now, 30)
        assert left is not None
        held += left.low <= times[30:].sum() <= left.high
    assert 930 <= held <= 975


def test_equal_blocks_leave_no_interval_and_unequal_ones_are_said_with_one() -> None:
    even, uneven = Pace(0.0), Pace(0.0)
    now = worked(even, 20, 10.0)
    left = even.left(now, 20)
    assert left is not None
    assert left_in_words(left) == "3 min 20 s left"
    for n in range(20):
        uneven.note((n + 1) * 10.0, 1, 2.0 if n % 2 else 18.0)
    left = uneven.left(now, 20)
    assert left is not None
    assert left_in_words(left) == "1 min 38 s to 5 min 2 s left"


def test_nothing_is_promised_while_all_that_is_left_runs_longer_than_the_rest() -> None:
    progress = Progress(cells=10, blocks=10, began=0.0)
    for n in range(9):
        progress.note(Receipt(Block((n,), (n + 1,)), 1, 0, 0.1), 0.1 * (n + 1))
    assert progress.left(0.9) is not None
    progress.long, progress.long_at = [LongBlock({"n": 9}, True, 1, 60.0, 60.0, "w")], 60.9
    assert progress.left(60.9) is None
    assert " left" not in progress.line(60.9)


def test_nothing_is_known_before_the_first_block_has_ended_and_marks_are_bounded() -> None:
    pace = Pace(5.0)
    assert pace.rate(5.0) == 0
    assert pace.left(6.0, 10) is None
    worked(pace, 100_000, 0.1, began=5.0)
    assert len(pace._marks) <= 62
    assert WINDOW_S == 300
