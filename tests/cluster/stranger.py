"""Another user of this machine, who tries every port that is open: ``python stranger.py FOLDER PORT...``.

Whatever is talked into running code leaves a file in FOLDER.  Prints what each port did, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from distributed import Client, Security
from distributed.comm.core import connect
from distributed.protocol.pickle import dumps

TIMEOUT_S = 5.0  # seconds for one attempt


async def code_runs(address: str, arguments: dict[str, Any], mark: Path) -> bool:
    """Whether the server takes a function in one of the ways of scheduler, worker and nanny."""
    try:
        comm = await connect(address, timeout=TIMEOUT_S, **arguments)
    except (OSError, TypeError, ValueError):  # where TLS meets another protocol, tornado raises the last
        return False
    for op in ("run_function", "run"):
        order = {"op": op, "function": dumps(mark.touch), "args": dumps(()), "kwargs": dumps({}), "reply": True}
        with suppress(OSError, TimeoutError):
            await comm.write(order)
            await asyncio.wait_for(comm.read(), TIMEOUT_S)
    comm.abort()
    return True


async def client_gets_in(address: str, security: Security | None, mark: Path) -> bool:
    """Whether a Dask client does, which then runs code at the scheduler, workers and nannies."""
    try:
        async with Client(address, timeout=TIMEOUT_S, security=security, asynchronous=True) as client:
            await client.run_on_scheduler(mark.touch)
            await client.run(mark.touch)
            await client.run(mark.touch, nanny=True)
    except (OSError, TypeError, ValueError):
        return False
    return True


def is_web_server(port: int) -> bool:
    """Whether it speaks HTTP."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as plain:
        plain.sendall(b"GET /nothing HTTP/1.0\r\n\r\n")
        return plain.recv(5) == b"HTTP/"
    return False


async def tried(folder: Path, port: int) -> str:
    """``web``, ``in`` or ``closed``."""
    if await asyncio.to_thread(is_web_server, port):
        return "web"
    acquire_bench = Security.temporary()
    found = []
    for scheme, security in (("tcp", None), ("tls", acquire_bench)):
        address, mark = f"{scheme}://127.0.0.1:{port}", folder / f"{scheme}-{port}"
        arguments = {} if security is None else security.get_connection_args("client")
        found.append(await code_runs(address, arguments, mark))
        found.append(await client_gets_in(address, security, mark))
    return "in" if any(found) else "closed"


async def main(folder: Path, ports: list[int]) -> dict[int, str]:
    return dict(zip(ports, await asyncio.gather(*(tried(folder, port) for port in ports)), strict=True))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1]), [int(p) for p in sys.argv[2:]]))))
