"""The page of a cube, written when a run of it has ended."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Self

from spinsweep.cube import Cube
from spinsweep.errors import Fenced, SpinsweepError
from spinsweep.pace import RateHistory
from spinsweep.printable import one_line, said, say
from spinsweep.runs import Run
from spinsweep.saved_page.file import page_of, page_path

WORTH_S = 60.0
"""That a run takes to get a page without being told to: writing one takes a few seconds."""


class PageAtEnd:
    """Around a run, for a ``with``: the page of its cube is written when its results are safe.

    A page that cannot be written is one line, and the run ends as it would have without.

    Parameters
    ----------
    wanted : True: always; False: never; None: after a run of more than :data:`WORTH_S`, and where there is a page of
        the cube already, after each run that computed something
    """

    def __init__(self, wanted: bool | None) -> None:  # noqa: FBT001
        self._wanted = wanted
        self._run: Run | None = None
        self._began = 0.0
        self._rates = RateHistory()

    def update(self, run: Run) -> None:
        """Take note of the rate; cheap enough to be called for every block."""
        now = time.monotonic()
        if self._run is None:
            self._run, self._began = run, now
        if run.progress.blocks_ended:
            self._rates.note(now - run.progress.began, run.progress.rate(now))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._run is None or isinstance(error, Fenced):
            return
        if error is None or isinstance(error, SpinsweepError):
            self._write(self._run)

    def _write(self, run: Run) -> None:
        store = str(run.cube.storage).removeprefix(f"{Path.cwd()}/")  # as short as it can be typed from here
        path = page_path(store)
        try:
            if not self._is_due(run, path, time.monotonic() - self._began):
                return
            from spinsweep.saved_page.effort import AT_END  # late: xarray and matplotlib take long to load
            from spinsweep.saved_page.writing import save_page

            save_page(Cube(store), path, views=run.sweep.views, rates=self._rates.points, effort=AT_END)
        except SpinsweepError as problem:
            self._complain(str(problem))
        except KeyboardInterrupt:
            self._complain(f"the page {path} is not written: interrupted")
        except Exception as problem:  # whatever it is, the run's results are safe, and what it says counts
            self._complain(f"the page {path} is not written: {said(problem)}")
        else:
            say(f"page      {path}")

    def _is_due(self, run: Run, path: Path, seconds: float) -> bool:
        if self._wanted is not None:
            return self._wanted
        if seconds >= WORTH_S:
            return True
        return bool(run.progress.cells_ended) and page_of(path) is not None

    def _complain(self, problem: str) -> None:
        say(one_line(f"spinsweep: {problem}"), error=True)
