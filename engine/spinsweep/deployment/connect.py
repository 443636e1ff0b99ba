"""Whether a scheduler answers at an address, within a time, and a client of it."""

from __future__ import annotations

import asyncio
from typing import Any

from distributed import Client, Security
from distributed.comm import core

from spinsweep.deployment.security import CLIENT
from spinsweep.errors import RunnerError

ANSWER = 10.0  # seconds that a scheduler may take to accept a connection, and then to answer


def connect(address: str, security: Security | None) -> Client:
    """A client of the scheduler at ``address``.

    Raises
    ------
    RunnerError
        As of :func:`require_scheduler`.
    """
    require_scheduler(address, security, CLIENT)
    try:
        return Client(address, timeout=ANSWER, security=security)
    except (OSError, TimeoutError) as error:
        raise _silent(address, security, error) from None


def require_scheduler(address: str, security: Security | None, role: str) -> None:
    """Ask what is at ``address``, with the certificates of a role.

    Raises
    ------
    RunnerError
        Nothing answers there, or something that is not a Dask scheduler.
    """
    foreign = RunnerError(
        f"what answers at {address} is not a Dask scheduler; give the address that `spinsweep scheduler` prints"
    )
    try:
        kind = asyncio.run(_identity(address, {} if security is None else security.get_connection_args(role)))
    except TimeoutError:
        raise foreign from None
    except OSError as error:
        raise _silent(address, security, error) from None
    if kind != "Scheduler":
        raise foreign


def _silent(address: str, security: Security | None, error: Exception) -> RunnerError:
    hint = f"{type(error).__name__})" + (", or it does not accept these certificates" if security else "")
    return RunnerError(f"no scheduler answers at {address} ({hint}; `spinsweep scheduler` starts one")


async def _identity(address: str, arguments: dict[str, Any]) -> str:
    """What kind of Dask server is there; ``TimeoutError`` if it accepts connections and says nothing of the sort."""
    async with asyncio.timeout(ANSWER + ANSWER / 2):  # Dask's own bounds the connection only
        comm = await core.connect(address, timeout=ANSWER, **arguments)
        try:
            await comm.write({"op": "identity", "reply": True, "n_workers": 0})
            answer = await comm.read()
        finally:
            comm.abort()
    return str(answer.get("type") if isinstance(answer, dict) else type(answer).__name__)
