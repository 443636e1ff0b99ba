"""Whether a scheduler answers at an address, within a time, and what; a client of it."""

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
        kind = asyncio.run(_identity(address, _connection(security, role)))
    except TimeoutError:
        raise foreign from None
    except OSError as error:
        raise _silent(address, security, error) from None
    if kind != "Scheduler":
        raise foreign


def _silent(address: str, security: Security | None, error: Exception) -> RunnerError:
    hint = f"{type(error).__name__})" + (", or it does not accept these certificates" if security else "")
    return RunnerError(f"no scheduler answers at {address} ({hint}; `spinsweep scheduler` starts one")


def ask(address: str, security: Security | None, question: str, **arguments: Any) -> Any:
    """What a scheduler answers to one question of a client, over a connection of its own; None: it knows no such one.

    Parameters
    ----------
    question : name of the scheduler's handler

    Raises
    ------
    RunnerError
        It does not answer.
    """
    try:
        return asyncio.run(_answer(address, _connection(security, CLIENT), question, **arguments))
    except OSError as error:  # also where it takes too long
        raise _silent(address, security, error) from None


def _connection(security: Security | None, role: str) -> dict[str, Any]:
    """How to connect with the certificates of a role."""
    return {} if security is None else dict(security.get_connection_args(role))


async def _identity(address: str, connection: dict[str, Any]) -> str:
    """What kind of Dask server is there; ``TimeoutError`` if it accepts connections and says nothing of the sort."""
    answer = await _answer(address, connection, "identity", n_workers=0)
    return str(answer.get("type") if isinstance(answer, dict) else type(answer).__name__)


async def _answer(address: str, connection: dict[str, Any], question: str, **arguments: Any) -> Any:
    async with asyncio.timeout(ANSWER + ANSWER / 2):  # Dask's own bounds the connection only
        comm = await core.connect(address, timeout=ANSWER, **connection)
        try:
            await comm.write({"op": question, "reply": True, **arguments})
            return await comm.read()
        finally:
            comm.abort()
