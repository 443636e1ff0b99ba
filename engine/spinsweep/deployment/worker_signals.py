"""A Dask preload: a worker process leaves what a terminal sends to the command that started it.

Ctrl-C and the end of a terminal go to the whole process group. The command ends its workers in order; a worker that
heard them as well would end with a traceback in the middle of a block.
"""

from __future__ import annotations

import signal

from spinsweep.system import TERMINAL_SIGNALS


def dask_setup(worker: object) -> None:
    """Called by Dask in the main thread of a new worker process."""
    for number in TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
