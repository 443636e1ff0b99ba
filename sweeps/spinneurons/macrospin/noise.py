"""Normal deviates of each trajectory from its own generator, in float32 and in registers.

A trajectory's generator is xoshiro128++ (D. Blackman, S. Vigna, ACM Trans. Math. Softw. 47, 36 (2021)), whose
128-bit state is the trajectory's seed; two of its words make two deviates (G. E. P. Box, M. E. Muller, Ann. Math.
Stat. 29, 610 (1958)).  Only sums, products, square roots and whole numbers are used, and no reordering is allowed, so
that the bits are the same in every batch.  The largest deviate is 5.9.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Words = npt.NDArray[np.uint32]
f32, i32, u32 = np.float32, np.int32, np.uint32

INLINE: Any = {"forceinline": True, "error_model": "numpy"}
"""How numba compiles a function of one trajectory: into its caller, and without checks, which would keep LLVM from
vectorising the caller's loop."""


@njit(**INLINE)
def _rotated(x, k):  # type: ignore[no-untyped-def]
    return u32((x << u32(k)) | (x >> u32(32 - k)))


# A generator for each trajectory, and its state among the trajectory's own numbers: no trajectory waits for another's
# words, so that a vector of them advances together, and any split of an ensemble gives the same bits.


@njit(**INLINE)
def next_word(a, b, c, d):  # type: ignore[no-untyped-def]
    """The next word of xoshiro128++ and the four words of its state after it."""
    word = u32(_rotated(u32(a + d), 7) + a)
    shifted = u32(b << u32(9))
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    return word, a, b, c, _rotated(d, 11)


@njit(**INLINE)
def logarithm(x):  # type: ignore[no-untyped-def]
    """ln x of a normal float32 above 0, error 1e-7; polynomial of logf in S. L. Moshier's Cephes library."""
    # A float32 is exponent (8 bits) and mantissa (23 bits): as a whole number it can be cut without a library call,
    # which would end the vector loop.  0x3F3504F3 is sqrt(1/2): cut there, sqrt(1/2) <= mantissa < sqrt(2) is as
    # close to 1 as can be, where the polynomial is best.
    bits = f32(x).view(i32)
    exponent = i32(i32(bits - i32(0x3F3504F3)) >> i32(23))
    m = i32(bits - i32(exponent << i32(23))).view(f32) - f32(1)
    square = m * m
    p = f32(7.0376836292e-2)
    p = p * m - f32(1.1514610310e-1)
    p = p * m + f32(1.1676998740e-1)
    p = p * m - f32(1.2420140846e-1)
    p = p * m + f32(1.4249322787e-1)
    p = p * m - f32(1.6668057665e-1)
    p = p * m + f32(2.0000714765e-1)
    p = p * m - f32(2.4999993993e-1)
    p = p * m + f32(3.3333331174e-1)
    return f32(exponent) * f32(0.6931471805599453) + (m + (p * m * square - f32(0.5) * square))


@njit(**INLINE)
def two_normals(first, second):  # type: ignore[no-untyped-def]
    """Two independent standard normal deviates from two random words.

    Radius sqrt(-2 ln u), u = (first/2^8 + 1/2)/2^24; the angle is ``second`` in 2 pi/2^32: two bits turn by right
    angles, the others place it within +-pi/4, where sine and cosine are Cephes's polynomials of sinf and cosf.
    """
    # 24 bits are exact in float32.  The half keeps u away from 0, whose logarithm is infinite: the smallest u is
    # 2^-25, and so the largest radius sqrt(50 ln 2) = 5.9.
    uniform = f32(i32(first >> u32(8))) * f32(2.0**-24) + f32(2.0**-25)
    radius = np.sqrt(f32(-2) * logarithm(uniform))
    # Without its two highest bits the word is a signed number: +-2^23 after the shift to 24 bits is +-pi/4.
    angle = f32(i32(i32(second << u32(2)) >> i32(8))) * f32(np.pi / 4 * 2.0**-23)
    square = angle * angle
    sine = f32(-1.9515295891e-4) * square + f32(8.3321608736e-3)
    sine = angle + angle * square * (sine * square - f32(1.6666654611e-1))
    cosine = f32(2.443315711809948e-5) * square - f32(1.388731625493765e-3)
    cosine = f32(1) - f32(0.5) * square + square * square * (cosine * square + f32(4.166664568298827e-2))
    # The two highest bits are right angles: an odd number of them swaps sine and cosine, and bits give the signs.
    quadrant = u32(second >> u32(30))
    odd = (quadrant & u32(1)) != u32(0)
    x_sign = f32(i32(1) - i32(quadrant & u32(2)))
    y_sign = f32(i32(1) - i32((quadrant ^ u32(quadrant << u32(1))) & u32(2)))
    x = x_sign * (sine if odd else cosine)
    y = y_sign * (cosine if odd else sine)
    return radius * x, radius * y


@njit(**INLINE)
def three_normals(a, b, c, d):  # type: ignore[no-untyped-def]
    """Three standard normal deviates, and the state after the four words that a step takes."""
    first, a, b, c, d = next_word(a, b, c, d)
    second, a, b, c, d = next_word(a, b, c, d)
    third, a, b, c, d = next_word(a, b, c, d)
    fourth, a, b, c, d = next_word(a, b, c, d)
    x, y = two_normals(first, second)
    z, _ = two_normals(third, fourth)
    return x, y, z, a, b, c, d


@njit(nogil=True, error_model="numpy")
def _fill(out, words):  # type: ignore[no-untyped-def]
    for i in range(words.shape[1]):
        a, b, c, d = words[0, i], words[1, i], words[2, i], words[3, i]
        for step in range(out.shape[0]):
            x, y, z, a, b, c, d = three_normals(a, b, c, d)
            out[step, 0, i], out[step, 1, i], out[step, 2, i] = x, y, z


def normals(seeds: Words, steps: int) -> npt.NDArray[np.float32]:
    """The deviates that trajectories with these seeds use in their first ``steps`` steps.

    Parameters
    ----------
    seeds : (4, n) uint32

    Returns
    -------
    (steps, 3, n) float32
    """
    out = np.empty((steps, 3, seeds.shape[1]), np.float32)
    _fill(out, np.ascontiguousarray(seeds))
    return out


def draw_seeds(rng: np.random.Generator, n: int) -> Words:
    """(4, n) uint32: seeds of ``n`` trajectories, from the stream of their cell."""
    return rng.integers(1, 2**32, size=(4, n), dtype=np.uint32)
