"""Shared fixtures: one small Dask cluster for all tests, and example sweeps that count their calls in files."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from distributed import Client
from hypothesis import HealthCheck, settings

from spinsweep.deployment.local_cluster import local_client

# pytest keeps the tests' byte code, with their assertions rewritten: half of the time until the first test begins, in
# each of its processes.
sys.dont_write_bytecode = False
# Python takes byte code for that of a file of the same second and size: tests write modules anew within a second.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
# An idle Dask worker takes a fortieth of a core: it looks at its stack every 10 ms, at its loop every 20 ms, at its
# memory every 100 ms, and at its machine every 500 ms.  Here many of them wait for long, and nobody looks at these.
os.environ["DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED"] = "False"
os.environ["DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL"] = "1s"
os.environ["DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL"] = "1s"
os.environ["DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL"] = "5s"
dask.config.refresh()

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
settings.register_profile("few", UNHURRIED, max_examples=25)
settings.register_profile("full", UNHURRIED, max_examples=100)


def pytest_configure(config: pytest.Config) -> None:
    """Before the tests are imported: without the slow tests, tests that state no number try fewer examples."""
    settings.load_profile("few" if "not slow" in config.option.markexpr else "full")


LONGEST = (
    "cluster/test_slurm.py",
    "test_docs.py",
    "faults/test_signals.py",
    "faults/test_lane.py",
    "faults/test_s3_kill.py",
    "faults/test_kill.py",
    "sweeps/hil/test_hil_measured.py",
    "faults",
    "cluster",
    "dashboard",
    "engine",
)
"""Files and folders of tests whose processes, or whose waits, take longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that in the end no worker is left alone with a long file."""
    folder = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(folder)
        matches = (number for number, name in enumerate(LONGEST) if path.is_relative_to(name))
        return next(matches, len(LONGEST))

    items.sort(key=place)  # stable: within a file nothing changes


def pytest_collection_finish() -> None:
    """The tests are imported; what they import has its byte code, or needs none, and lives until the end."""
    sys.dont_write_bytecode = True
    gc.collect()
    gc.freeze()  # else each full collection looks through all of it


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Certificates of this user's schedulers are not those of whoever runs the tests."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session", autouse=True)
def _signals_are_heard() -> None:
    """Also where the tests run in the background of a script, which has Ctrl-C ignored, and what they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """Two single-threaded worker processes on loopback."""
    with local_client(2, dashboard=False) as running:
        yield running


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A folder in which example sweeps leave one file a call, so that the calls of all processes add up."""
    folder = tmp_path / "calls"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, str]]:
    """The environment of one S3 server for all tests of this process: s3fs keeps its connections."""
    from s3_server import serving

    with serving() as environment:
        yield environment
