"""Kill a process at its n-th operation on files of a folder: what KILL_AT says in the environment.

Python loads this file by its name in every process that has its folder on PYTHONPATH.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress

EVENTS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.scandir"})


def arm(nth: int, folder: str, told: str = "", count: Callable[[int], None] | None = None) -> None:
    """Kill this process at its ``nth`` operation on files in ``folder``.

    Parameters
    ----------
    told
        A file that is made first: of several processes only the one that can make it is killed.
    count
        Called with the number of each operation.
    """
    done = 0

    def look(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal done
        if event not in EVENTS or not isinstance(arguments[0], str | os.PathLike):
            return
        if not os.fspath(arguments[0]).startswith(folder):
            return
        done += 1
        if count is not None:
            count(done)
        if done == nth:
            with suppress(FileExistsError):
                if told:
                    os.close(os.open(told, os.O_CREAT | os.O_EXCL))
                os.kill(os.getpid(), 9)

    sys.addaudithook(look)


if "KILL_AT" in os.environ:
    _nth, _folder, _told = os.environ["KILL_AT"].split(":")
    arm(int(_nth), _folder, _told)
