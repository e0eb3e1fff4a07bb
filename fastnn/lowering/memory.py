"""Gives every slot of a program an address in one arena."""

_LINE = 64


def plan(lifetimes, align=_LINE):
    """Place intervals so that those that overlap in time do not overlap in memory.

    Parameters
    ----------
    lifetimes : list of tuple (first, last, nbytes)
        First and last instruction during which a slot must keep its value.
    align : int
        What offsets are multiples of; a cache line by default.

    Returns
    -------
    offsets : list of int
        Byte offset of each slot.
    total : int
        Size of the arena.

    Notes
    -----
    Greedy by size (Pisarchyk and Lee, 2020): the largest first, each at the lowest place that is free for as long as it
    lives.
    """
    offsets = [0] * len(lifetimes)
    placed = []  # (offset, end, first, last), sorted by offset
    total = 0
    for index in sorted(range(len(lifetimes)), key=lambda i: -lifetimes[i][2]):
        first, last, nbytes = lifetimes[index]
        size = -(-nbytes // align) * align
        offset = 0
        for start, end, other_first, other_last in placed:
            if other_last < first or last < other_first:
                continue
            if offset + size <= start:
                break
            offset = max(offset, end)
        offsets[index] = offset
        placed.append((offset, offset + size, first, last))
        placed.sort()
        total = max(total, offset + size)
    return offsets, total
