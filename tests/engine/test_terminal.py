"""Foreign text on its way to a terminal: every field that is ever printed holds what a terminal would obey."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinsweep.cli import main
from spinsweep.printable import brief, one_line, printable, said

EVIL = "\x1b]52;c;ZXZpbA\x07\x1b[6n\x9b5n\u202e\u2066\u2028\r\x08 [dB] [/V] [bold red]b[/] :smile: {x} %s"
TRACES = ("\x1b]52", "\x1b[6n", "\x9b", "\u202e", "\u2066", "\u2028", "\x08", "\x07")
SEEN = ("[dB]", "[/V]", "[bold red]b[/]", ":smile:")

SWEEP = f"""
from spinsweep import Axis, Output, Parameter, Sweep, per_cell

EVIL = {EVIL!r}

@per_cell
def raises(cell):
    if cell["n"]:
        raise type("Evil" + EVIL, (Exception,), {{}})(EVIL + chr(10) + EVIL)
    return {{"y": 1.0}}

def draws(ds):
    raise ValueError(EVIL)

FIGURES = {{"one": draws}}
EVIL_SWEEP = Sweep(
    "evil", EVIL,
    (Axis("a", ("plain", EVIL), EVIL, EVIL), Axis("n", (0, 1), EVIL, EVIL)),
    (Output("y", unit=EVIL, long_name=EVIL),),
    raises,
    parameters=(Parameter("text", EVIL, EVIL, EVIL), Parameter("one", "b" + EVIL, choices=("b" + EVIL,))),
    source=EVIL,
    figures="evil:FIGURES",
)
"""
FOLDER = "\x1b]52;c;x\x07[dB][bold red]:smile:\u202e"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of such a name, with a cube and files that all hold such text."""
    folder = tmp_path_factory.mktemp("evil") / FOLDER
    folder.mkdir()
    (folder / "evil.py").write_text(SWEEP)
    (folder / "raises.py").write_text(f"raise ValueError({EVIL!r})")
    (folder / "ends.py").write_text(f"raise SystemExit({EVIL!r})")
    (folder / "bench.toml").write_text(f"name = {EVIL.encode('unicode_escape').decode()!r}")
    (folder / "bad.toml").write_text('kind = "slurm"\nmemory = "\\u001b]52\\u009b\\u202e [/V]"\n')
    (folder / "bad.yaml").write_text('kind: "\\x1b]52\\x9b\\u202e [/V] [dB]"\n')
    header = "width_um,device,i_write_A,cycle,r_reset_ohm,r_write_ohm"
    (folder / "log.csv").write_text(f"{header}\n1,1,0.01,1,1,{EVIL.replace(chr(13), '')}\n")
    assert called(folder, "run", "evil.py:EVIL_SWEEP", "--workers", "0", "--store", f"{FOLDER}.zarr") == 1
    return folder


def called(folder: Path, *words: str) -> int:
    before = Path.cwd()
    os.chdir(folder)
    try:
        return main(words)
    finally:
        os.chdir(before)


COMMANDS: dict[str, tuple[list[str], int, bool]] = {
    "list": (["list", "evil.py:EVIL_SWEEP"], 0, True),
    "list as json": (["list", "evil.py:EVIL_SWEEP", "--json"], 0, False),
    "plan": (["plan", "evil.py:EVIL_SWEEP", "--set", "n=0", "--store", f"new{FOLDER}"], 0, True),
    "a plan whose cells all fail": (["plan", "evil.py:EVIL_SWEEP", "--set", "n=1", "--store", "new"], 2, True),
    "run": (["run", "evil.py:EVIL_SWEEP", "--workers", "0", "--retry-failed", "--store", f"{FOLDER}.zarr"], 1, True),
    "status": (["status", f"{FOLDER}.zarr"], 1, True),
    "status with tracebacks": (["status", f"{FOLDER}.zarr", "--traceback"], 1, True),
    "status as json": (["status", f"{FOLDER}.zarr", "--json"], 1, False),
    "another parameter": (["run", "evil.py:EVIL_SWEEP", "--set", "text=x", "--store", f"{FOLDER}.zarr"], 2, True),
    "an unknown name": (["run", EVIL], 2, True),
    "an unknown attribute": (["run", f"evil.py:{EVIL}"], 2, True),
    "a file that raises": (["run", "raises.py:X"], 2, True),
    "a file that ends the process": (["run", "ends.py:X"], 2, True),
    "an unknown axis": (["run", "evil.py:EVIL_SWEEP", "--set", f"{EVIL}=1"], 2, True),
    "a wrong value": (["run", "evil.py:EVIL_SWEEP", "--set", f"n={EVIL}"], 2, True),
    "a wrong choice": (["run", "evil.py:EVIL_SWEEP", "--set", f"one={EVIL}"], 2, True),
    "a wrong block": (["run", "evil.py:EVIL_SWEEP", "--block", EVIL], 2, True),
    "an unknown verb": ([EVIL], 2, True),
    "an unknown option": (["run", f"--{EVIL}"], 2, True),
    "no store": (["status", EVIL], 2, True),
    "a wrong TOML cluster file": (["run", "evil.py:EVIL_SWEEP", "--cluster", "bad.toml", "--store", "new"], 2, False),
    "a wrong YAML cluster file": (["run", "evil.py:EVIL_SWEEP", "--cluster", "bad.yaml", "--store", "new"], 2, False),
    "a wrong bench file": (["bench", "check", "bench.toml"], 2, False),
    "a wrong log": (["import", "log.csv", "new"], 2, True),
    "a wrong scheduler": (["worker", EVIL], 2, True),
    "a wrong certificate folder": (["worker", "tls://127.0.0.1:1", "--tls", EVIL], 2, True),
}


