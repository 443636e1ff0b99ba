"""One operation on whole vectors for numba, whose compiler adds so short rows number by number.

numba keeps what it compiled by the file of the function that it compiled: after a change here, change or remove
``__pycache__/fused.*`` as well.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 16
"""Whole numbers in a row: 64 bytes, one vector of AVX-512; other processors take several."""


@intrinsic
def _add_row(typingctx, sums, i, weights, j):  # type: ignore[no-untyped-def]
    """sums[i] += weights[j]: contiguous (n, LANES) int32 arrays; no index is checked."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.IntType(32), LANES)

        def row(array: int) -> Any:
            data = context.make_array(signature.args[array])(context, builder, arguments[array]).data
            index = arguments[array + 1]
            start = builder.gep(data, [builder.mul(index, ir.Constant(index.type, LANES))])
            return builder.bitcast(start, vector.as_pointer())

        into = row(0)
        added = builder.add(builder.load(into, align=4), builder.load(row(2), align=4))
        builder.store(added, into, align=4)
        return context.get_dummy_value()

    return types.void(sums, types.intp, weights, types.intp), code


add_row: Any = _add_row
"""For compiled functions alone; numba leaves out the first argument."""


def zero_rows(*shape: int) -> npt.NDArray[np.int32]:
    """(*shape, LANES) zeros on whole lines of the cache: a row that lies across two takes twice as long."""
    n = math.prod(shape) * LANES
    memory = np.zeros(n + LANES, np.int32)
    skip = -(memory.ctypes.data // memory.itemsize) % LANES
    return memory[skip : skip + n].reshape(*shape, LANES)
