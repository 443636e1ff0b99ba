"""What Dask workers compute for long: asked of those that were sent something a while ago and have not ended it.

While nothing is long, nobody is asked. A worker that does not answer, because native code keeps its Python from
running, is not asked again before it has; the scheduler knows when it showed life last.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from distributed import Client, Future

from spinsweep.executors import long_running
from spinsweep.executors.dask_worker import blocks_in_hand
from spinsweep.executors.events import LongAttempt, LongRunning

BATCH_S = 0.5  # in which all that is sent counts as sent at once
QUESTION_S = 0.02  # more between looks for each worker that is asked: the scheduler passes each question on


class LongLook:
    """The questions of one run.

    Parameters
    ----------
    plugin : name of the run's plugin at the workers
    wake : has the driver look for events
    """

    def __init__(self, client: Client, plugin: str, wake: Callable[[], None]) -> None:
        self._client, self._plugin, self._wake = client, plugin, wake
        self._batches: deque[tuple[float, int]] = deque()  # when a batch was sent, and the last number in it
        self._sent_long_ago = 0  # the last number of these
        self._asked: dict[str, asyncio.Future[Any]] = {}  # workers that have not answered; of the client's loop
        self._last: dict[int, LongAttempt] = {}  # what was answered last, by number
        self._look: concurrent.futures.Future[list[LongAttempt]] | None = None
        self._last_at = self._next = 0.0
        self._questions = 0  # of the last look
        self._were_long = False

    def sent(self, last: int) -> None:
        """A batch goes out, whose attempts have numbers up to this."""
        now = time.monotonic()
        if self._batches and now < self._batches[-1][0] + BATCH_S:
            now, _ = self._batches.pop()
        self._batches.append((now, last))

    def events(self, numbers: Mapping[Future[Any], tuple[int, ...]]) -> Iterator[LongRunning]:
        """What workers have answered; asks, if it is time.

        Parameters
        ----------
        numbers : of the attempts in flight
        """
        now = time.monotonic()
        if self._look is not None:
            if not self._look.done():
                return
            look, self._look = self._look, None
            self._next = now + long_running.LOOK_S + QUESTION_S * self._questions
            with suppress(Exception):  # the scheduler does not answer, which others find out
                yield from self._said(look.result())
        if now < self._next:
            return
        while self._batches and self._batches[0][0] <= now - long_running.LONG_S:
            self._sent_long_ago = self._batches.popleft()[1]
        old = {future.key: those for future, those in numbers.items() if those[0] <= self._sent_long_ago}
        if not old:
            self._next = now + long_running.LOOK_S
            yield from self._said([])
            return
        loop: Any = self._client.loop
        self._look = asyncio.run_coroutine_threadsafe(self._ask(old), loop.asyncio_loop)
        self._look.add_done_callback(lambda _: self._wake())

    def _said(self, long: list[LongAttempt]) -> Iterator[LongRunning]:
        if long or self._were_long:
            yield LongRunning(long)
        self._were_long = bool(long)

    async def _ask(self, old: Mapping[Any, tuple[int, ...]]) -> list[LongAttempt]:
        """In the client's loop: what workers say of attempts that were sent long ago, by their keys."""
        scheduler: Any = self._client.scheduler
        assigned = await scheduler.processing(workers=None)
        sent = {worker: [n for key in keys for n in old.get(key, ())] for worker, keys in assigned.items()}
        silent, answers = set(), {}
        for worker in [worker for worker, those in sent.items() if those]:
            if worker in self._asked and not self._asked[worker].done():
                silent.add(worker)
                continue
            question = self._client._run(blocks_in_hand, self._plugin, workers=[worker], on_error="ignore")
            answers[worker] = self._asked[worker] = asyncio.ensure_future(question)
            answers[worker].add_done_callback(_take_note)
        self._questions = len(answers)
        if answers:
            await asyncio.wait(answers.values(), timeout=long_running.ANSWER_S)
        long = []
        for worker, answer in answers.items():
            if not answer.done():
                silent.add(worker)
                continue
            del self._asked[worker]
            if answer.exception() is None:
                long += self._as_answered(worker, answer.result().get(worker) or [], old)
        if silent:
            long += await self._of_silent({worker: sent[worker] for worker in silent})
        self._last, self._last_at = {attempt.attempt: attempt for attempt in long}, time.monotonic()
        return long

    def _as_answered(
        self, worker: str, answer: list[long_running.BlockInHand], old: Mapping[Any, tuple[int, ...]]
    ) -> list[LongAttempt]:
        return [
            LongAttempt(old[key][place], _named(worker), t.seconds, t.cell, t.cell_seconds)
            for t in answer
            for key, place in (t.block,)
            if key in old and t.seconds >= long_running.LONG_S
        ]

    async def _of_silent(self, sent: Mapping[str, list[int]]) -> list[LongAttempt]:
        """What they said last, or else were sent first, since they showed life last: they do so every second."""
        scheduler: Any = self._client.scheduler
        workers = (await scheduler.identity(n_workers=-1))["workers"]
        now, later = time.time(), time.monotonic() - self._last_at
        long = []
        for worker, numbers in sent.items():
            if worker not in workers:
                continue
            said = [self._last[number] for number in numbers if number in self._last]
            for a in said:
                seconds, cell_seconds = a.seconds + later, a.cell_seconds + later
                long.append(replace(a, seconds=seconds, cell_seconds=cell_seconds, answers=False))
            silence = max(0.0, now - workers[worker]["last_seen"])
            if not said and silence >= long_running.LONG_S:
                long.append(LongAttempt(min(numbers), _named(worker), silence, answers=False))
        return long

    def close(self) -> None:
        """Wait for no answer any more."""

        def cancel() -> None:
            for question in self._asked.values():
                question.cancel()

        if self._look is not None:
            self._look.cancel()
        if self._asked:
            loop: Any = self._client.loop
            with suppress(RuntimeError):  # it is closed
                loop.add_callback(cancel)


def _take_note(answer: asyncio.Future[Any]) -> None:
    """Of a failure, so that nobody is told that none did: the worker is gone, or its run is over."""
    if not answer.cancelled():
        answer.exception()


def _named(worker: str) -> str:
    return f"worker {worker}"
