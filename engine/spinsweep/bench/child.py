"""What a child process said on its standard error before it ended."""

from __future__ import annotations

import subprocess
from typing import IO


def last_words(process: subprocess.Popen[bytes], errors: IO[str]) -> str:
    """Wait for the end of a child: the last line that it wrote to ``errors``, or its exit status; closes the file."""
    status = process.wait()
    with errors:
        errors.seek(0)
        lines = [line for line in errors.read().splitlines() if line.strip()]
    how = f"signal {-status}" if status < 0 else f"status {status}"
    return lines[-1].removeprefix("spinsweep: ") if lines else f"no word, but {how}"
