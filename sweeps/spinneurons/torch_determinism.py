"""How torch is used: one of its threads for each of ours, and float32 that is float32.

Torch splits a product over threads that spin while they wait for each other: on two cores with one other busy
process, an epoch of training took 33 s with two of them and 1.5 s with one.  And exact sums, on which the kernel's
independence of batches and threads rests, need products that are not rounded to bfloat16 or TF32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def exact_torch() -> Iterator[None]:
    """Torch uses one thread in the calling thread, and full precision, until the end of the block."""
    import torch  # late: a look at the sweeps does not need it

    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
