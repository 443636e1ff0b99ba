"""Operations on whole vectors for numba, whose compiler works on so short rows number by number.

numba keeps what it compiled by the file of the function that it compiled: after a change here, change or remove
``__pycache__/fused.*`` as well.

Nothing here depends on the processor: LLVM turns each vector into as many as the processor needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
"""Numbers in a row: 64 bytes, one vector of AVX-512; other processors take several."""
SETS = 4
"""Of sums, to which rows are added in turns: an addition need not wait for the one before to the same sum."""
WORD = 64
"""Bits in a word that says which rows are added."""

_I32, _F32 = ir.IntType(32), ir.FloatType()
_INTS, _FLOATS = ir.VectorType(_I32, LANES), ir.VectorType(_F32, LANES)
_BITS, _MASK = ir.VectorType(ir.IntType(1), LANES), ir.IntType(LANES)
_LARGEST = "llvm.vector.reduce.smax.v16i32"
_ZEROS, _FIRST = ir.Constant(_INTS, [0] * LANES), ir.Constant(ir.IntType(64), 0)


class _Lanes:
    """The arguments of an intrinsic: rows of contiguous arrays as vectors.  No index is checked."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.context, self.builder, self.types, self.values = context, builder, signature.args, arguments

    def pointer(self, array: int, index: Any, of: Any, numbers: int = LANES) -> Any:
        """To number ``numbers * index`` of an array, as the first of a vector."""
        data = self.context.make_array(self.types[array])(self.context, self.builder, self.values[array]).data
        start = self.builder.gep(data, [self.builder.mul(index, ir.Constant(index.type, numbers))])
        return self.builder.bitcast(start, of.as_pointer())

    def load(self, array: int, index: Any, of: Any = _INTS) -> Any:
        return self.builder.load(self.pointer(array, index, of), align=4)

    def store(self, vector: Any, array: int, index: Any) -> None:
        self.builder.store(vector, self.pointer(array, index, vector.type), align=4)

    def splat(self, scalar: Any) -> Any:
        """A vector of one number."""
        undefined = ir.Constant(ir.VectorType(scalar.type, LANES), ir.Undefined)
        one = self.builder.insert_element(undefined, scalar, ir.Constant(_I32, 0))
        return self.builder.shuffle_vector(one, one, _ZEROS)


@intrinsic
def _add_row(typingctx, sums, i, weights, j):  # type: ignore[no-untyped-def]
    """sums[i] += weights[j]: (n, LANES) int32."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows = _Lanes(context, builder, signature, arguments)
        rows.store(builder.add(rows.load(0, arguments[1]), rows.load(2, arguments[3])), 0, arguments[1])
        return context.get_dummy_value()

    return types.void(sums, types.intp, weights, types.intp), code


@intrinsic
def _add_sets(typingctx, total, sums, i):  # type: ignore[no-untyped-def]
    """total[0] += sums[SETS i] + ... + sums[SETS i + SETS - 1]: (n, LANES) int32."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows = _Lanes(context, builder, signature, arguments)
        first = builder.mul(arguments[2], ir.Constant(arguments[2].type, SETS))
        row = rows.load(0, _FIRST)
        for k in range(SETS):
            row = builder.add(row, rows.load(1, builder.add(first, ir.Constant(first.type, k))))
        rows.store(row, 0, _FIRST)
        return context.get_dummy_value()

    return types.void(total, sums, types.intp), code


