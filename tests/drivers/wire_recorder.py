"""A recorder on the wire: a TCP proxy that writes down every line in both directions."""

from __future__ import annotations

import math
import re
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby, zip_longest


class Recorder:
    """Listens at ``port`` and passes on to ``behind``; ``lines`` get what passes, after its name and direction."""

    def __init__(self, name: str, behind: tuple[str, int], lines: list[str], lock: threading.Lock) -> None:
        self._name, self._behind, self._lines, self._lock = name, behind, lines, lock
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def close(self) -> None:
        """Accept no connection any more, and wait for the end of those that are."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        for connection in self._connections:
            connection.join()

    def _accept(self) -> None:
        with self._listener, suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._connections.append(threading.Thread(target=self._serve, args=(client,)))
                self._connections[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._behind) as instrument:
            for link in (client, instrument):
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._pass_on, args=("<", instrument, client))
            back.start()
            self._pass_on(">", client, instrument)
            back.join()

    def _pass_on(self, mark: str, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError), source.makefile("rb") as incoming:
            for line in incoming:
                with self._lock:
                    self._lines.append(f"{self._name} {mark} {line.decode('ascii', 'backslashreplace').rstrip()}")
                target.sendall(line)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def told(lines: Sequence[str]) -> str:
    """A recording as text; the same question and answer many times over, as of a driver that waits, stand once."""
    return "".join(f"{line}\n" for exchange, _ in groupby(exchanges(lines)) for line in exchange)


def exchanges(lines: Sequence[str]) -> list[list[str]]:
    """Each message with the replies that came until the next one."""
    found: list[list[str]] = []
    for line in lines:
        if line.split()[1] == ">" or not found:
            found.append([])
        found[-1].append(line)
    return found


def first_difference(lines: Sequence[str], kept: Sequence[str]) -> str:
    """Where a session differs from one that was kept; empty if nowhere.

    Each instrument is looked at by itself, since they have lines of their own; of a question that is asked again and
    again only the last answer counts, and numbers within 2 %.
    """
    for role in sorted({line.split()[0] for line in (*lines, *kept)}):
        new, old = (_settled([line for line in whole if line.split()[0] == role]) for whole in (lines, kept))
        for number, (one, other) in enumerate(zip_longest(new, old)):
            if one is None or other is None or not _alike(one, other):
                return f"{role}, exchange {number}: {one} instead of {other}"
    return ""


def _settled(lines: Sequence[str]) -> list[str]:
    return [" ".join(list(same)[-1]) for _, same in groupby(exchanges(lines), key=lambda exchange: exchange[0])]


def _alike(one: str, other: str) -> bool:
    pieces = [re.split(r"([+-]?\d+\.?\d*(?:[eE][+-]?\d+)?)", text) for text in (one, other)]
    if len(pieces[0]) != len(pieces[1]):
        return False
    pairs = enumerate(zip(*pieces, strict=True))
    return all(math.isclose(float(a), float(b), rel_tol=0.02) if at % 2 else a == b for at, (a, b) in pairs)
