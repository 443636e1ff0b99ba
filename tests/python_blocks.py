"""Python code blocks of the pages, each as ``python -W error -c`` would run it.

Run as a program it reads blocks, a line of JSON each, and forks a process for each of them: what takes longest at the
start of a block, its imports, is done once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import types
import warnings
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

LONGEST_S = 900


def ran(code: str, folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Exit status and output of a block that is run in a folder."""
    from tests.forks import forks  # late: as a program this file finds none of the tests

    with TemporaryDirectory() as temporary:
        said = Path(temporary) / "said"
        asked = {"code": code, "folder": str(folder), "environment": dict(environment), "said": str(said)}
        status = int(forks(__file__).ask(json.dumps(asked)))
        return status, said.read_text()


def _become(asked: dict[str, str | dict[str, str]]) -> dict[str, object]:
    """Be the process that would run the block; the names of its main module."""
    signal.alarm(LONGEST_S)
    writing = os.open(str(asked["said"]), os.O_WRONLY | os.O_CREAT)
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), writing, writing)):
        os.dup2(file, number)
    os.chdir(str(asked["folder"]))
    os.environ.clear()
    os.environ.update(asked["environment"])  # type: ignore[arg-type]
    sys.argv, sys.path[0] = ["-c"], ""
    sys.warnoptions[:] = ["error"]
    warnings.simplefilter("error")
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    return vars(main)


if __name__ == "__main__":
    for name in ("matplotlib.pyplot", "scipy.stats", "xarray", "spinsweep.deployment", "spinsweep.executors.running"):
        import_module(name)

    for line in sys.stdin:
        if (child := os.fork()) == 0:
            block = json.loads(line)
            break
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    else:
        sys.exit()
    names = _become(block)
    exec(compile(block["code"], "<string>", "exec"), names)