@intrinsic
def _add_rows(typingctx, total, weights, words, n):  # type: ignore[no-untyped-def]
    """total[0] += weights[h] for each h whose bit is set in words (n,), uint64: (rows, LANES) int32.

    The sum stays in a register.  To go from one bit to the next takes no branch for each row, which a processor could
    not guess.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows = _Lanes(context, builder, signature, arguments)
        word, one = ir.IntType(64), ir.Constant(ir.IntType(64), 1)
        total = cgutils.alloca_once_value(builder, rows.load(0, _FIRST))
        bits = cgutils.alloca_once(builder, word)
        with cgutils.for_range(builder, arguments[3]) as loop:
            builder.store(builder.load(rows.pointer(2, loop.index, word, 1)), bits)
            first = builder.mul(loop.index, ir.Constant(loop.index.type, WORD))
            with _while_bits(builder, bits):
                left = builder.load(bits)
                h = builder.add(first, builder.cttz(left, ir.Constant(ir.IntType(1), 1)))
                builder.store(builder.and_(left, builder.sub(left, one)), bits)
                builder.store(builder.add(builder.load(total), rows.load(1, h)), total)
        rows.store(builder.load(total), 0, _FIRST)
        return context.get_dummy_value()

    return types.void(total, weights, words, types.intp), code


@contextmanager
def _while_bits(builder: Any, bits: Any) -> Iterator[None]:
    """A loop that goes on while the variable is not 0."""
    test, body, end = (builder.append_basic_block(name) for name in ("bits.test", "bits.body", "bits.end"))
    builder.branch(test)
    builder.position_at_end(test)
    left = builder.load(bits)
    builder.cbranch(builder.icmp_unsigned("!=", left, ir.Constant(left.type, 0)), body, end)
    builder.position_at_end(body)
    yield
    builder.branch(test)
    builder.position_at_end(end)


@intrinsic
def _compare(typingctx, d, every, some, i, a, for_a, b, for_b, low, high):  # type: ignore[no-untyped-def]
    """d[i] = for_a a[i] + for_b b[i] (float32); a bit for each lane whose d is above high in every[i], and for each
    that is above low alone in some[i] (uint16)."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows = _Lanes(context, builder, signature, arguments)
        i, for_a, for_b, low, high = (arguments[k] for k in (3, 5, 7, 8, 9))
        one = builder.fmul(rows.load(4, i, _FLOATS), rows.splat(for_a))
        d = builder.fadd(one, builder.fmul(rows.load(6, i, _FLOATS), rows.splat(for_b)))
        rows.store(d, 0, i)
        above = [builder.bitcast(builder.fcmp_ordered(">", d, rows.splat(limit)), _MASK) for limit in (high, low)]
        for array, mask in ((1, above[0]), (2, builder.xor(*above))):
            builder.store(mask, rows.pointer(array, i, _MASK, 1))
        return context.get_dummy_value()

    f = types.float32
    return types.void(d, every, some, types.intp, a, f, b, f, f, f), code


@intrinsic
def _count_below(typingctx, limits, i, d):  # type: ignore[no-untyped-def]
    """How many of limits[i] (float32) are below d."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows = _Lanes(context, builder, signature, arguments)
        above = builder.fcmp_ordered(">", rows.splat(arguments[2]), rows.load(0, arguments[1], _FLOATS))
        return builder.zext(builder.ctpop(builder.bitcast(above, _MASK)), ir.IntType(64))

    return types.intp(limits, types.intp, types.float32), code


@intrinsic
def _fires(typingctx, total, step, v, later, t, shifts, j):  # type: ignore[no-untyped-def]
    """Bit k: whether total[0, k] (int32) step[v, k] > later[t, k] + shifts[j, k] (float32)."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows = _Lanes(context, builder, signature, arguments)
        scaled = builder.fmul(builder.sitofp(rows.load(0, _FIRST), _FLOATS), rows.load(1, arguments[2], _FLOATS))
        limit = builder.fadd(rows.load(3, arguments[4], _FLOATS), rows.load(5, arguments[6], _FLOATS))
        return builder.bitcast(builder.fcmp_ordered(">", scaled, limit), _MASK)

    return types.uint16(total, step, types.intp, later, types.intp, shifts, types.intp), code


@intrinsic
def _add_bits(typingctx, counts, i, bits, among):  # type: ignore[no-untyped-def]
    """counts[i] (int32, none below 0) += bits, one for each lane; bits of those ``among`` that are the largest."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows = _Lanes(context, builder, signature, arguments)
        row = builder.add(rows.load(0, arguments[1]), builder.zext(builder.bitcast(arguments[2], _BITS), _INTS))
        rows.store(row, 0, arguments[1])
        largest = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_I32, [_INTS]), _LARGEST)
        most = builder.icmp_signed("==", row, rows.splat(builder.call(largest, [row])))
        return builder.and_(builder.bitcast(most, _MASK), arguments[3])

    return types.uint16(counts, types.intp, types.uint16, types.uint16), code


@intrinsic
def _lowest(typingctx, bits):  # type: ignore[no-untyped-def]
    """The number of the lowest bit of a uint64 that is not 0."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), code


@intrinsic
def _ones(typingctx, bits):  # type: ignore[no-untyped-def]
    """How many bits of a uint16 are set."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.ctpop(arguments[0]), ir.IntType(64))

    return types.intp(types.uint16), code


add_row: Any = _add_row
"""For compiled functions alone, as the others; numba leaves out the first argument."""
add_sets: Any = _add_sets
add_rows: Any = _add_rows
compare: Any = _compare
count_below: Any = _count_below
fires: Any = _fires
add_bits: Any = _add_bits
lowest: Any = _lowest
ones: Any = _ones


def zero_rows(*shape: int) -> npt.NDArray[np.int32]:
    """(*shape, LANES) zeros on whole lines of the cache: a row that lies across two takes twice as long."""
    n = math.prod(shape) * LANES
    memory = np.zeros(n + LANES, np.int32)
    skip = -(memory.ctypes.data // memory.itemsize) % LANES
    return memory[skip : skip + n].reshape(*shape, LANES)
