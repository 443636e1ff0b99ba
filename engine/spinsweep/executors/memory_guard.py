"""Which worker processes of this machine hold more memory than a cell may use, seen from the driver.

Workers look themselves, and keep what a block has so far (:mod:`spinsweep.cube.memory_limit`). This is for what keeps
them from it: native code that lets no Python run, and cells that take memory faster than one can look.
"""

from __future__ import annotations

import time

from spinsweep import memory

POLL_S = 0.1  # between looks
GRACE_S = 0.7  # that a worker has to end a cell by itself
FAR, FAR_BYTES = 0.5, 1 << 30  # more than it may, of that and at least: then it takes what others were given


class MemoryGuard:
    """Looks at the workers of one run.

    Parameters
    ----------
    allowed : of a worker, bytes
    """

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self._since: dict[int, float] = {}

    def excess(self, process: int) -> int | None:
        """Bytes that a worker holds that is to be ended, with all that it has started; None: it is not."""
        held = memory.more_than(process, self.allowed)
        if held is None:
            self._since.pop(process, None)
            return None
        now = time.monotonic()
        late = now - self._since.setdefault(process, now) > GRACE_S
        far = held - self.allowed > max(FAR * self.allowed, FAR_BYTES)
        return held if late or far else None
