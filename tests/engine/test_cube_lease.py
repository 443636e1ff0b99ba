"""Leases on object storage: one holder, whoever dies, on a real S3 server."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from s3_server import BUCKET
from spinsweep.cube import lease as leases
from spinsweep.cube.lease import Lease, wait_until_expired
from spinsweep.cube.remote import RemoteStorage
from spinsweep.errors import CubeError


@pytest.fixture(scope="module")
def server(s3: dict[str, str]) -> dict[str, str]:
    return s3


@pytest.fixture
def storage(server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteStorage:
    """Empty storage, in which leases of the dead end sooner."""
    monkeypatch.setattr(leases, "LEASE_TTL_S", 3.0)
    monkeypatch.setattr(leases, "MARGIN_S", 1.0)
    monkeypatch.setattr(leases, "HEARTBEAT_S", 0.5)
    return RemoteStorage.from_url(f"s3://{BUCKET}/{tmp_path.name}")


def die(lease: Lease) -> None:
    """Take a lease and leave it as a killed process does."""
    assert lease._acquire(10, wait_for_living=True)


def test_a_lease_is_held_by_one_and_free_afterwards(storage: RemoteStorage) -> None:
    with Lease(storage, "x").held(5, wait_for_living=False) as first:
        assert first
        assert Lease(storage, "x").alive()
        assert Lease(storage, "x").owner().startswith("process ")
        with Lease(storage, "x").held(5, wait_for_living=False) as second:
            assert not second
    assert storage.names("") == []
    with Lease(storage, "x").held(5, wait_for_living=False) as third:
        assert third


def test_an_owner_that_lives_is_waited_for_where_that_is_asked(storage: RemoteStorage) -> None:
    def hold() -> None:
        with Lease(storage, "x").held(5, wait_for_living=True) as ours:
            assert ours
            held.set()
            time.sleep(1.5)

    held = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(hold)
        held.wait(10)
        with Lease(storage, "x").held(20, wait_for_living=True) as ours:
            assert ours
        done.result()


def test_a_dead_owners_lease_goes_to_exactly_one_of_many(storage: RemoteStorage) -> None:
    die(Lease(storage, "x"))
    began = time.monotonic()
    holders: list[int] = []
    inside: list[int] = []

    def want(number: int) -> None:
        with Lease(storage, "x").held(60, wait_for_living=True) as ours:
            assert ours
            inside.append(number)
            assert inside == [number]
            holders.append(number)
            time.sleep(random.uniform(0, 0.1))
            inside.remove(number)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(want, range(6)))
    assert sorted(holders) == list(range(6))
    assert time.monotonic() - began > leases.LEASE_TTL_S
    assert storage.names("") == []


def test_no_two_hold_a_lease_while_owners_come_go_and_die(storage: RemoteStorage) -> None:
    inside: list[int] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for turn in range(6):
            lease = Lease(storage, "x")
            if turn == 2 and seed % 2:  # a process that is killed before it has begun to write
                lease._acquire(60, wait_for_living=True)
                continue
            with lease.held(60, wait_for_living=True) as ours:
                assert ours
                inside.append(seed)
                assert inside == [seed]
                time.sleep(rng.uniform(0, 0.05))
                lease.check()
                assert inside == [seed]
                inside.remove(seed)

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(work, range(5)))


def test_an_owner_that_stood_still_finds_out_by_itself(storage: RemoteStorage) -> None:
    lease = Lease(storage, "x")
    die(lease)
    lease.check()
    time.sleep(leases.LEASE_TTL_S - leases.MARGIN_S + 0.1)
    with pytest.raises(CubeError, match="this process stood still"):
        lease.check()


def test_a_lease_whose_object_was_removed_is_not_made_again_by_a_beat(storage: RemoteStorage) -> None:
    with Lease(storage, "x").held(5, wait_for_living=False):
        storage.delete("x.1")
        time.sleep(3 * leases.HEARTBEAT_S)
        assert storage.names("") == []


def test_a_new_run_waits_for_leases_to_be_given_back_or_to_die_and_clears_the_dead_away(
    storage: RemoteStorage,
) -> None:
    die(Lease(storage, "dead"))
    living = Lease(storage, "living").held(5, wait_for_living=True)
    living.__enter__()
    threading.Timer(1.0, living.__exit__, (None, None, None)).start()
    began = time.monotonic()

    assert wait_until_expired(storage, ["dead.1", "living.1", "gone.1"], 30)
    assert time.monotonic() - began > leases.LEASE_TTL_S
    assert storage.names("") == []


def test_a_new_run_does_not_wait_for_ever(storage: RemoteStorage) -> None:
    with Lease(storage, "x").held(5, wait_for_living=True):
        assert not wait_until_expired(storage, ["x.1"], 2 * leases.LEASE_TTL_S)


def test_a_creation_whose_answer_was_lost_is_known_by_its_content(storage: RemoteStorage) -> None:
    assert storage.create("one", b"mine")
    assert storage.create("one", b"mine")
    assert not storage.create("one", b"another's")