def harmless(text: str) -> None:
    """Nothing but letters, signs and line ends."""
    assert [c for c in text if not (c.isprintable() or c == "\n")] == []


@pytest.mark.parametrize(("words", "status", "shown"), COMMANDS.values(), ids=COMMANDS)
def test_no_text_reaches_a_pipe_as_an_order_to_the_terminal_or_as_markup(
    place: Path, words: list[str], status: int, shown: bool, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert called(place, *words) == status
    out, err = (part.decode() for part in capfdbinary.readouterr())

    harmless(out + err)
    assert not shown or all(sign in out + err for sign in SEEN[:1]), out + err
    if status == 2:
        assert err.count("\n") == 1, err


@pytest.mark.parametrize(
    "name", ["list", "run", "status with tracebacks", "a wrong value", "a file that raises", "an unknown option"]
)
def test_no_text_reaches_a_terminal_as_an_order(place: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words, status, _ = COMMANDS[name]
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "400")
    ours, theirs = pty.openpty()
    raw = bytearray()
    reader = threading.Thread(target=read, args=(ours, raw))
    reader.start()
    with os.fdopen(theirs, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        patch.setattr(sys, "stderr", terminal)
        assert called(place, *words) == status
    reader.join()
    text = raw.decode()

    assert [trace for trace in TRACES if trace in text] == []
    assert all(sign in text for sign in SEEN), text


def read(terminal: int, into: bytearray) -> None:
    """All that is written on the other side."""
    with suppress(OSError), os.fdopen(terminal, "rb", buffering=0) as file:  # it fails when that is closed
        while part := file.read(65536):
            into += part


@given(st.text())
def test_printable_text_stays_as_it_is_and_all_else_is_told(text: str) -> None:
    shown = printable(text)

    assert all(c.isprintable() or c in "\n\t\u200c\u200d" or c.isspace() for c in shown)
    assert "\r" not in shown
    assert printable(shown) == shown
    assert text.isprintable() <= (shown == text)


@given(st.text(), st.integers(1, 50))
def test_one_line_is_one_and_says_what_is_left_out(text: str, most: int) -> None:
    line = one_line(text, most)

    assert line.splitlines() in ([], [line])
    assert len(line) <= most + len(f" [... {len(text) * 10} more characters]")


class Nameless(Exception):
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


def test_a_value_that_cannot_be_shown_is_told_so() -> None:
    assert brief(10**5000) == "a value of type int that cannot be shown"
    assert brief(Nameless()) == "a value of type Nameless that cannot be shown"
    assert said(Nameless()) == "Nameless: its message cannot be shown"
    assert len(said(ValueError("x" * 10**7))) < 1100


@pytest.mark.parametrize("words", [["list", "--json"], ["list", "nothing"], ["status", f"{FOLDER}.zarr"]])
def test_a_reader_that_is_gone_ends_the_command_in_silence(
    place: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as pipe, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", pipe)
        patch.setattr(sys, "stderr", pipe)
        assert called(place, *words) == 141


def test_a_real_pipe_that_is_closed_ends_the_real_command_in_silence(place: Path) -> None:
    line = f"{sys.executable} -m spinsweep.cli list --json | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=200)

    assert (done.stdout, done.stderr) == ("141\n", "")


def test_output_that_cannot_be_written_is_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        assert called(place, "list") == 2

    assert capfd.readouterr().err == "spinsweep: a file: No space left on device; what is done is kept\n"
