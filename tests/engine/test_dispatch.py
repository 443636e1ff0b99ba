"""What the dispatcher decides, told by events alone: no process, no cluster, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spinsweep.blocks import Block
from spinsweep.cube import Task
from spinsweep.executors.dispatch import IN_FLIGHT, MAX_DEATHS, MAX_LOSSES, MAX_UNWRITTEN, MOST_IN_FLIGHT, Dispatcher
from spinsweep.executors.events import (
    Aborted,
    Action,
    Attempt,
    Cancel,
    Computing,
    CubeMissing,
    Dropped,
    Event,
    FindComputing,
    Finished,
    GiveUp,
    NoAnswer,
    Note,
    OtherCodeFound,
    Raised,
    ReceiptLost,
    RecordFailure,
    Split,
    StopRequested,
    Submit,
    Tick,
    Unfinished,
    Unwritten,
    Waiting,
    WorkerKilled,
    WorkersChanged,
)
from spinsweep.ledger import Receipt


def blocks(count: int, cells: int = 1) -> list[Task]:
    return [Task(Block((n * cells,), ((n + 1) * cells,))) for n in range(count)]


def started(tasks: Sequence[Task], threads: int = 1, *, measured: bool = False) -> tuple[Dispatcher, list[Attempt]]:
    """A dispatcher with one worker of so many threads, and what it has sent."""
    dispatcher = Dispatcher(iter(tasks), measured=measured)
    return dispatcher, sent(dispatcher, WorkersChanged({"a": threads}), Tick())


def told(dispatcher: Dispatcher, *events: Event) -> list[Action]:
    return [action for event in events for action in dispatcher.handle(event)]


def sent(dispatcher: Dispatcher, *events: Event) -> list[Attempt]:
    return [a for action in told(dispatcher, *events) if isinstance(action, Submit) for a in action.attempts]


def finished(attempt: Attempt, seconds: float = 1.0) -> Finished:
    return Finished(attempt.number, Receipt(attempt.task.block, attempt.task.cells, 0, seconds))


def killed(attempt: Attempt, deaths: int = MAX_DEATHS) -> WorkerKilled:
    return WorkerKilled(attempt.number, "Killed", "why", deaths)


def test_blocks_are_sent_in_order_and_the_run_is_over_when_the_last_has_ended() -> None:
    dispatcher, first = started(blocks(7))

    assert [a.task.block.start for a in first] == [(n,) for n in range(IN_FLIGHT)]
    assert [a.task.block.start for a in sent(dispatcher, *map(finished, first[:3]), Tick())] == [(6,)]
    assert not dispatcher.over
    sent(dispatcher, *map(finished, dispatcher.in_flight.copy().values()), Tick())
    assert dispatcher.over


def test_a_run_of_nothing_is_over_at_once() -> None:
    dispatcher, first = started([])

    assert (first, dispatcher.over) == ([], True)


def test_short_blocks_are_sent_further_ahead_than_long_ones_and_never_without_bound() -> None:
    def window(seconds: float) -> int:
        dispatcher, first = started(blocks(500), threads=2)
        assert dispatcher.window == len(first) == 2 * IN_FLIGHT
        sent(dispatcher, *(finished(attempt, seconds) for attempt in first), Tick())
        assert len(dispatcher.in_flight) == dispatcher.window
        return dispatcher.window

    assert [window(s) for s in (1.0, 0.02, 0.0)] == [2 * IN_FLIGHT, 2 * 10, 2 * MOST_IN_FLIGHT]


def test_more_are_sent_only_when_a_part_of_the_window_is_free() -> None:
    dispatcher, first = started(blocks(20))

    assert sent(dispatcher, finished(first[0]), Tick()) == []
    assert len(sent(dispatcher, finished(first[1]), Tick())) == 2


def test_without_a_worker_two_blocks_are_sent_so_that_a_cluster_scales_and_the_run_says_what_it_waits_for() -> None:
    dispatcher = Dispatcher(iter(blocks(9)))
    actions = told(dispatcher, WorkersChanged({}, "a worker with bench=1"), Tick())

    assert [len(a.attempts) for a in actions if isinstance(a, Submit)] == [2]
    assert Waiting("a worker with bench=1") in actions
    assert told(dispatcher, WorkersChanged({"a": 1}, "a worker with bench=1")) == [Waiting("")]


def test_a_measured_sweep_has_one_block_in_flight_for_each_worker() -> None:
    dispatcher, first = started(blocks(5), measured=True)

    assert len(first) == 1
    assert len(sent(dispatcher, finished(first[0], 0.0), Tick())) == 1


def test_a_block_whose_receipt_was_lost_is_sent_again_under_a_new_number() -> None:
    dispatcher, (attempt,) = started(blocks(1))
    (again,) = sent(dispatcher, ReceiptLost(attempt.number), Tick())

    assert (again.task, again.retry) == (attempt.task, True)
    assert again.number != attempt.number


def test_the_loss_of_a_receipt_is_repaired_so_often_and_then_the_run_gives_up() -> None:
    dispatcher, (attempt,) = started(blocks(1))
    for _ in range(MAX_LOSSES):
        (attempt,) = sent(dispatcher, ReceiptLost(attempt.number), Tick())
    (action,) = told(dispatcher, ReceiptLost(attempt.number))

    assert isinstance(action, GiveUp)
    assert "was lost with its worker 21 times" in action.reason
    assert dispatcher.over


def test_work_that_was_interrupted_goes_back() -> None:
    dispatcher, (attempt,) = started(blocks(1), measured=True)

    assert [a.task for a in sent(dispatcher, Unfinished(attempt.number), Tick())] == [attempt.task]


def test_a_block_is_tried_again_before_its_cells_are_suspected_of_its_workers_deaths() -> None:
    dispatcher, (attempt,) = started(blocks(1, cells=2))
    for _ in range(MAX_DEATHS - 1):
        (attempt,) = sent(dispatcher, killed(attempt, 1), Tick())
        assert attempt.task.cells == 2

    assert Split(2) in told(dispatcher, killed(attempt, 1))
    assert [a.task.cells for a in sent(dispatcher, Tick())] == [1]


def test_suspects_are_tried_one_by_one_on_a_worker_that_has_nothing_else_and_only_the_culprit_fails() -> None:
    dispatcher, (bad, good) = started(blocks(2, cells=3))
    assert told(dispatcher, killed(bad), Tick()) == [Split(3)]
    (first,) = sent(dispatcher, finished(good), Tick())
    assert (first.alone, first.workers, first.task.mask.tolist()) == (True, ("a",), [True, False, False])
    (second,) = sent(dispatcher, finished(first), Tick())
    failure, submit = told(dispatcher, killed(second), Tick())

    assert isinstance(failure, RecordFailure)
    assert failure.task.mask.tolist() == [False, True, False]
    assert (failure.error_type, failure.detail) == ("Killed", "why")
    assert failure.message.startswith(f"the worker died each of the {MAX_DEATHS} times that the cell was tried")
    assert isinstance(submit, Submit)
    sent(dispatcher, finished(submit.attempts[0]), Tick())
    assert dispatcher.over


def test_suspects_do_not_stop_the_world() -> None:
    dispatcher = Dispatcher(iter(blocks(40, cells=2)))
    bad, *others = sent(dispatcher, WorkersChanged({"a": 1, "b": 1, "c": 1}), Tick())

    more = sent(dispatcher, killed(bad), *map(finished, others[:9]), Tick())
    assert more
    assert all(attempt.workers == ("b", "c") for attempt in more)
    (suspect, *more) = sent(dispatcher, *map(finished, others[9:]), Tick())
    assert (suspect.alone, suspect.workers) == (True, ("a",))
    assert [attempt.workers for attempt in more] == [("b", "c")] * 8
    (other,) = [a for a in sent(dispatcher, finished(suspect), Tick()) if a.alone]
    sent(dispatcher, finished(other), Tick())
    more = sent(dispatcher, *map(finished, list(dispatcher.in_flight.values())), Tick())
    assert more
    assert all(attempt.workers is None for attempt in more)


def test_a_worker_that_dies_of_a_suspect_counts_and_one_whose_time_is_over_does_not() -> None:
    dispatcher, (bad,) = started(blocks(1))
    told(dispatcher, killed(bad))
    for n in range(MAX_DEATHS):
        for name, retired in ((f"b{n}", ["a"]), ("a", [])):
            (suspect,) = sent(dispatcher, WorkersChanged({"a": 1}), Tick())
            gone = WorkersChanged({name: 1} if retired else {}, retired=retired)
            assert Cancel((suspect.number,)) in told(dispatcher, gone)
            actions = told(dispatcher, Dropped([suspect.number]))
            assert any(isinstance(a, RecordFailure) for a in actions) == (n + 1 == MAX_DEATHS and not retired)
    (failure,) = [a for a in actions if isinstance(a, RecordFailure)]
    assert failure.error_type == "Killed"


def test_what_was_sent_to_workers_that_are_gone_goes_to_others() -> None:
    dispatcher = Dispatcher(iter(blocks(12)))
    first = sent(dispatcher, WorkersChanged({"a": 1, "b": 1}), Tick())
    told(dispatcher, OtherCodeFound(first[0].number, "b", "worker b has other code"))
    more = sent(dispatcher, *map(finished, first[1:]), Tick())
    assert all(attempt.workers == ("a",) for attempt in more)
    numbers = [attempt.number for attempt in more]
    assert Cancel(tuple(numbers)) in told(dispatcher, WorkersChanged({"b": 1, "c": 1}))
    again = sent(dispatcher, Dropped(numbers), Tick())
    assert [(a.task, a.workers) for a in again] == [(a.task, ("c",)) for a in more]


def test_a_measured_block_is_never_blamed_for_the_death_of_its_worker() -> None:
    dispatcher, (attempt,) = started(blocks(1), measured=True)
    for _ in range(3 * MAX_DEATHS):
        (attempt,) = sent(dispatcher, killed(attempt), Tick())
        assert not attempt.alone


def test_a_worker_with_other_code_gets_no_further_block_and_its_block_goes_to_others() -> None:
    dispatcher = Dispatcher(iter(blocks(40)))
    first = sent(dispatcher, WorkersChanged({"a": 1, "b": 1}), Tick())
    refused = [OtherCodeFound(a.number, "b", "worker b has other code: x") for a in first]
    actions = told(dispatcher, *refused, Tick())

    assert [a.text for a in actions if isinstance(a, Note)] == [
        "worker b has other code: x; it gets no block of this run (--allow-mixed would let it compute as well)"
    ]
    (submit,) = [a for a in actions if isinstance(a, Submit)]
    assert submit.workers == ("a",)
    assert [a.task for a in submit.attempts] == [a.task for a in first[:IN_FLIGHT]]


def test_a_worker_that_does_not_see_the_cube_gets_no_further_block_and_ends_the_run_when_it_is_the_last() -> None:
    for others in ({}, {"b": 1}):
        dispatcher, (attempt,) = started(blocks(1))
        assert told(dispatcher, CubeMissing(attempt.number, "a", "worker a finds no cube"), Tick()) == []
        (action,) = told(dispatcher, WorkersChanged({"a": 1, **others}))
        if others:
            assert isinstance(action, Note)
            assert action.text == "worker a finds no cube; it gets no block of this run"
        else:
            assert isinstance(action, GiveUp)
            assert action.reason == "worker a finds no cube"


def test_when_the_only_worker_has_other_code_the_next_count_of_workers_decides_whether_the_run_ends() -> None:
    for others, ends in (({}, True), ({"b": 1}, False)):
        dispatcher, (attempt,) = started(blocks(1))
        assert told(dispatcher, OtherCodeFound(attempt.number, "a", "worker a has other code"), Tick()) == []
        assert not dispatcher.over
        (action,) = told(dispatcher, WorkersChanged({"a": 1, **others}))
        assert isinstance(action, GiveUp if ends else Note)
        assert getattr(action, "outcome", "refused") == "refused"
        assert bool(sent(dispatcher, Tick())) != ends


def test_blocks_that_cannot_be_kept_in_a_row_end_the_run_and_one_that_is_kept_begins_a_new_row() -> None:
    dispatcher, _ = started(blocks(99))
    for row in (MAX_UNWRITTEN - 1, MAX_UNWRITTEN):
        for n in range(row):
            attempt = next(iter(dispatcher.in_flight.values()))
            actions = told(dispatcher, Raised(attempt.number, "OSError: disk full"), Tick())
            text = f"block {attempt.task.block.start}: OSError: disk full"
            assert actions[0] == Unwritten(text)
            assert any(isinstance(a, GiveUp) for a in actions) == (n + 1 == MAX_UNWRITTEN)
        if row < MAX_UNWRITTEN:
            sent(dispatcher, finished(next(iter(dispatcher.in_flight.values()))), Tick())
    (give_up,) = [a for a in actions if isinstance(a, GiveUp)]
    assert give_up.outcome == "broken"
    assert f"{MAX_UNWRITTEN} blocks in a row could not be kept, the last: {text}" in give_up.reason


def test_equipment_that_is_not_to_be_trusted_ends_the_run() -> None:
    dispatcher, (attempt,) = started(blocks(1), measured=True)
    (action,) = told(dispatcher, Aborted(attempt.number, "the relay sticks"))

    assert isinstance(action, GiveUp)
    assert action.reason.startswith("the relay sticks; what was measured is kept")


def test_a_stop_drops_what_is_only_queued_and_waits_for_what_is_computed() -> None:
    dispatcher, first = started(blocks(9))
    assert told(dispatcher, StopRequested(), Tick()) == [FindComputing()]
    assert told(dispatcher, NoAnswer("the scheduler")) == [
        Waiting("the scheduler, which does not answer; Ctrl-C again leaves at once")
    ]
    queued = tuple(a.number for a in first[1:])
    assert told(dispatcher, Computing({first[0].number: "a"}, ["a"])) == [Cancel(queued)]
    what, last = "1 block (1 cell) that are being computed", "Ctrl-C again leaves at once"
    words, first_cell = f"{what}; {last}", first[0].task.block.start
    note = Note(f"stopping: waiting for {what} (the first cell: {first_cell}); {last}")
    assert told(dispatcher, Dropped(queued)) == [Waiting(words), note]
    assert told(dispatcher, Tick()) == [FindComputing()]
    assert told(dispatcher, Computing({first[0].number: "a"}, ["a"])) == [Waiting(words)]
    assert told(dispatcher, finished(first[0]), Tick()) == []
    assert dispatcher.over


def test_a_stop_does_not_begin_again_what_a_worker_that_died_meanwhile_computed() -> None:
    for computed_by, alive in (({}, ["b"]), ({1: "b"}, ["a", "b"])):  # gone with it, or begun anew by another
        dispatcher = Dispatcher(iter(blocks(2)))
        first, second = sent(dispatcher, WorkersChanged({"a": 1, "b": 1}), Tick())
        told(dispatcher, StopRequested(), Tick(), Computing({first.number: "a", second.number: "b"}, ["a", "b"]))
        told(dispatcher, Tick())
        assert told(dispatcher, Computing({**computed_by, second.number: "b"}, alive)) == [Cancel((first.number,))]
    told(dispatcher, Dropped([first.number]), ReceiptLost(second.number), Tick())
    assert dispatcher.over


def test_what_ended_before_it_was_dropped_still_counts() -> None:
    dispatcher, first = started(blocks(2))
    told(dispatcher, StopRequested(), Tick(), Computing({}, ["a"]), Dropped([first[1].number]))

    assert list(dispatcher.in_flight) == [first[0].number]
    told(dispatcher, finished(first[0]), Tick())
    assert dispatcher.over


def test_what_ended_before_a_stop_is_dropped_when_its_receipt_went_with_its_worker() -> None:
    dispatcher, (first, second) = started(blocks(2))
    told(dispatcher, StopRequested(), Tick(), Computing({}, ["a"]), Dropped([second.number]))
    assert told(dispatcher, Tick()) == [FindComputing()]
    assert told(dispatcher, Computing({}, [])) == [Cancel((first.number,))]
    told(dispatcher, Dropped([first.number]), Tick())
    assert dispatcher.over

    dispatcher, (attempt,) = started(blocks(1), measured=True)
    assert told(dispatcher, StopRequested()) == [Cancel((attempt.number,))]
    assert told(dispatcher, Dropped([]), Tick()) == [Cancel((attempt.number,))]
    told(dispatcher, Dropped([attempt.number]), Tick())
    assert dispatcher.over


def test_a_scheduler_that_does_not_answer_is_named_as_what_a_run_waits_for() -> None:
    dispatcher, _ = started(blocks(2))
    assert told(dispatcher, NoAnswer("the scheduler")) == [Waiting("the scheduler, which does not answer")]
    assert told(dispatcher, WorkersChanged({"a": 1})) == [Waiting("")]


def test_a_stop_drops_all_of_a_measured_sweep() -> None:
    dispatcher, first = started(blocks(9), threads=2, measured=True)
    numbers = tuple(a.number for a in first)

    assert told(dispatcher, StopRequested()) == [Cancel(numbers)]
    assert told(dispatcher, Dropped(numbers), Tick()) == []
    assert dispatcher.over


# a cluster by chance

WORKERS = 3
FAULTS = (
    "lost",
    "killed",
    "killed by dask",
    "unfinished",
    "raised",
    "other code",
    "stop",
    "worker came",
    "worker gone",
    "none",
)


class Cluster:
    """Workers that take blocks from one queue, and what goes wrong with them."""

    def __init__(self, dispatcher: Dispatcher, poison: set[int]) -> None:
        self.dispatcher = dispatcher
        self.poison = poison
        """Cells that kill their worker."""
        self.queue: list[tuple[Attempt, tuple[str, ...] | None]] = []
        self.workers: dict[str, Attempt | None] = {f"w{n}": None for n in range(WORKERS)}
        self.other_code: set[str] = set()
        self.came = 0
        self.halted = False
        self.ends: Counter[int] = Counter()
        """How often each cell was done, failed, or given up."""
        self.gave_up: GiveUp | None = None

    def tell(self, event: Event) -> None:
        if isinstance(event, Finished):
            self.end(next(a for a in self.dispatcher.in_flight.values() if a.number == event.attempt).task)
        for action in self.dispatcher.handle(event):
            self.carry_out(action)

    def end(self, task: Task) -> None:
        self.ends.update(task.block.start[0] + int(i) for (i,) in np.argwhere(task.mask))

    def carry_out(self, action: Action) -> None:
        in_flight = self.dispatcher.in_flight
        match action:
            case Submit():
                assert len(in_flight) <= self.dispatcher.window, "the window was exceeded"
                for suspect in (a for a in in_flight.values() if a.alone):
                    rest = [a for a in in_flight.values() if a is not suspect]
                    assert suspect.workers is not None
                    shared = [a for a in rest if a.workers is None or set(a.workers) & set(suspect.workers)]
                    assert not shared, "a suspect is not alone at its worker"
                assert not self.halted, "something was sent after a stop"
                self.queue += [(attempt, action.workers) for attempt in action.attempts]
            case RecordFailure():
                self.end(action.task)
            case FindComputing():
                self.halted = True
                at = {a.number: name for name, a in self.workers.items() if a is not None}
                self.tell(Computing(at, set(self.workers)))
            case Cancel():
                self.queue = [(a, may) for a, may in self.queue if a.number not in action.attempts]
                self.workers = {
                    name: None if a is None or a.number in action.attempts else a for name, a in self.workers.items()
                }
                self.tell(Dropped(action.attempts))
            case GiveUp():
                self.gave_up = action

    def step(self, fault: str, number: int) -> None:
        """Workers take blocks; one of them ends its block, or something goes wrong with it."""
        name = list(self.workers)[number % len(self.workers)]
        for worker, has in self.workers.items():
            fit = [entry for entry in self.queue if entry[1] is None or worker in entry[1]]
            if has is None and fit and not self.halted:
                self.queue.remove(fit[0])
                self.workers[worker] = fit[0][0]
        attempt = self.workers[name]
        if fault == "stop" and not self.halted:
            self.tell(StopRequested())
        elif fault == "worker came":
            self.came += 1
            self.workers[f"new{self.came}"] = None
        elif fault == "worker gone":
            del self.workers[name]
            self.came += 1
            self.workers[f"new{self.came}"] = None
            if attempt is not None:  # Dask has it computed again, where it may be
                self.queue.append((attempt, attempt.workers))
        elif attempt is not None:
            self.workers[name] = None
            self.tell(self.ended(attempt, fault, name))
        self.tell(WorkersChanged(dict.fromkeys(self.workers, 1)))
        if self.gave_up is None:
            self.tell(Tick())

    def ended(self, attempt: Attempt, fault: str, name: str) -> Event:
        cells = {attempt.task.block.start[0] + int(i) for (i,) in np.argwhere(attempt.task.mask)}
        if name in self.other_code:
            return OtherCodeFound(attempt.number, name, f"worker {name} has other code")
        if cells & self.poison or fault.startswith("killed"):
            return WorkerKilled(attempt.number, "Killed", deaths=MAX_DEATHS if fault.endswith("dask") else 1)
        if fault == "lost":
            return ReceiptLost(attempt.number)
        if fault == "unfinished":
            return Unfinished(attempt.number)
        if fault == "raised":
            self.end(attempt.task)
            return Raised(attempt.number, "OSError: disk full")
        if fault == "other code" and len(self.other_code) < len(self.workers) - 1:
            self.other_code.add(name)
        return finished(attempt, 0.05)


@given(
    sizes=st.lists(st.integers(1, 4), max_size=12),
    poison=st.sets(st.integers(0, 20), max_size=3),
    measured=st.booleans(),
    faults=st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, WORKERS - 1)), max_size=60),
)
@settings(max_examples=300)
def test_whatever_goes_wrong_each_cell_ends_exactly_once_or_is_untouched_after_a_stop_and_the_run_ends(
    sizes: list[int], poison: set[int], measured: bool, faults: list[tuple[str, int]]
) -> None:
    ends = np.cumsum(sizes).tolist()
    tasks = [Task(Block((end - size,), (end,))) for size, end in zip(sizes, ends, strict=True)]
    cluster = Cluster(Dispatcher(iter(tasks), measured=measured), set() if measured else poison)
    steps = iter(faults)
    cluster.tell(WorkersChanged(dict.fromkeys(cluster.workers, 1)))
    cluster.tell(Tick())
    for number in range(2_000):
        fault, worker = next(steps, ("none", number))
        cluster.step(fault, worker)
        if cluster.dispatcher.over:
            break
    assert cluster.dispatcher.over, "it does not end"
    assert set(cluster.ends.values()) <= {1}, "a cell ended twice"
    if all(fault != "stop" for fault, _ in faults) and cluster.gave_up is None:
        assert cluster.ends.total() == sum(sizes), "a cell was forgotten"


def test_a_further_round_is_sent_to_the_same_workers_under_new_numbers() -> None:
    dispatcher, first = started(blocks(2))
    told(dispatcher, *(Finished(a.number, Receipt(a.task.block, 1, 0, 0.1)) for a in first), Tick())
    assert dispatcher.over

    dispatcher.go_on(iter(blocks(1)))
    (again,) = sent(dispatcher, Tick())
    assert dispatcher.in_flight
    assert again.retry, "the block may have been sent before: an executor must not take it for that"
    assert again.number not in {a.number for a in first}
    told(dispatcher, Finished(again.number, Receipt(again.task.block, 1, 0, 0.1)), Tick())
    assert dispatcher.over
