"""Batch normalisation of the features of the last axis (Ioffe and Szegedy, 2015), with Keras's moving averages."""

import numpy as np

from fastnn.lowering.cost import elementwise_cycles
from fastnn.operations.base import Operation


class BatchNorm(Operation):
    """Attributes of its nodes: `momentum`, `epsilon`, `training` (True, False, or None: as the program).

    Variables: `gamma` and `beta` (either may be None), `moving_mean`, `moving_variance`.
    """

    name = "batchnorm"

    def uses_batch_statistics(self, node, b):
        if b.is_frozen(node.layer):
            return False  # as in Keras: a frozen layer runs in inference mode
        training = node.attributes["training"]
        return b.training if training is None else training

    def to_onnx(self, node, e):
        x, epsilon = e.unchanged(node), node.attributes["epsilon"]
        names = ("gamma", "beta", "moving_mean", "moving_variance")  # in the features' shape, here side by side
        gamma, beta, mean, variance = (node.variables[name] and node.variables[name].numpy().ravel() for name in names)
        if node.inputs[0].ndim == 2:
            vectors = [
                np.ones_like(mean) if gamma is None else gamma,
                np.zeros_like(mean) if beta is None else beta,
                mean,
                variance,
            ]
            vectors = [e.constant(vector, name) for vector, name in zip(vectors, names, strict=True)]
            return e.emit("BatchNormalization", x, *vectors, epsilon=epsilon)
        # ONNX has the features on axis 1, and here they are on the last.
        scale = 1 / np.sqrt(variance.astype(np.float64) + epsilon)
        if gamma is not None:
            scale = scale * gamma
        x = e.emit("Sub", x, e.constant(mean, "moving_mean"))
        return e.scaled(x, e.constant(scale, "scale"), None if beta is None else e.constant(beta, "beta"))

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        y = b.matrix(x.rows_per_sample, x.n)
        of_batch = self.uses_batch_statistics(node, b)
        # A backward pass needs the statistics that were used, a forward pass alone only where it computes them.
        mean = inv_std = None
        if of_batch or b.training:
            mean, inv_std = b.vector(x.n), b.vector(x.n)
            xhat = b.matrix(x.rows_per_sample, x.n) if of_batch and self._needs_only_xhat(node, b) else None
            b.keep(node, (mean, inv_std, xhat))
        variables = node.variables
        moving = {name: variables[name] for name in ("moving_mean", "moving_variance")}
        if of_batch:
            moving = {name: b.committed(variable) for name, variable in moving.items()}
        b.emit(
            "batchnorm_train" if of_batch else "batchnorm_infer",
            rows=x.rows_per_sample,
            work_per_row=elementwise_cycles(x.n, 12 if of_batch else 3),
            x=x,
            gamma=variables["gamma"],
            beta=variables["beta"],
            **moving,
            mean=mean,
            inv_std=inv_std,
            y=y,
            n=x.n,
            ldx=x.ld,
            ldy=y.ld,
            **({"momentum": node.attributes["momentum"], "xhat": xhat} if of_batch else {}),
            epsilon=node.attributes["epsilon"],
        )
        return y

    def _needs_only_xhat(self, node, b):
        """Can the dense layer that follows compute this node's gradients with its own? See `dense.Dense.backward`."""
        follower = b.graph.only_consumer(node.output)
        return (
            b.training
            and follower is not None
            and follower.operation.name == "dense"
            and b.trains(follower.variables["kernel"])
            and (b.trains(node.variables["gamma"]) or b.trains(node.variables["beta"]))
            and not b.needs_gradient(node.inputs[0])
        )

    @staticmethod
    def kept_xhat(node, b):
        """The normalised values of a node whose gradients the dense layer after it may compute, or None."""
        if node is None or node.operation.name != "batchnorm" or not b.training:
            return None
        return b.kept(node)[2]

    def backward(self, node, b, gradient):
        x = b.slot(node.inputs[0])
        mean, inv_std, _ = b.kept(node)
        gamma, beta = node.variables["gamma"], node.variables["beta"]
        trains = b.trains(gamma) or b.trains(beta)
        dgamma, accumulate_gamma = b.variable_gradient(gamma)
        dbeta, accumulate_beta = b.variable_gradient(beta)

        def write(dx, accumulate, epilogue):
            b.emit(
                "batchnorm_backward",
                rows=gradient.rows_per_sample,
                work_per_row=elementwise_cycles(gradient.n, 8),
                x=x,
                mean=mean,
                inv_std=inv_std,
                gamma=gamma,
                dy=gradient,
                dx=dx,
                dgamma=dgamma,
                dbeta=dbeta,
                n=gradient.n,
                ldx=x.ld,
                lddy=gradient.ld,
                lddx=dx.ld if dx is not None else 0,
                batch_statistics=self.uses_batch_statistics(node, b),
                accumulate=accumulate_gamma or accumulate_beta,
                act=epilogue.kernel if epilogue else 0,
                alpha=epilogue.alpha if epilogue else 0.0,
            )

        if b.needs_gradient(node.inputs[0]):
            # The kernel takes the derivative of an activation from x, so x must be what that derivative is made from.
            b.propagate(node.inputs[0], write, epilogue="output")
        elif trains:
            write(None, False, None)

    def fold(self, node, f):
        """With moving averages it is a scaling by ``gamma / sqrt(variance + epsilon)`` and a shift."""
        variables = node.variables
        mean, variance = (f.constant(variables[name]).ravel() for name in ("moving_mean", "moving_variance"))
        if node.attributes["training"]:
            raise ValueError(
                f"Layer {node.output.name!r} is called with training=True: it normalises by the statistics of each "
                "batch and cannot be frozen."
            )
        gamma = f.constant(variables["gamma"], default=np.ones_like(mean)).ravel()
        beta = f.constant(variables["beta"], default=np.zeros_like(mean)).ravel()
        scale = gamma / np.sqrt(variance + node.attributes["epsilon"])
        return f.scaled(node, scale, beta - mean * scale)
