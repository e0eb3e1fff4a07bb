"""What loops of one's own call on an optimizer, and what files ask of it."""

import warnings

import numpy as np


class Applies:
    """The part of `Optimizer` that is outside of `fit`."""

    def apply(self, grads, trainable_variables=None):
        """Update variables by gradients, in a training loop of one's own.

        Parameters
        ----------
        grads : list of array_like
            One for each variable, in its shape.
        trainable_variables : list of Variable, optional
            By default those of the last call, or of `build`.
        """
        from fastnn.lowering.update import Update

        if trainable_variables is None:
            if not self.built:
                raise ValueError(
                    "When passing `grads` without `variables`, the optimizer must already be built on a list of "
                    "variables. Call `optimizer.build(trainable_variables)` first."
                )
            trainable_variables = list(self.state)
        variables, grads = list(trainable_variables), list(grads)
        if len(grads) != len(variables):
            raise ValueError(f"There must be a gradient for each of {len(variables)} variables. Received: {len(grads)}")
        given = [(grad, variable) for grad, variable in zip(grads, variables, strict=True) if grad is not None]
        if not given:
            if grads:
                raise ValueError("No gradients provided for any variable.")
            return
        grads, variables = zip(*given, strict=True)
        if self._applied is None or not self._applied.fits(self, variables):
            self._applied = Update(self, variables)
        self._applied.run(self, grads)

    def apply_gradients(self, grads_and_vars):
        """`apply`, of pairs; returns `iterations`."""
        grads, variables = zip(*grads_and_vars, strict=True)
        self.apply(grads, variables)
        return self.iterations

    def scale_loss(self, loss):
        """The loss times `loss_scale_factor`, by which `apply` divides the gradients again."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def assign(self, variable, value):
        """``variable.assign(value)``."""
        variable.assign(value)

    def assign_add(self, variable, value):
        """``variable.assign_add(value)``."""
        variable.assign_add(value)

    def assign_sub(self, variable, value):
        """``variable.assign_sub(value)``."""
        variable.assign_sub(value)

    def set_weights(self, weights):
        """Set the values of `variables`.

        Parameters
        ----------
        weights : list of array_like

        Raises
        ------
        ValueError
            If the optimizer is not built, or a shape or their number differs.
        """
        if not self.built:
            raise ValueError(
                "You are calling `set_weights()` on an optimizer that has not yet been built. Please call "
                "`optimizer.build(trainable_variables)` before."
            )
        variables, weights = self.variables, [np.asarray(each) for each in weights]
        if [tuple(each.shape) for each in variables] != [each.shape for each in weights]:
            raise ValueError(
                f"Optimizer {self.name!r} has variables of the shapes {[tuple(each.shape) for each in variables]}. "
                f"Received weights of the shapes {[each.shape for each in weights]}."
            )
        for variable, weight in zip(variables, weights, strict=True):
            variable.assign(weight)

    def save_own_variables(self, store):
        """Put the values of `variables` into a dictionary: "0", "1", ..."""
        store.update({str(number): each.numpy() for number, each in enumerate(self.variables)})

    def load_own_variables(self, store):
        """Take the values of `variables` out of a dictionary; warns, and takes none, if their number differs."""
        if len(store) != len(self.variables):
            warnings.warn(
                f"Skipping variable loading for optimizer {self.name!r}: it has {len(self.variables)} variables, "
                f"whereas the saved one has {len(store)}.",
                stacklevel=2,
            )
            return
        for number, variable in enumerate(self.variables):
            variable.assign(store[str(number)])
