"""An instrument at the serial port of another one, which relays: a nanovoltmeter behind a current source.

The link to the other carries the messages of both, one question at a time.  What the relayed instrument has answered
comes in pieces, with line ends of its own or without, and cannot be seen before it is asked for.  So each message
ends in a number that the instrument is asked to give back (as the mask ``*ESE`` of its events, which nothing here
uses): the reply is complete when this number stands at its end, and a reply to an earlier question has another one.
"""

from __future__ import annotations

import re
import time
from itertools import cycle
from typing import NamedTuple, Protocol

from spinsweep.bench.errors import ConnectionLost

POLL_S = 0.01
"""Real time between looks for a reply; public drivers of the 6221 wait 20 to 200 ms."""
_NUMBERS = range(100, 256)
"""Three digits each, so that none is the beginning of another."""
_PIECE = re.compile(r'(.*);\s*([+-]?\d+,"[^"]*")', re.DOTALL)


class Relay(NamedTuple):
    """How an instrument relays."""

    send: str
    """Command that sends a text to its serial port, with ``{}`` for the text in double quotes."""
    enter: str
    """Query that gives what has come from there since."""
    errors: str
    """Query that gives the oldest entry of its error queue."""


class Carrier(Protocol):
    """The session of the instrument that relays."""

    def ask(self, message: str, answers: int, wait: float = 0.0) -> list[str]: ...

    def exchange(self, message: str, wait: float = 0.0, end: str = "") -> str: ...


class RelayLink:
    """The link to the instrument behind ``carrier``."""

    def __init__(self, carrier: Carrier, relay: Relay) -> None:
        self._carrier = carrier
        self._relay = relay
        self._numbers = cycle(_NUMBERS)

    def exchange(self, message: str, timeout: float, end: bytes) -> bytes:
        """Send a message; its reply, with ``end`` behind it, after ``timeout`` s at most.

        Raises
        ------
        ConnectionError
            The link to the carrier is lost.
        TimeoutError, ValueError
            No complete reply came, or the carrier reports an error.
        """
        number = next(self._numbers)
        try:
            self._hand_over(f"{message};*ESE {number};*ESE?")
            return self._collect(f";{number}", timeout).encode() + end
        except ConnectionLost as error:
            raise ConnectionError(str(error)) from error

    def send(self, message: bytes) -> None:
        """Send bytes that have no reply."""
        self._hand_over(message.decode().rstrip())

    def close(self) -> None:
        """Leave both as they are; the carrier has a session of its own."""

    def _hand_over(self, text: str) -> None:
        quoted = text.replace('"', '""')
        (error,) = self._carrier.ask(f"{self._relay.send.format(quoted)};{self._relay.errors}", 1)
        if not _is_none(error):
            raise ValueError(f"the instrument that relays to it reports {error}")

    def _collect(self, ending: str, timeout: float) -> str:
        """The reply up to ``ending``, from as many pieces as it takes."""
        until = time.monotonic() + timeout
        reply, trouble = "", ""
        while not reply.endswith(ending):
            if time.monotonic() > until:
                came = f"only {reply!r} came" if reply else "nothing came"
                raise TimeoutError(f"no complete reply within {timeout:g} s: {came}{trouble}")
            text = self._carrier.exchange(f"{self._relay.enter};{self._relay.errors}", end='"')
            piece = _PIECE.fullmatch(text)
            if piece is None:
                raise ValueError(f"{text!r} came instead of what the instrument that relays has received")
            reply += re.sub(r"[\r\n]", "", piece[1])
            if not _is_none(piece[2]):  # some may say so while nothing has come
                trouble = f", and the instrument that relays reports {piece[2]}"
            if not piece[1]:
                time.sleep(POLL_S)
        return reply.removesuffix(ending)


def _is_none(error: str) -> bool:
    return int(error.partition(",")[0]) == 0
