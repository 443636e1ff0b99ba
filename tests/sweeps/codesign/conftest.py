"""A quickly trained network in a cache of its own, and some test images."""

from __future__ import annotations

import pytest
from chips_and_digits import QUICK, make_chip

from spinneurons.codesign import network
from spinneurons.codesign.chip import Chip
from spinneurons.codesign.draws import Batch, Draws
from spinneurons.codesign.network import Network
from spinneurons.mnist import data


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Networks of the tests go to a folder that goes away."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SPINSWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def trained(_cache: None) -> Network:
    """One epoch of MNIST, about 93 %."""
    return network.obtain(QUICK, data.describe(), 0)


@pytest.fixture(scope="session")
def digits() -> Batch:
    """The first 400 test images."""
    test = data.load("test")
    return Batch.first(test.images, test.labels, 400)


@pytest.fixture
def draws() -> Draws:
    return Draws((11, 12))


@pytest.fixture(scope="session")
def chip(trained: Network) -> Chip:
    return make_chip(trained)
