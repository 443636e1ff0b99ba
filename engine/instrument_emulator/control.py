"""The control port of an emulated bench: faults, exposure, state and clock for tests, as lines of JSON.

A request is an object with ``do`` and the arguments of what to do; the reply has ``ok`` with the result, or ``error``
with one line.  Drivers never use it.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from typing import Any

from instrument_emulator.errors import EmulatorError

HOST = "127.0.0.1"


class Control:
    """A client of the control port.

    Raises
    ------
    EmulatorError
        Nobody listens, or the emulator refuses the request; the message says why.
    """

    def __init__(self, port: int) -> None:
        self._where = f"{HOST}:{port}"
        try:
            self._socket = socket.create_connection((HOST, port), timeout=30)
        except OSError as error:
            raise EmulatorError(f"no emulator's control port at {self._where} ({error.strerror})") from None
        self._file = self._socket.makefile("rwb")

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; faults stay."""
        self._file.close()
        self._socket.close()

    def set(self, fault: str, instrument: str | None = None, device: str | None = None, **options: Any) -> None:
        """Set a fault of :data:`instrument_emulator.faults.KINDS`.

        Parameters
        ----------
        instrument : its role; not needed for a fault that only one can have
        device : name of a device, for faults that can be limited to one
        options : values of the fault, and
        after : so many occasions (lasting faults: messages to the instrument) pass before
        times : so many are hit; None: one, and for lasting faults all; 0: all until it is cleared
        match : count only messages that contain this text
        """
        self._ask("set", fault=fault, instrument=instrument, device=device, **options)

    def clear(self, fault: str | None = None, instrument: str | None = None) -> None:
        """Clear all faults, or those of that name or instrument."""
        self._ask("clear", fault=fault, instrument=instrument)

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are set."""
        return list(self._ask("faults"))

    def exposure(self) -> dict[str, Any]:
        """What was done to the devices: ``overall`` and ``devices`` by name, see ``ExposureLog.report``."""
        return dict(self._ask("exposure"))

    def state(self) -> dict[str, Any]:
        """Instruments and devices as they are now."""
        return dict(self._ask("state"))

    def clock(self, advance: float = 0.0) -> dict[str, float]:
        """Bench ``time`` in s and ``speed``, after time has gone forward by ``advance`` s."""
        return dict(self._ask("clock", advance=advance))

    def quit(self) -> None:
        """End the emulator."""
        self._ask("quit")

    def _ask(self, do: str, **arguments: Any) -> Any:
        try:
            self._file.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            self._file.flush()
            line = self._file.readline()
        except OSError as error:
            raise EmulatorError(f"the emulator's control port {self._where} broke ({error})") from None
        if not line:
            raise EmulatorError("the emulator has ended")
        try:
            reply = json.loads(line)
        except ValueError:
            raise EmulatorError(f"{self._where} answers {line[:40]!r}: it is no control port") from None
        if "error" in reply:
            raise EmulatorError(reply["error"])
        return reply["ok"]


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    actions: Mapping[str, Callable[..., Any]]


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        for line in self.rfile:
            try:
                reply = {"ok": self._do(line)}
            except EmulatorError as error:
                reply = {"error": str(error)}
            try:
                self.wfile.write(json.dumps(reply).encode() + b"\n")
            except OSError:
                return

    def _do(self, line: bytes) -> Any:
        try:
            request = json.loads(line)
            do = request.pop("do")
        except (ValueError, AttributeError, KeyError, TypeError):
            raise EmulatorError(f'{line!r} is not a request; send one line such as {{"do": "exposure"}}') from None
        action = self.server.actions.get(do)
        if action is None:
            raise EmulatorError(f"do {do!r}; it is one of {', '.join(self.server.actions)}")
        try:
            return action(**request)
        except TypeError as error:
            raise EmulatorError(f"{do}: {error}") from None


class ControlPort:
    """Serves the control port on loopback; ``port`` 0 takes a free one.

    ``actions`` maps what to do to a function of the request's further arguments that returns a JSON value.
    """

    def __init__(self, port: int, actions: Mapping[str, Callable[..., Any]]) -> None:
        try:
            self._server = _Server((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise EmulatorError(f"control port {HOST}:{port} cannot be served ({error}); choose another") from None
        self._server.actions = actions
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
