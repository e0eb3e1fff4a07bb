"""How many cycles of one core does an instruction take? Good to a factor of two: enough to choose a thread count."""

from fastnn._engine.runtime import vector_floats

_LANES = vector_floats()


def gemm_cycles(k, n):
    """Cycles for one row of a product with a k x n matrix: two vector multiply-adds a cycle, 70 % of the time."""
    vectors = -(-n // _LANES)
    return k * vectors / 1.4 + 4


def elementwise_cycles(n, cycles_for_8):
    """Cycles for one row of n values, given the cost of 8 values with 8 lanes."""
    vectors = -(-n // _LANES)
    return vectors * max(1.0, cycles_for_8) + 2
