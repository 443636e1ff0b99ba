from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spinsweep.bench.address_lock import scope
from spinsweep.bench.bench_file import Bench, parse
from spinsweep.bench.errors import LeaseError
from spinsweep.bench.lease import BenchLease, owner, stop_owner_of

STRANGER = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another user takes part")

HOLDER = """
import json, sys, time
from spinsweep.bench.bench_file import parse
from spinsweep.bench.lease import BenchLease
BenchLease(parse(json.loads(sys.argv[1]))).take()
print("taken", flush=True)
time.sleep(60)
"""


@contextmanager
def holding(described: Bench) -> Iterator[subprocess.Popen[str]]:
    """A process that owns the bench."""
    command = [sys.executable, "-c", HOLDER, described.model_dump_json()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "taken\n"
            yield process
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def _locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINSWEEP_LOCKS", str(tmp_path / "locks"))


def bench(tmp_path: Path, name: str = "hall", source: str = "GPIB0::12::INSTR", serial: str = "") -> Bench:
    return parse(
        {
            "name": name,
            "state": str(tmp_path / name),
            "source": {
                "driver": "keithley-6221",
                "resource": source,
                "serial": serial or source,
                "range": 2e-3,
                "compliance": 10,
            },
            "meter": {"driver": "keithley-2000", "resource": f"GPIB0::16::{name}", "serial": name},
            "limits": {"max_pulse": 2e-3, "max_read": 1e-4, "max_compliance": 20},
            "device": [{"name": "a", "labels": {"x": 1}}],
        }
    )


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    first = BenchLease(bench(tmp_path)).take()
    with pytest.raises(LeaseError, match=f"owned by a lane, process {os.getpid()} on"):
        BenchLease(bench(tmp_path)).take()
    first.check()
    first.release()
    BenchLease(bench(tmp_path)).take().release()


def test_two_benches_with_a_common_instrument_exclude_each_other(tmp_path: Path) -> None:
    first = BenchLease(bench(tmp_path, "one")).take()
    with pytest.raises(LeaseError, match="GPIB0::12::INSTR"):
        BenchLease(bench(tmp_path, "two")).take()
    BenchLease(bench(tmp_path, "three", source="GPIB0::13::INSTR")).take().release()
    first.release()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TCPIP::127.0.0.1::1394::SOCKET", "TCPIP0::localhost::1394::SOCKET"),
        ("TCPIP::127.0.0.1::1394::SOCKET", "tcpip1::127.1::1394::socket"),
        ("GPIB::12", "GPIB0::12::INSTR"),
        ("visa://127.0.0.1/GPIB0::12::INSTR", "VISA://localhost/GPIB::12"),
    ],
)
def test_an_address_in_another_spelling_is_the_same(tmp_path: Path, one: str, other: str) -> None:
    first = BenchLease(bench(tmp_path, "one", one, "1")).take()
    with pytest.raises(LeaseError, match="is owned by a lane"):
        BenchLease(bench(tmp_path, "two", other, "2")).take()
    first.release()


def test_one_instrument_at_two_addresses_has_one_owner_before_anybody_writes_to_it(tmp_path: Path) -> None:
    first = BenchLease(bench(tmp_path, "one", "GPIB0::12::INSTR", "4559777")).take()
    with pytest.raises(LeaseError, match=r"6221 serial 4559777.* is owned by a lane"):
        BenchLease(bench(tmp_path, "two", "TCPIP::192.0.2.7::1394::SOCKET", "4559777")).take()
    BenchLease(bench(tmp_path, "two", "TCPIP::192.0.2.7::1394::SOCKET", "4559778")).take().release()
    first.release()


def test_the_owner_of_another_process_is_ended_where_a_person_says_so(tmp_path: Path) -> None:
    described = bench(tmp_path)
    with holding(described) as process:
        lease = BenchLease(described)
        stop_owner_of(lease)
        lease.check()
        assert process.wait(5) != 0
        lease.release()


def test_two_benches_with_one_folder_exclude_each_other(tmp_path: Path) -> None:
    first = BenchLease(bench(tmp_path, "hall", source="GPIB0::12::INSTR")).take()
    other = bench(tmp_path, "other", source="GPIB0::13::INSTR").model_copy(update={"state": str(tmp_path / "hall")})
    with pytest.raises(LeaseError, match=r"folder .*hall"):
        BenchLease(other).take()
    first.check()
    first.release()


