"""Which instructions share the rows of a batch among threads, and which ones have to wait for others.

A thread that has the same rows in one instruction after the other reads what it wrote itself: nothing has to be waited
for, and nothing travels from one processor's cache to another's. So instructions by rows are brought together, and
those that add up over all rows (the gradients of weights, sums of losses) follow behind them, where one fence serves
them all.
"""

from fastnn.operations.parameter import Memory

_LARGEST_WAITING = 1 << 19  # bytes that are kept for instructions behind; they should still be in a cache by then

# Instructions that can be shared by rows, each row depending on the same row of what they read; and what they write.
_BY_ROWS = {
    "gather": "y",
    "gather_labels": "labels",
    "dense_forward": "y slope",
    "dense_backward_input": "dx",
    "activation_forward": "y slope",
    "activation_backward": "dx",
    "softmax_forward": "y",
    "softmax_backward": "dx",
    "add": "y",
    "dropout_forward": "y mask",
    "dropout_backward": "dx",
    "softmax_crossentropy_sparse": "y row_loss dz",
    "softmax_crossentropy_dense": "y row_loss dz",
    "sigmoid_crossentropy": "y row_loss dz",
    "crossentropy_sparse": "row_loss dp",
    "crossentropy_dense": "row_loss dp",
    "binary_crossentropy": "row_loss dp",
    "mean_squared_error": "row_loss dp",
    "mean_absolute_error": "row_loss dp",
    "huber": "row_loss dp",
    "sparse_accuracy": "values",
    "categorical_accuracy": "values",
    "binary_accuracy": "values",
}
# Instructions that nothing but the end of a step depends on, and what they write.
_LEAVES = {"accumulate": "acc", "dense_backward_weights": "dw db half_dw half_db"}


def written_names(op):
    """The operands that an instruction writes; None where they are not known, and it may be all of them."""
    names = _BY_ROWS.get(op) or _LEAVES.get(op)
    return names.split() if names else None


def can_share_rows(op, rows):
    """May threads share an instruction by rows? Not if it has several for each sample: a thread's part of those would
    not be the same samples."""
    return op in _BY_ROWS and rows == 1


class _Emitted:
    """An instruction, with the memory that it reads and writes: all of its operands, if it is none of those above."""

    def __init__(self, op, bindings, keywords):
        self.op, self.bindings, self.keywords = op, bindings, dict(keywords)
        self.by_rows = keywords["by_rows"]
        self.followers = keywords.get("followers", 0)
        self.known = (bool(self.by_rows) or op in _LEAVES) and not self.followers
        written = written_names(op) or bindings
        self.halves = bindings.get("half_dw") is not None
        self.reads, self.writes, self.nbytes = set(), set(), 0
        for name, value in bindings.items():
            value = value.operand if isinstance(value, Memory) else value
            if isinstance(value, tuple):
                value = id(value[0]), value[1]
            elif not hasattr(value, "nbytes"):
                continue
            else:
                self.nbytes += value.nbytes
            (self.writes if name in written else self.reads).add(value)

    def touches(self, reads, writes):
        """Does it write what others read or write, or read what they write?"""
        return bool(self.writes & (reads | writes) or self.reads & writes)


class _Arrangement:
    def __init__(self):
        self.result, self.postponed = [], []
        self._start()

    def _start(self):
        """Behind a fence."""
        self.reads = {True: set(), False: set()}  # of instructions by rows, and of leaves
        self.writes = {True: set(), False: set()}
        self.unknown = False  # has there been any other?

    def _touches(self, each):
        kinds = [False] if each.by_rows else [True, False]
        return any(each.touches(self.reads[kind], self.writes[kind]) for kind in kinds)

    def _waits(self, each):
        return self.unknown or self._touches(each)

    def _put(self, each, fence):
        if fence:
            self._start()
        each.keywords["fence"] = fence
        if each.known:
            self.reads[bool(each.by_rows)] |= each.reads
            self.writes[bool(each.by_rows)] |= each.writes
        else:
            self.unknown = True
        self.result.append(each)

    def flush(self):
        for each in self.postponed:
            self._put(each, self._waits(each))
        self.postponed.clear()

    def add(self, each):
        if not each.known:
            self.flush()
            # It may have relied on a fence that is gone.
            self._put(each, each.keywords["fence"] or self._touches(each))
        elif each.by_rows:
            if any(each.touches(other.reads, other.writes) for other in self.postponed):
                self.flush()
            self._put(each, self._waits(each))
        elif not self.postponed and (self.unknown or not self._waits(each)):
            self._put(each, self.unknown)
        else:
            self.postponed.append(each)
            if sum(other.nbytes for other in self.postponed) > _LARGEST_WAITING:
                self.flush()


def arrange(emitted):
    """The order in which instructions run, and which of them wait.

    Parameters
    ----------
    emitted : list of (op, bindings, keywords of `Instruction`)

    Returns
    -------
    list of (op, bindings, keywords)
    """
    arrangement, followers = _Arrangement(), 0
    for one in emitted:
        each = _Emitted(*one)
        if followers:
            arrangement.result.append(each)
            followers -= 1
        else:
            arrangement.add(each)
            followers = each.followers
    arrangement.flush()
    for each in arrangement.result:
        each.keywords["by_rows"] = 0.0
    _count_work(arrangement.result, [each.by_rows for each in arrangement.result])
    _count_work(arrangement.result, [each.halves for each in arrangement.result])
    return [(each.op, each.bindings, each.keywords) for each in arrangement.result]


def _count_work(instructions, chosen):
    """Tell chosen instructions what all of those between two fences cost for each row."""
    segment = []
    for each, is_chosen in zip([*instructions, None], [*chosen, False], strict=True):
        if each is None or each.keywords["fence"]:
            total = sum(other.keywords["work_per_row"] for other in segment)
            for other in segment:
                other.keywords["by_rows"] = max(total, 1.0)
            segment = []
        if is_chosen:
            segment.append(each)
