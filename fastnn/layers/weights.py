"""The variables of a layer and of all layers inside it, as lists and as arrays."""

import numpy as np


class HasWeights:
    """The part of `Layer` that is about its variables. Expects `_own_trainable`, `_own_non_trainable`, `_sublayers`."""

    @property
    def weights(self):
        variables = [*self._own_trainable, *self._own_non_trainable]
        for layer in self._sublayers:
            variables += layer.weights
        return list(dict.fromkeys(variables))

    variables = weights

    @property
    def trainable_weights(self):
        """Those that `fit` changes: none of a layer that is not `trainable`, whatever is inside it."""
        if not self._trainable:
            return []
        variables = [variable for variable in self._own_trainable if variable.trainable]
        for layer in self._sublayers:
            variables += layer.trainable_weights
        return list(dict.fromkeys(variables))

    trainable_variables = trainable_weights

    @property
    def non_trainable_weights(self):
        trainable = set(self.trainable_weights)
        return [variable for variable in self.weights if variable not in trainable]

    non_trainable_variables = non_trainable_weights

    @property
    def losses(self):
        """The penalties of the trainable variables that have a regularizer, as floats. (Those of activities are known
        in a training step only.)"""
        penalised = [each for each in self.trainable_weights if each.regularizer is not None]
        return [each.regularizer(each.numpy()) for each in penalised]

    def count_params(self):
        """Number of values in the layer's variables."""
        if not self.built:
            raise ValueError(f"Layer {self.name!r} has no variables yet: it is not built. Call it on data first.")
        return sum(variable.size for variable in self.weights)

    def get_weights(self):
        """The values of `weights`, as a list of arrays."""
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights):
        """Set the values of `weights`.

        Raises
        ------
        ValueError
            If the number of arrays or a shape differs.
        """
        variables = self.weights
        if len(weights) != len(variables):
            raise ValueError(
                f"Layer {self.name!r} has {len(variables)} variables and cannot take {len(weights)} arrays. "
                f"Expected shapes: {[each.shape for each in variables]}"
            )
        arrays = [np.asarray(each, np.float32) for each in weights]
        for variable, array in zip(variables, arrays, strict=True):
            if array.shape != variable.shape:
                raise ValueError(
                    f"Layer {self.name!r}: variable {variable.path!r} has shape {variable.shape} and cannot take a "
                    f"value of shape {array.shape}."
                )
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)

    def quantize(self, mode=None, type_check=True, config=None):
        """Refuse, and say what does it here; see `fastnn.Model.quantize`.

        Raises
        ------
        NotImplementedError
            Always.
        """
        precision = "int8" if mode is None else mode
        raise NotImplementedError(
            "Layers of fastnn stay in float32, so that they can be trained on. Weights of fewer bits are a "
            f"predictor's: predictor = model.freeze(precision={{{self.name!r}: 'int8'}}, calibration_data=x); others "
            f"are 'float16' and, for a whole model, 'mixed'. Received: quantize({precision!r})"
        )
