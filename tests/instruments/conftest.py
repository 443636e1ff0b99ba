from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from emulated import BENCH, Emulated, emulated_bench

from spinsweep.bench.bench_file import Bench, parse


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINSWEEP_LOCKS", str(tmp_path / "locks"))


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[Emulated]:
    """Two switched resistors behind a source, a meter and a switch, emulated by another process."""
    with emulated_bench(tmp_path) as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, emulated: Emulated) -> Bench:
    """The bench file of ``emulated``."""
    return described(tmp_path, emulated)


def described(folder: Path, emulated: Emulated, **changes: Any) -> Bench:
    """The bench of an emulator, with other values of sections or keys."""
    raw = tomllib.loads(BENCH)
    for role in ("source", "meter", "switch"):
        raw[role] |= {"resource": f"TCPIP::127.0.0.1::{emulated.ports[role]}::SOCKET", "timeout": 1.0}
    for name, change in changes.items():
        raw[name] = raw.get(name, {}) | change if isinstance(change, dict) else change
    return parse({**raw, "state": str(folder / "state")})
