"""A serial cable: a pseudo-terminal on one side, the TCP port of an emulated instrument on the other."""

from __future__ import annotations

import os
import select
import socket
import threading
import tty
from typing import Self


class SerialCable:
    """The cable, for a ``with``; ``name`` is the device that a program opens as a serial port."""

    def __init__(self, port: int) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.name = os.ttyname(self._slave)
        self._far = socket.create_connection(("127.0.0.1", port))
        self._wake, self._woken = os.pipe()
        self.carried = bytearray()
        """What has gone to the instrument."""
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.pull()

    def say(self, text: bytes) -> None:
        """Let the instrument say something that nobody asked for."""
        os.write(self._master, text)

    def pull(self) -> None:
        """Pull it out."""
        if self._thread.is_alive():
            os.write(self._woken, b"x")
            self._thread.join()
            self._far.close()
            for handle in (self._master, self._slave, self._wake, self._woken):
                os.close(handle)

    def _carry(self) -> None:
        while True:
            ready, _, _ = select.select([self._master, self._far, self._wake], [], [])
            if self._wake in ready:
                return
            if self._master in ready:
                data = os.read(self._master, 4096)
                self.carried += data
                self._far.sendall(data)
            if self._far in ready:
                if not (data := self._far.recv(4096)):
                    return
                os.write(self._master, data)
