"""Random streams by key within a cell: the same key always gives the same numbers, whatever was asked before."""

from __future__ import annotations

import hashlib

import numpy as np


class Streams:
    """Generators that are named by a text; ``rng`` gives the two words that all of them hang on."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._words = rng.integers(0, 1 << 64, 2, np.uint64).astype("<u8").tobytes()

    def generator(self, key: str) -> np.random.Generator:
        """A generator at the start of the stream of ``key`` (BLAKE2b of words and key, Philox 4x64-10)."""
        digest = hashlib.blake2b(self._words + key.encode(), digest_size=16).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
