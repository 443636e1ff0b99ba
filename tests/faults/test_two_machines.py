"""Lanes on several machines and one scheduler: whoever does not get the scheduler's lease touches nothing.

Another machine is a process with a host name, locks and a state folder of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from distributed import Client
from test_lane import SPINSWEEP, ended, lane_of, measuring, start
from test_lane import _nothing_left_behind as _nothing_left_behind
from test_lane import _own_places as _own_places
from test_lane import scheduler as scheduler
from test_watchdog import emulated, is_safe, until

from spinsweep.bench.bench_file import load
from spinsweep.bench.lane import EXIT_LEASE_LOST, RENEW_INTERVAL_S
from spinsweep.deployment.equipment_lease import TTL, ClusterLease

pytestmark = pytest.mark.faults

OTHER_HOST = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere; exec "$@"', "sh"]


@pytest.fixture
def other_host() -> None:
    if sys.platform != "linux" or subprocess.run([*OTHER_HOST, "true"], check=False, capture_output=True).returncode:
        pytest.skip("a process with another host name needs Linux and the right to unshare --uts")


def lane_elsewhere(folder: Path, scheduler: str, bench: Path) -> tuple[int, str]:
    """The status and the words of a lane on another machine, which has to end by itself."""
    environment = {"SPINSWEEP_LOCKS": str(folder / "there" / "locks"), "SPINSWEEP_STATE": str(folder / "there")}
    command = [*OTHER_HOST, *SPINSWEEP, "worker", scheduler, "--bench", str(bench)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environment, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.usefixtures("other_host")
def test_a_lane_on_another_machine_never_touches_a_bench_that_is_at_work(tmp_path: Path, scheduler: str) -> None:
    with emulated(tmp_path, speed=3000) as (bench, control):
        lane = start("worker", scheduler, "--bench", bench)
        run = measuring(bench, tmp_path / "measured.zarr", "--cluster", scheduler)
        until(lambda: control.exposure()["overall"]["pulses"] > 10, 60)
        before = control.state()["connections"]
        status, said = lane_elsewhere(tmp_path, scheduler, bench)
        assert status == 2
        complaint = said.splitlines()[-1]
        assert f"is owned by lane 1 of bench emulated, process {lane.pid} on {os.uname().nodename}" in complaint
        assert "Traceback" not in said
        assert control.state()["connections"] == before
        status, said = ended(run)
        assert status == 0, said
        assert control.state()["connections"] == before
        lane.terminate()
        assert ended(lane)[0] == 0
        assert is_safe(control)


@pytest.mark.slow
def test_a_lane_that_the_scheduler_refuses_has_connected_to_nothing_and_left_nothing(
    tmp_path: Path, scheduler: str
) -> None:
    with emulated(tmp_path) as (bench, control), Client(scheduler, set_as_default=False) as client:
        client.register_plugin(ClusterLease())
        address = load(bench).meter.exclusive_names[0]
        lease = {"addresses": [address], "holder": "lane 7 of bench hall", "host": "elsewhere", "bench": "hall"}
        assert client.sync(client.scheduler.spinsweep_lease, **lease) == ""
        status, said = ended(start("worker", scheduler, "--bench", bench))
        assert status == 2
        assert said.splitlines()[-1].endswith(
            f"bench emulated: {address} is owned by lane 7 of bench hall; only one lane can own it"
        )
        assert set(control.state()["connections"].values()) == {0}
        assert not (load(bench).folder / "dirty").exists()
        assert lane_of(bench) == 0
        assert client.sync(client.scheduler.spinsweep_lease, **lease, release=True) == ""
        lane = start("worker", scheduler, "--bench", bench)
        assert lane.stdout is not None
        assert lane.stdout.readline() == "ready\n"
        lane.terminate()
        assert ended(lane)[0] == 0
        # it was given back as soon as the bench was safe, long before it would have run out
        assert client.sync(client.scheduler.spinsweep_lease, **lease) == ""


@pytest.mark.slow
def test_a_second_bench_of_one_name_on_one_scheduler_is_refused_in_one_line(tmp_path: Path, scheduler: str) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    with emulated(here) as (one, _), emulated(there) as (two, control):
        two.write_text(two.read_text().replace('name = "emulated"', f'name = "emulated"\nstate = "{there}/state"'))
        lane = start("worker", scheduler, "--bench", one)
        until(lambda: lane_of(one) == lane.pid, 60)
        with Client(scheduler, set_as_default=False) as client:
            until(lambda: client.scheduler_info()["workers"], 60)
        status, said = ended(start("worker", scheduler, "--bench", two))
        assert status == 2
        assert "another bench has this name here, owned by lane 1 of bench emulated" in said.splitlines()[-1]
        assert "Traceback" not in said
        assert set(control.state()["connections"].values()) == {0}
        lane.terminate()
        assert ended(lane)[0] == 0


def test_a_lane_whose_scheduler_falls_silent_begins_nothing_new_and_ends_before_its_lease_does(
    tmp_path: Path, scheduler: str
) -> None:
    with emulated(tmp_path, speed=100) as (bench, control):
        lane = start("worker", scheduler, "--bench", bench)
        with Client(scheduler, set_as_default=False) as client:
            until(lambda: client.scheduler_info()["workers"], 60)
            process = client.run_on_scheduler(os.getpid)
        measuring(bench, tmp_path / "measured.zarr", "--cluster", scheduler)
        until(lambda: control.exposure()["overall"]["pulses"] > 10, 60)
        os.kill(process, signal.SIGSTOP)
        try:
            time.sleep(2 * RENEW_INTERVAL_S + 1)
            fired = control.exposure()["overall"]["pulses"]
            assert lane.poll() is None
            status, said = ended(lane, TTL - 2 * RENEW_INTERVAL_S - 1)
            assert control.exposure()["overall"]["pulses"] == fired
        finally:
            os.kill(process, signal.SIGCONT)
        assert status == EXIT_LEASE_LOST
        assert "its lease was not renewed in time" in said
        until(lambda: is_safe(control))