def test_a_damaged_epoch_is_one_line_and_owns_nothing(tmp_path: Path) -> None:
    BenchLease(bench(tmp_path)).take().release()
    (tmp_path / "hall" / "epoch").write_bytes(b"\0" * 20)
    with pytest.raises(LeaseError, match="epoch is damaged"):
        BenchLease(bench(tmp_path)).take()
    assert owner(bench(tmp_path).source.address) == ""


def test_one_instrument_in_two_spellings_has_one_owner(tmp_path: Path) -> None:
    first = BenchLease(bench(tmp_path, "one", source="TCPIP::10.0.0.7::1394::SOCKET")).take()
    with pytest.raises(LeaseError):
        BenchLease(bench(tmp_path, "two", source="tcpip0::10.0.0.7::1394::socket")).take()
    first.release()


def test_a_refused_lease_holds_none_of_the_addresses(tmp_path: Path) -> None:
    first = BenchLease(bench(tmp_path, "one")).take()
    with pytest.raises(LeaseError):
        BenchLease(bench(tmp_path, "two")).take()
    assert owner(bench(tmp_path, "two").meter.address) == ""
    assert "process" in owner(bench(tmp_path).source.address)
    first.release()


def test_the_epoch_grows_with_every_owner_and_an_older_one_may_do_nothing(tmp_path: Path) -> None:
    first = BenchLease(bench(tmp_path)).take()
    first.release()
    second = BenchLease(bench(tmp_path)).take()
    assert second.epoch == first.epoch + 1
    second.raise_epoch()  # as a watchdog does for a dead owner
    second.check()
    (tmp_path / "hall" / "epoch").write_text(f"{second.epoch + 1:020d}\n")
    with pytest.raises(LeaseError, match=f"lane {second.epoch + 1} has taken over"):
        second.check()
    second.release()
    with pytest.raises(LeaseError, match="no longer owned"):
        second.check()


def test_a_lease_that_was_not_renewed_in_time_allows_nothing(tmp_path: Path) -> None:
    lease = BenchLease(bench(tmp_path)).take()
    lease.valid_until = time.monotonic() - 1e-3
    with pytest.raises(LeaseError, match="not renewed"):
        lease.check()
    lease.valid_until = float("inf")
    with pytest.raises(LeaseError):  # once lost, lost for good
        lease.check()
    lease.release()


def test_whatever_files_are_removed_no_second_owner_gets_in(tmp_path: Path) -> None:
    first = BenchLease(bench(tmp_path)).take()
    shutil.rmtree(tmp_path / "hall")
    (tmp_path / "locks").mkdir(exist_ok=True)
    with pytest.raises(LeaseError, match=f"owned by a lane, process {os.getpid()} on"):
        BenchLease(bench(tmp_path)).take()
    first.release()
    BenchLease(bench(tmp_path)).take().release()


def test_a_folder_lock_that_is_removed_while_it_is_held_lets_another_bench_in_only_as_a_newer_epoch(
    tmp_path: Path,
) -> None:
    first = BenchLease(bench(tmp_path, source="GPIB0::12::INSTR")).take()
    (tmp_path / "hall" / "lock").unlink()
    other = bench(tmp_path, "other", source="GPIB0::13::INSTR").model_copy(update={"state": str(tmp_path / "hall")})
    second = BenchLease(other).take()
    with pytest.raises(LeaseError, match="has taken over"):
        first.check()
    second.check()
    first.release()
    second.release()


def _link(lock: Path) -> None:
    lock.symlink_to(lock.parent / "elsewhere")


def _second_name(lock: Path) -> None:
    (lock.parent / "precious").write_text("precious")
    lock.hardlink_to(lock.parent / "precious")


def _fifo(lock: Path) -> None:
    os.mkfifo(lock)


def _another_users(lock: Path) -> None:
    lock.touch()
    os.chown(lock, STRANGER, STRANGER)


@pytest.mark.parametrize(
    "planted", [_link, _second_name, _fifo, pytest.param(_another_users, marks=needs_root)], ids=lambda p: p.__name__
)
def test_what_somebody_planted_in_place_of_the_folders_lock_is_refused_and_not_written(
    tmp_path: Path, planted: Callable[[Path], None]
) -> None:
    (tmp_path / "hall").mkdir()
    planted(tmp_path / "hall" / "lock")
    with pytest.raises(LeaseError, match=r"hall/lock (cannot be opened|belongs to another user)") as error:
        BenchLease(bench(tmp_path)).take()
    assert "\n" not in str(error.value)
    assert not (tmp_path / "hall" / "elsewhere").exists()
    if (tmp_path / "hall" / "precious").exists():
        assert (tmp_path / "hall" / "precious").read_text() == "precious"
    assert owner(bench(tmp_path).source.address) == ""


