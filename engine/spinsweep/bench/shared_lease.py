"""A lease across machines without a common scheduler: locked files in a folder that all of them share.

Each instrument has a file there, named by its address or its serial number, and whoever owns it holds the file's
lock.  Over NFS (version 4, or 3 with its lock daemon) such a lock is the server's and ends with the process; of a
machine that went down it ends when the server gives up on it, which takes about 90 s.  In the file stands who holds
it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from spinsweep.bench.errors import LeaseError
from spinsweep.disk import file_lock
from spinsweep.process import this_process
from spinsweep.system import current_user


def hold(stack: ExitStack, folder: str, name: str) -> None:
    """Hold the lock of a name until the stack is closed.

    Raises
    ------
    LeaseError
        Somebody else holds it, and who it is; or the folder is not there, or its file system has no locks.
    """
    path = Path(folder).expanduser() / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"
    try:
        handle = stack.enter_context(file_lock(path, timeout_s=0.0, flags=os.O_RDWR | os.O_CREAT))
        with suppress(PermissionError):  # another account's, which has opened it to its group
            path.chmod(0o660)
        os.ftruncate(handle, 0)
        row = {"name": name, "holder": this_process(), "user": current_user(), "time": time.time()}
        os.write(handle, json.dumps(row).encode())
    except BlockingIOError:
        raise LeaseError(
            f"{name} is owned by {_holder(path)} ({path} is locked); only one lane can own it: wait for it to end"
        ) from None
    except OSError as error:
        raise LeaseError(
            f"lease = {folder!r}: {error.strerror}; give a folder that all machines of the bench share, in which you "
            "may write and files can be locked"
        ) from None


def _holder(path: Path) -> str:
    """Who holds a lock, as it wrote of itself."""
    try:
        said = json.loads(path.read_bytes())
        since = time.strftime("%H:%M:%S", time.localtime(said["time"]))
        return f"{said['holder']} of user {said['user']} since {since}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
