"""``python -m tests.golden.make [NAME...]``: compute the golden values anew, all of them or some, and keep them.

Values change only when numbers are meant to change; ``git diff`` then shows which ones did.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.golden import cases, record

NAMES: dict[str, Callable[[], dict[str, Any]]] = {
    **{case: partial(cases.sweep, case) for case in cases.SWEEPS},
    "plane": cases.spikes,
    "log": cases.imported,
    "bench": cases.measured,
}
"""Names of what is kept, and what computes it."""


@contextlib.contextmanager
def empty_folder() -> Iterator[None]:
    """A new working directory; the project keeps what it has of its own in there."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        os.environ |= {f"SPINSWEEP_{n}": str(Path(folder, n.lower())) for n in ("CACHE", "LOCKS", "STATE")}
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def main(names: list[str]) -> int:
    if unknown := set(names) - set(NAMES):
        print(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
        return 2
    if not names:
        shutil.rmtree(record.VALUES, ignore_errors=True)
    for name in names or NAMES:
        with empty_folder():
            record.write(name.replace(" ", "-"), NAMES[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