def test_a_folder_that_everybody_can_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hall").mkdir()
    (tmp_path / "hall").chmod(0o777)
    with pytest.raises(LeaseError, match=r"hall can be written by every user; run `chmod o-w .*hall`$"):
        BenchLease(bench(tmp_path)).take()


@needs_root
def test_a_bench_has_one_owner_across_all_users_and_a_stranger_is_named(tmp_path: Path) -> None:
    hall = bench(tmp_path)
    theirs = bench(tmp_path, "theirs").model_copy(update={"state": str(tmp_path / "theirs")})
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", STRANGER, STRANGER)
    for above in (tmp_path, *tmp_path.parents[:3]):
        above.chmod(above.stat().st_mode | 0o011)
    command = ["setpriv", "--reuid", str(STRANGER), "--regid", str(STRANGER), "--clear-groups"]
    command += [sys.executable, "-c", HOLDER, theirs.model_dump_json()]
    first = BenchLease(hall).take()
    refused = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    if "Permission denied" in refused.stderr and "LeaseError" not in refused.stderr:
        pytest.skip("another user cannot run this Python")
    assert f"is owned by a lane, process {os.getpid()} on {os.uname().nodename} of user root" in refused.stderr
    first.check()
    first.release()
    with subprocess.Popen(command, cwd="/", stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"taken\n"
        with pytest.raises(LeaseError, match=f"process {holder.pid} on .* of user nobody; only one lane"):
            BenchLease(hall).take()
        holder.kill()
    BenchLease(hall).take(timeout_s=2).release()


def test_however_often_others_ask_the_owner_is_named(tmp_path: Path) -> None:
    first = BenchLease(bench(tmp_path)).take()
    address = bench(tmp_path).source.address
    assert any(owner(address) == "another process" for _ in range(10_000)), "no more fit into the kernel's queue"
    first.check()
    assert owner(address).startswith(f"process {os.getpid()} of user ")
    with pytest.raises(LeaseError, match=f"owned by a lane, process {os.getpid()} on"):
        BenchLease(bench(tmp_path)).take(timeout_s=1.0)
    first.release()


def test_a_lock_is_not_inherited_by_a_program_that_its_owner_started(tmp_path: Path) -> None:
    first = BenchLease(bench(tmp_path)).take()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False) as child:
        first.release()
        BenchLease(bench(tmp_path)).take(timeout_s=5).release()  # the program closes it as it begins
        child.communicate()


@pytest.mark.faults
def test_the_lease_of_a_killed_owner_is_free_at_once(tmp_path: Path) -> None:
    hall = bench(tmp_path)
    command = [sys.executable, "-c", HOLDER, hall.model_dump_json()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"taken\n"
        with pytest.raises(LeaseError, match=f"process {holder.pid}"):
            BenchLease(hall).take()
        os.kill(holder.pid, signal.SIGKILL)
        BenchLease(hall).take(timeout_s=2).release()


def test_two_machines_that_share_a_folder_exclude_each_other_whatever_their_benches_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    one, other = (
        bench(tmp_path, name, serial="4559777").model_copy(update={"lease": str(lab)}) for name in ("left", "right")
    )
    monkeypatch.setenv("SPINSWEEP_LOCKS", "one machine")
    lease = BenchLease(one).take()
    monkeypatch.setenv("SPINSWEEP_LOCKS", "another machine")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(LeaseError, match=rf"is owned by process {os.getpid()} on .* of user .* since .* is locked\)"):
        BenchLease(other).take()
    lease.release()
    BenchLease(other).take().release()


def test_a_shared_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    without = bench(tmp_path).model_copy(update={"lease": str(tmp_path / "none")})
    with pytest.raises(LeaseError, match=r"lease = .*none': No such file or directory; give a folder that all"):
        BenchLease(without).take()


def test_locks_of_two_networks_of_one_machine_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    here = scope()
    assert scope() == here
    monkeypatch.setenv("SPINSWEEP_LOCKS", "elsewhere")
    assert scope() != here
    if os.geteuid() == 0:
        asked = "from spinsweep.bench.address_lock import scope; print(scope())"
        command = ["unshare", "--net", sys.executable, "-c", asked]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode != 0 or done.stdout.strip() != scope()
