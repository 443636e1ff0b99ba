"""The link to an instrument, over real TCP to a peer that misbehaves as told."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from tests.timing import fastest

from spinsweep.bench import visa
from spinsweep.bench.errors import BenchError, ConnectionLost, InstrumentFault
from spinsweep.bench.section import InstrumentSection
from spinsweep.bench.visa import Session

IDENTITY = b"KEITHLEY INSTRUMENTS INC.,MODEL 6221,4559777,D04  /700x \n"

Behaviour = Callable[[bytes, socket.socket], None]
"""What a peer does with one message."""


def echo(message: bytes, link: socket.socket) -> None:
    """Answer each message with itself."""
    link.sendall(message + b"\n")


class Peer(socketserver.ThreadingTCPServer):
    """The other end of a link: knows its identity, and does with other messages as ``behave`` says."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, behave: Behaviour, port: int = 0) -> None:
        self.behave = behave
        self.received: list[bytes] = []
        self.links: list[socket.socket] = []
        super().__init__(("127.0.0.1", port), _Connection)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def stop(self) -> None:
        """Hang up and leave the port."""
        self.shutdown()
        self.server_close()
        for link in self.links:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)


class _Connection(socketserver.StreamRequestHandler):
    server: Peer

    def handle(self) -> None:
        self.server.links.append(self.request)
        with suppress(OSError):
            for line in self.rfile:
                message = line.rstrip(b"\n")
                self.server.received.append(message)
                if message == b"*IDN?":
                    self.request.sendall(IDENTITY)
                else:
                    self.server.behave(message, self.request)


@contextmanager
def talking_to(behave: Behaviour, timeout: float = 5.0) -> Iterator[tuple[Session, Peer]]:
    """An open session and the peer at its other end."""
    peer = Peer(behave)
    session = Session(instrument(peer.port, timeout), "@py")
    try:
        session.open(0)
        yield session, peer
    finally:
        session.close()
        peer.stop()


class Source(InstrumentSection):
    """What the peer is."""

    model = "6221"


class Meter(InstrumentSection):
    """What it is not."""

    model = "2000"


def instrument(
    port: int, timeout: float = 5.0, serial: str = "4559777", kind: type[InstrumentSection] = Source
) -> InstrumentSection:
    return kind(driver="any", resource=f"TCPIP::127.0.0.1::{port}::SOCKET", serial=serial, timeout=timeout)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hang_up(link: socket.socket) -> None:
    link.shutdown(socket.SHUT_RDWR)


def test_the_replies_of_one_message_come_apart_at_semicolons_that_are_not_in_a_text() -> None:
    line = b'1;+1.500000E-03;-222,"Parameter; out of ""range"", really";0,"No error"'
    with talking_to(lambda _, link: link.sendall(line + b"\n")) as (session, _):
        assert session.ask("*OPC?;A?;B?;C?", 4) == [
            "1",
            "+1.500000E-03",
            '-222,"Parameter; out of ""range"", really"',
            '0,"No error"',
        ]


def test_blanks_and_a_carriage_return_around_replies_are_no_part_of_them() -> None:
    with talking_to(lambda _, link: link.sendall(b" 1 ; FAST  \r\n")) as (session, _):
        assert session.ask("*OPC?;:OUTP:RESP?", 2) == ["1", "FAST"]


def test_a_reply_may_come_in_pieces_and_be_long() -> None:
    long = b"1," * 20_000 + b"1"

    def trickle(_: bytes, link: socket.socket) -> None:
        for part in (long[:3], long[3:4], long[4:] + b"\n"):
            link.sendall(part)
            time.sleep(0.01)

    with talking_to(trickle) as (session, _):
        assert session.ask("DATA?", 1) == [long.decode()]


