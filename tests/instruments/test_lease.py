from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.errors import LeaseError
from engine.instruments.bench import Bench, parse
from engine.instruments.lease import Lease, lock_path, owner

HOLDER = """
import json, sys, time
from engine.instruments.bench import parse
from engine.instruments.lease import Lease
Lease(parse(json.loads(sys.argv[1]))).take()
print("taken", flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINSWEEP_LOCKS", str(tmp_path / "locks"))


def bench(tmp_path: Path, name: str = "hall", source: str = "GPIB0::12::INSTR") -> Bench:
    return parse(
        {
            "name": name,
            "state": str(tmp_path / name),
            "source": {"resource": source, "serial": "1", "range": 2e-3, "compliance": 10},
            "meter": {"resource": f"GPIB0::16::{name}", "serial": "2"},
            "limits": {"max_pulse": 2e-3, "max_read": 1e-4, "max_compliance": 20},
            "device": [{"name": "a", "labels": {"x": 1}}],
        }
    )


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    first = Lease(bench(tmp_path)).take()
    with pytest.raises(LeaseError, match=f"owned by a lane, process {os.getpid()} on"):
        Lease(bench(tmp_path)).take()
    first.check()
    first.release()
    Lease(bench(tmp_path)).take().release()


def test_two_benches_with_a_common_instrument_exclude_each_other(tmp_path: Path) -> None:
    first = Lease(bench(tmp_path, "one")).take()
    with pytest.raises(LeaseError, match="GPIB0::12::INSTR"):
        Lease(bench(tmp_path, "two")).take()
    Lease(bench(tmp_path, "three", source="GPIB0::13::INSTR")).take().release()
    first.release()


def test_two_benches_with_one_folder_exclude_each_other(tmp_path: Path) -> None:
    first = Lease(bench(tmp_path, "hall", source="GPIB0::12::INSTR")).take()
    other = bench(tmp_path, "other", source="GPIB0::13::INSTR").model_copy(update={"state": str(tmp_path / "hall")})
    with pytest.raises(LeaseError, match=r"folder .*hall"):
        Lease(other).take()
    first.check()
    first.release()


def test_a_damaged_epoch_is_one_line_and_owns_nothing(tmp_path: Path) -> None:
    Lease(bench(tmp_path)).take().release()
    (tmp_path / "hall" / "epoch").write_bytes(b"\0" * 20)
    with pytest.raises(LeaseError, match="epoch is damaged"):
        Lease(bench(tmp_path)).take()
    assert owner(bench(tmp_path).source.address) == ""


def test_one_instrument_in_two_spellings_has_one_owner(tmp_path: Path) -> None:
    first = Lease(bench(tmp_path, "one", source="TCPIP::10.0.0.7::1394::SOCKET")).take()
    with pytest.raises(LeaseError):
        Lease(bench(tmp_path, "two", source="tcpip0::10.0.0.7::1394::socket")).take()
    first.release()


def test_a_refused_lease_holds_none_of_the_addresses(tmp_path: Path) -> None:
    first = Lease(bench(tmp_path, "one")).take()
    with pytest.raises(LeaseError):
        Lease(bench(tmp_path, "two")).take()
    assert owner(bench(tmp_path, "two").meter.address) == ""
    assert "process" in owner(bench(tmp_path).source.address)
    first.release()


def test_the_epoch_grows_with_every_owner_and_an_older_one_may_do_nothing(tmp_path: Path) -> None:
    first = Lease(bench(tmp_path)).take()
    first.release()
    second = Lease(bench(tmp_path)).take()
    assert second.epoch == first.epoch + 1
    second.raise_epoch()  # as a guard does for a dead owner
    second.check()
    (tmp_path / "hall" / "epoch").write_text(f"{second.epoch + 1:020d}\n")
    with pytest.raises(LeaseError, match=f"lane {second.epoch + 1} has taken over"):
        second.check()
    second.release()
    with pytest.raises(LeaseError, match="no longer owned"):
        second.check()


def test_a_lease_that_was_not_renewed_in_time_allows_nothing(tmp_path: Path) -> None:
    lease = Lease(bench(tmp_path)).take()
    lease.valid_until = time.monotonic() - 1e-3
    with pytest.raises(LeaseError, match="not renewed"):
        lease.check()
    lease.valid_until = float("inf")
    with pytest.raises(LeaseError):  # once lost, lost for good
        lease.check()
    lease.release()


def test_a_removed_lock_file_does_not_let_a_second_owner_in_unseen(tmp_path: Path) -> None:
    first = Lease(bench(tmp_path)).take()
    for instrument in first.bench.instruments.values():
        lock_path(instrument.address).unlink()
    (tmp_path / "hall" / "lock").unlink()
    second = Lease(bench(tmp_path)).take()
    with pytest.raises(LeaseError, match="has taken over"):
        first.check()
    second.check()
    first.release()
    second.release()


@pytest.mark.faults
def test_the_lease_of_a_killed_owner_is_free_at_once(tmp_path: Path) -> None:
    hall = bench(tmp_path)
    command = [sys.executable, "-c", HOLDER, hall.model_dump_json()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"taken\n"
        with pytest.raises(LeaseError, match=f"process {holder.pid}"):
            Lease(hall).take()
        os.kill(holder.pid, signal.SIGKILL)
        Lease(hall).take(patience=2).release()
