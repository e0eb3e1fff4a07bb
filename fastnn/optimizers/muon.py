"""An optimizer whose steps are orthogonal matrices, nearly."""

import re

from fastnn.optimizers import settings
from fastnn.optimizers.base import Optimizer
from fastnn.optimizers.lamb import chunks


def _names(owner, name, value):
    if value is None:
        return []
    if isinstance(value, str) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{type(owner).__name__}: `{name}` must be a list of strings or None. Received: {value!r}")
    for each in value:
        re.compile(each)
    return list(value)


def _steps(owner, name, value):
    counted = settings.integer(value)
    if counted is None or counted < 0:
        raise ValueError(f"`{name}` must be an integer >= 0. Received: {name}={value!r}")
    return counted


class Muon(Optimizer, learning_rate=0.001):
    """The momentum of a matrix with all its singular values brought to about 1: no direction is preferred.

    ``m = momentum * m + g``; ``d = g + momentum * m`` by Nesterov, else ``m``; ``x = d / |d|``, and `ns_steps` times
    ``a = x @ x.T; x = muon_a * x + (muon_b * a + muon_c * a @ a) @ x``; ``w -= learning_rate * rms_rate *
    sqrt(max(w.shape)) * x``: Jordan et al., "Muon", 2024, and Liu et al., "Muon is scalable for LLM training",
    arXiv:2502.16982.

    So are matrices updated. What has another number of axes, what has "embedding" in its path, and what
    `exclude_layers` names is updated as `Adam` does; the last layer should be among them.

    Parameters
    ----------
    learning_rate : float, default 0.001
    adam_beta_1, adam_beta_2 : float, default 0.9 and 0.999
        In [0, 1).
    adam_weight_decay : float, optional, default 0.004
        `weight_decay` of what Adam updates.
    epsilon : float, default 1e-7
        Adam's.
    weight_decay : float, optional, default 0.004
        Of the matrices.
    clipnorm, ..., name
        See `Optimizer`.
    exclude_layers : list of str, optional
        Regular expressions: a variable in whose path one is found is updated as Adam does.
    exclude_embeddings : bool, default True
    muon_a, muon_b, muon_c : float, default 3.4445, -4.775, 2.0315
        Of the iteration.
    adam_lr_ratio : float, default 1
        Adam's part of the learning rate; weight decay goes by the whole.
    momentum : float, default 0.95
        In [0, 1].
    ns_steps : int, default 5
        Iterations.
    nesterov : bool, default True
    rms_rate : float, optional, default 0.2
        Makes steps about as long as Adam's; None: ``w -= learning_rate * x``.

    Notes
    -----
    A step takes about ``2 * ns_steps * short * short * (2 * long + short)`` floating-point operations for each matrix,
    whatever the batch: as much as a training step with some hundred samples.
    """

    own_numbers = (
        "adam_beta_1", "adam_beta_2", "epsilon", "adam_lr_ratio", "_adam_decay", "momentum", "muon_a", "muon_b",
        "muon_c", "_rms",
    )  # fmt: skip
    momentum_setting = "momentum"

    adam_beta_1 = settings.number(0.9, 0, 1, open_end=True)
    adam_beta_2 = settings.number(0.999, 0, 1, open_end=True)
    adam_weight_decay = settings.option(0.004)
    epsilon = settings.number(1e-7, 0)
    weight_decay = settings.option(0.004)
    exclude_layers = settings.Setting(None, _names, tuple, after_name=True)
    exclude_embeddings = settings.switch(True, after_name=True)
    muon_a = settings.number(3.4445, after_name=True)
    muon_b = settings.number(-4.7750, after_name=True)
    muon_c = settings.number(2.0315, after_name=True)
    adam_lr_ratio = settings.number(1, 0, after_name=True)
    momentum = settings.number(0.95, 0, 1, after_name=True)
    ns_steps = settings.Setting(5, _steps, lambda value: value, after_name=True)
    nesterov = settings.switch(True, after_name=True, remembered=False)
    rms_rate = settings.option(0.2, after_name=True)

    @property
    def _adam_decay(self):
        return self.adam_weight_decay or 0.0

    @property
    def _rms(self):
        return -1.0 if self.rms_rate is None else self.rms_rate

    def uses_adam(self, variable):
        """Is this variable updated as Adam does, rather than as a matrix?"""
        embedding = self.exclude_embeddings and "embedding" in variable.path.lower()
        return variable.ndim != 2 or embedding or any(re.search(each, variable.path) for each in self.exclude_layers)

    @property
    def slot_names(self):
        return ("momentum", "velocity")

    def slots_of(self, variable):
        return ("momentum", "velocity") if self.uses_adam(variable) else ("momentum",)

    def is_alone(self, variable):
        return not self.uses_adam(variable)

    def decay_of(self, variable):
        return self.adam_weight_decay if self.uses_adam(variable) else self.weight_decay

    def lower(self, b, variable, param, grad, slots, n, **common):
        from fastnn._engine.kernels import packed_floats
        from fastnn._engine.runtime import Buffer
        from fastnn.lowering.cost import elementwise_cycles, gemm_cycles

        if self.uses_adam(variable):
            b.emit(
                "muon_adam", work=elementwise_cycles(n, 12), commits=True, param=param, grad=grad, n=n, **common,
                **slots, velocity_hat=None,
            )  # fmt: skip
            return
        height, columns = variable.shape
        short, long = sorted(variable.shape)
        every, count = common["accumulation"], chunks(n)
        sums = Buffer(8 * count), 0, 8 * count
        x, product = b.fixed(short, long), b.fixed(short, long)
        square, fourth = b.fixed(short, short), b.fixed(short, short)
        matrix = {
            "height": height, "columns": columns, "ldx": x.ld,
            "ld": 0 if variable.layout == "panels" else variable.row_stride,
        }  # fmt: skip

        def packed(source, k, n):
            w = b.vector(packed_floats(k, n))
            b.emit("pack_panels", rows=0, work=k * n / 2, commits=True, x=source, y=w, k=k, n=n, ldx=source.ld)
            return w

        def multiply(x, w, y, k, n, turned=False):
            b.emit(
                "muon_product", rows=0, work=short * gemm_cycles(k, n), commits=True, x=x, w=w, y=y, height=short,
                k=k, n=n, ldx=x.ld, ldy=y.ld, accumulation=every, turned=turned,
            )  # fmt: skip

        def blend(x, y, n, u, v):
            places = [1 + self.own_numbers.index(each) if each else 0 for each in (u, v)]
            b.emit(
                "muon_blend", rows=0, work=short * elementwise_cycles(n, 2), commits=True, x=x, y=y, height=short, n=n,
                ldx=x.ld, ldy=y.ld, u=places[0], v=places[1], accumulation=every,
            )  # fmt: skip

        b.emit(
            "muon_momentum", work=elementwise_cycles(n, 6), commits=True, param=param, grad=grad, n=n, **common,
            **slots, sums=sums, nesterov=self.nesterov,
        )  # fmt: skip
        b.emit("muon_start", work=2 * height * columns, commits=True, grad=grad, sums=sums, x=x, count=count,
               accumulation=every, **matrix)  # fmt: skip
        for _ in range(self.ns_steps):
            w = packed(x, short, long)
            multiply(x, w, square, short, long, turned=True)
            multiply(square, packed(square, short, short), fourth, short, short)
            blend(square, fourth, short, "muon_b", "muon_c")
            multiply(fourth, w, product, short, long)
            blend(product, x, long, None, "muon_a")
        b.emit("muon_apply", work=2 * height * columns, commits=True, param=param, x=x, accumulation=every,
               rate_factor=common["rate_factor"], **matrix)  # fmt: skip