def test_a_message_of_many_packets_does_not_wait_for_acknowledgements() -> None:
    with talking_to(lambda _, link: link.sendall(b"1\n")) as (session, _):
        message = "*OPC?".rjust(5000)

        def ask() -> None:
            for _ in range(20):
                session.ask(message, 1)

        assert fastest(ask, 0.4) < 0.4  # Nagle's algorithm would take 40 ms each


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"1;1\n", "2 replies instead of 1"),
        (b"1\n0\n", "more than one line came"),
        (b"\xff\xfe1\n", "can't decode byte 0xff"),
    ],
)
def test_a_reply_that_is_not_the_one_asked_for_poisons_the_session(reply: bytes, reason: str) -> None:
    with talking_to(lambda _, link: link.sendall(reply)) as (session, peer):
        with pytest.raises(ConnectionLost, match=reason):
            session.ask("*OPC?", 1)
        assert reason in session.poisoned
        heard = len(peer.received)
        with pytest.raises(ConnectionLost, match="open it again"):
            session.ask("*OPC?", 1)
        assert len(peer.received) == heard


def test_a_line_that_nobody_asked_for_is_seen_before_the_next_message_is_sent() -> None:
    with talking_to(echo) as (session, peer):
        assert session.ask("first?", 1) == ["first?"]
        peer.links[0].sendall(b"stray\n")
        time.sleep(0.05)
        with pytest.raises(ConnectionLost, match=r"b'stray\\n' came without a question"):
            session.ask("second?", 1)
        assert b"second?" not in peer.received


def test_a_late_reply_never_answers_the_next_question() -> None:
    def late(message: bytes, link: socket.socket) -> None:
        if message == b"slow?":
            time.sleep(0.2)
        with suppress(OSError):
            link.sendall(message + b"\n")

    with talking_to(late, timeout=0.1) as (session, _):
        with pytest.raises(ConnectionLost, match=r"no complete reply within 0\.1 s: nothing came"):
            session.ask("slow?", 1)
        session.open(1)
        time.sleep(0.2)
        assert session.ask("quick?", 1) == ["quick?"]


def test_the_time_that_an_action_takes_is_added_to_the_timeout() -> None:
    def slow(_: bytes, link: socket.socket) -> None:
        time.sleep(0.2)
        link.sendall(b"1\n")

    with talking_to(slow, timeout=0.1) as (session, _):
        assert session.ask("*OPC?", 1, wait=1.0) == ["1"]


def test_half_a_line_is_no_reply() -> None:
    with (
        talking_to(lambda _, link: link.sendall(b"-1.234"), timeout=0.1) as (session, _),
        pytest.raises(ConnectionLost, match=r"only b'-1\.234' came"),
    ):
        session.ask(":READ?", 1)


@pytest.mark.parametrize("before", [b"", b"+1.2"])
def test_a_connection_that_ends_in_the_middle_of_a_question_is_noticed_at_once(before: bytes) -> None:
    def end(_: bytes, link: socket.socket) -> None:
        link.sendall(before)
        hang_up(link)

    def ask() -> None:
        with talking_to(end) as (session, _):
            busy = time.process_time()
            with pytest.raises(ConnectionLost, match="closed the connection"):
                session.ask(":READ?", 10)
            assert time.process_time() - busy < 0.2

    assert fastest(ask, 5) < 5, "sooner than the answer was due"


def test_a_connection_that_ended_between_questions_is_noticed_before_the_next_is_sent() -> None:
    with talking_to(echo) as (session, peer):
        hang_up(peer.links[0])
        time.sleep(0.05)
        with pytest.raises(ConnectionLost, match="closed the connection"):
            session.ask("*OPC?", 1)


def test_a_reset_connection_is_one_that_the_instrument_closed() -> None:
    def reset(_: bytes, link: socket.socket) -> None:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(link.detach())

    with talking_to(reset) as (session, _), pytest.raises(ConnectionLost, match="closed the connection"):
        session.ask("*OPC?", 1)


def test_waiting_for_a_silent_instrument_costs_no_time_of_the_processor() -> None:
    with talking_to(lambda *_: None, timeout=0.5) as (session, _):
        busy = time.process_time()
        with pytest.raises(ConnectionLost, match="nothing came"):
            session.ask("*OPC?", 1)
        assert time.process_time() - busy < 0.1


