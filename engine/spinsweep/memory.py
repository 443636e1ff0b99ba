"""How much memory a process holds, with all that it has started.

Counted is what the machine cannot take back by forgetting copies of files: anonymous memory, shared memory, and what
of them was swapped out. So a mapped file counts for nothing, however large it is, and neither do libraries.  (A limit
of the system, such as ``RLIMIT_AS``, counts addresses: NumPy, PyTorch and CUDA reserve far more than they use.)

Elsewhere than on Linux the resident size is all that can be known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
ENDED_FIRST = 500
"""Added to the score by which Linux chooses what to kill when memory runs out; 1000 is the most."""
_HELD = re.compile(rb"^(?:RssAnon|RssShmem|VmSwap):\s+(\d+) kB", re.MULTILINE)
_SHARES = re.compile(rb"^(?:Pss_Anon|Pss_Shmem|SwapPss):\s+(\d+) kB", re.MULTILINE)


def held(process: int) -> int:
    """Bytes that a process and all that it has started hold; 0: it is gone.

    What forks have in common counts once for each.
    """
    return sum(_held(each, "status", _HELD) for each in _family(process))


def more_than(process: int, allowed: int) -> int | None:
    """Bytes that a process and all that it has started hold, if that is more than ``allowed``, else None.

    What forks have in common counts once.
    """
    family = list(_family(process))
    total = sum(_held(each, "status", _HELD) for each in family)
    if total > allowed and len(family) > 1:
        total = sum(_held(each, "smaps_rollup", _SHARES) for each in family)  # takes longer: looks at each page
    return total if total > allowed else None


def be_ended_first() -> None:
    """Where memory runs out, have the system end this process before the others of its user, such as the driver."""
    score = PROC / "self" / "oom_score_adj"
    with suppress(OSError, ValueError):  # on another system
        if int(score.read_text()) < ENDED_FIRST:
            score.write_text(str(ENDED_FIRST))


def _held(process: int, file: str, lines: re.Pattern[bytes]) -> int:
    try:
        if kibibytes := lines.findall((PROC / str(process) / file).read_bytes()):
            return 1024 * sum(map(int, kibibytes))
    except ProcessLookupError:
        return 0
    except OSError:
        pass
    import psutil  # late: only where this is not Linux

    with suppress(psutil.Error):
        return int(psutil.Process(process).memory_info().rss)
    return 0


def _family(process: int) -> Iterator[int]:
    """A process, its children, theirs, ..."""
    yield process
    folder = PROC / str(process) / "task"
    if not (folder / str(process) / "children").exists():
        import psutil

        with suppress(psutil.Error):
            yield from (child.pid for child in psutil.Process(process).children(recursive=True))
        return
    with suppress(OSError):  # it has ended
        for thread in folder.iterdir():
            for child in (thread / "children").read_bytes().split():
                yield from _family(int(child))
