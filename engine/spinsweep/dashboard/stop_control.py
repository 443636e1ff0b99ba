"""The button of a window that stops a lane: it asks once, tells the lane, and can do nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from bokeh.layouts import column, row
from bokeh.models import Button

from spinsweep.dashboard import html
from spinsweep.dashboard.monitor import SweepMonitor
from spinsweep.dashboard.stopping import StopOutcome, stop_lane
from spinsweep.dashboard.widgets import set_text, text_box


class StopControl:
    """For windows whose owner may stop a lane.

    Parameters
    ----------
    outcomes : of stops, by bench
    bench : the bench that the window shows
    changed : called when an outcome is there
    """

    def __init__(
        self,
        monitor: SweepMonitor,
        outcomes: dict[str, StopOutcome],
        doc: Any,
        bench: Callable[[], str],
        changed: Callable[[], None],
    ) -> None:
        self.monitor = monitor
        self.outcomes = outcomes
        self._doc = doc
        self._bench = bench
        self._changed = changed
        self._in_question = ""
        """The bench that the window asks about, whatever it shows meanwhile."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.ask = Button(label="Stop and make safe", button_type="danger", width=170)
        self.confirm = Button(label="Yes, stop now", button_type="danger", width=140)
        self.leave = Button(label="No, go on", width=140)
        self.question_text = text_box(width=370)
        self.question = column(self.question_text, row(self.confirm, self.leave), visible=False)
        self.body = column(self.ask, self.question)
        self.ask.on_click(partial(self._question, asks=True))
        self.leave.on_click(partial(self._question, asks=False))
        self.confirm.on_click(self._confirmed)

    def _question(self, *, asks: bool) -> None:
        self._in_question = self._bench() if asks else ""
        if asks:
            set_text(self.question_text, html.stop_question(self._in_question))
        self.question.visible, self.ask.visible = asks, not asks

    def _confirmed(self) -> None:
        bench = self._in_question
        self._question(asks=False)
        if not bench:  # nobody was asked
            return
        self.ask.disabled = True

        async def stop() -> None:
            await stop_lane(self.monitor, self.outcomes, bench)
            self._doc.add_next_tick_callback(self._stopped)

        task = asyncio.get_running_loop().create_task(stop())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _stopped(self) -> None:
        self.ask.disabled = False
        self._changed()