def test_threads_get_their_own_answers() -> None:
    wrong: list[str] = []

    def work(session: Session, name: str) -> None:
        for number in range(300):
            question = f"{name} {number}?"
            if session.ask(question, 1) != [question]:
                wrong.append(question)

    with talking_to(echo) as (session, _):
        threads = [threading.Thread(target=work, args=(session, name)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_an_interrupted_question_poisons_the_session() -> None:
    def interrupt(_: bytes, __: socket.socket) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with talking_to(interrupt) as (session, _):
            with pytest.raises(KeyboardInterrupt):
                session.ask("*OPC?", 1)
            assert session.poisoned == "a question was interrupted"
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_another_instrument_is_refused_with_what_was_found_and_what_was_due() -> None:
    peer = Peer(echo)
    try:
        for wrong in (instrument(peer.port, serial="1"), instrument(peer.port, kind=Meter)):
            session = Session(wrong, "@py")
            with pytest.raises(InstrumentFault, match=rf"MODEL 6221,4559777.*{wrong.model}, serial {wrong.serial}$"):
                session.open(60)
            with pytest.raises(ConnectionLost, match="another instrument answered"):
                session.ask("*OPC?", 1)
    finally:
        peer.stop()


def test_a_port_that_nobody_serves_is_lost_when_patience_ends() -> None:
    session = Session(instrument(free_port()), "@py")

    def connect() -> None:
        with pytest.raises(ConnectionLost, match=r"tried for 0\.3 s"):
            session.open(0.3)

    assert 0.3 <= fastest(connect, 2) < 2


def test_a_connection_is_tried_again_until_it_is_accepted() -> None:
    port = free_port()
    peers: list[Peer] = []
    timer = threading.Timer(0.3, lambda: peers.append(Peer(echo, port)))
    timer.start()
    session = Session(instrument(port), "@py")
    try:
        session.open(10)
        assert session.ask("it works?", 1) == ["it works?"]
    finally:
        timer.join()
        session.close()
        for peer in peers:
            peer.stop()


def test_a_closed_session_says_so() -> None:
    session = Session(instrument(free_port()), "@py")
    with pytest.raises(ConnectionLost, match="is not open"):
        session.ask("*OPC?", 1)


@pytest.mark.parametrize(
    ("resource", "backend", "says"),
    [
        ("somewhere", "@py", "this is not a VISA resource name, such as"),
        ("TCPIP::127.0.0.1::1::SOCKET", "@nowhere", "backend '@nowhere'"),
        ("visa://bench-pc/GPIB0::12::INSTR", "@py", "reached by the vendor's library: backend = '@ivi'"),
        ("visa://bench-pc/somewhere", "@ivi", "this is not a VISA resource name, such as"),
    ],
)
def test_what_can_never_be_opened_is_refused_at_once(resource: str, backend: str, says: str) -> None:
    session = Session(Source(driver="any", resource=resource, serial="1"), backend)
    with pytest.raises(BenchError, match=says) as refused:
        session.open(60)
    assert not isinstance(refused.value, ConnectionLost)
    assert "\n" not in str(refused.value)


def test_a_power_cycle_is_told_once() -> None:
    replies = iter([b"160\n", b"0\n"])
    with talking_to(lambda _, link: link.sendall(next(replies))) as (session, _):
        assert session.powered_on()
        assert not session.powered_on()


@pytest.fixture
def through_visa_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a backend whose sockets cannot be seen."""
    monkeypatch.setattr(visa, "_stream", lambda resource: None)


@pytest.mark.usefixtures("through_visa_alone")
def test_other_backends_keep_the_same_rules() -> None:
    def behave(message: bytes, link: socket.socket) -> None:
        if message == b"stray?":
            link.sendall(b"1\n2\n")
        elif message != b"silence?":
            link.sendall(message + b"\r\n")

    with talking_to(behave, timeout=0.2) as (session, peer):
        assert session.ask("a?", 1) == ["a?"]
        assert session.ask("stray?", 1) == ["1"]
        with pytest.raises(ConnectionLost, match="came without a question"):
            session.ask("b?", 1)
        assert b"b?" not in peer.received
        session.open(1)
        with pytest.raises(ConnectionLost, match="Timeout"):
            session.ask("silence?", 1)
        session.open(1)
        assert session.ask("c?", 1) == ["c?"]
