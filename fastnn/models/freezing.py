"""What becomes of a trained model: a predictor, or an ONNX model."""


class Freezable:
    """The part of `Model` that makes other things of it."""

    def freeze(self, precision="float32", calibration_data=None, validation_data=None, tolerance=None):
        """Fold everything that is constant and pack the weights: an immutable, thread-safe predictor.

        Batch normalisation disappears into the dense layers around it, dropout vanishes. The predictor does not follow
        later changes of the model.

        Parameters
        ----------
        precision : {"float32", "float16", "int8", "mixed"} or dict of str to str
            What the weights of dense layers are stored in; everything else is computed in float32.

            * "float16" halves their bytes and rounds each to 11 bits. It is faster where the weights are more than the
              second-level cache holds.
            * "int8" quarters them, with a scale for each unit, and rounds the layers' inputs to integers of up to 16
              bits. It is faster for all but small layers, of less than about 64 x 64 weights.
            * "mixed" chooses for each layer by measured error: layers of less than 64 x 64 weights stay in float32, all
              others start in int8, and those that cost most for their bytes are raised, to float16 where they have
              half a million weights or more, then to float32, until `tolerance` is met. Needs `validation_data`, or at
              least `calibration_data`.
            * A dictionary gives the precision of each dense layer by its name; those that it lacks are float32.
        calibration_data : array_like, list or dict of array_like, or iterable of batches, optional
            Samples, whatever `predict` takes, a few hundred that are typical. The largest magnitude that each dense
            layer reads on them becomes the range for which int8 rounds that layer's inputs; what is beyond it later on
            is cut off. By default each row is rounded for its own largest magnitude, which is never cut off and costs
            one more pass over the row. The other precisions make no use of it.
        validation_data : array_like, list or dict of array_like, iterable of batches, or tuple (x, y), optional
            Samples on which the frozen network is compared with the model: ``frozen.report.outputs`` has the largest
            and the relative differences, for classifiers the share of samples that get another class. With targets `y`
            (class numbers or one-hot rows for a classifier; for several outputs a list or a dictionary) also both
            accuracies, or both root-mean-square errors of a regression. Of iterables only x is used.
        tolerance : float or dict of str to float, optional
            Refuse to freeze if more is lost: of accuracy, as a fraction (0.002 is 0.2 percentage points), of any
            output with labels; without labels the relative error of the outputs (the root of the mean square of the
            differences, divided by that of the model's outputs). Accuracy does not see how far probabilities have
            moved: ``{"accuracy": 0.002, "error": 0.05}`` limits both, the error that of every output. Default: no
            limit; for "mixed" 0.002 of accuracy, or 0.02 of relative error. "mixed" limits the error, too, where some
            outputs have labels and others none.

        Returns
        -------
        fastnn.freeze.Predictor
            Its `report` says what was folded, each layer's precision, bytes and error, and how the outputs compare.

        Raises
        ------
        ValueError
            For another precision or the name of no dense layer; for weights beyond 65504 with "float16", infinite ones
            with "int8"; for "mixed" or a tolerance without data; and if the tolerance is missed, with the numbers.

        Examples
        --------
        >>> import fastnn, numpy as np
        >>> fastnn.utils.set_random_seed(0)
        >>> stack = [fastnn.Input((100,)), fastnn.layers.Dense(80, "relu", name="hidden"), fastnn.layers.Dense(3)]
        >>> model = fastnn.Sequential(stack)
        >>> x = np.random.default_rng(0).normal(size=(500, 100)).astype(np.float32)
        >>> frozen = model.freeze(precision="mixed", validation_data=x)
        >>> [(each.name == "hidden", each.precision) for each in frozen.report.layers]
        [(True, 'int8'), (False, 'float32')]
        >>> frozen.report.outputs[0].relative < 0.02
        True
        >>> frozen = model.freeze({"hidden": "float16"}, validation_data=x, tolerance=0.01)
        >>> frozen.precision
        'mixed'
        """
        from fastnn.freeze import freeze

        return freeze(self, precision, calibration_data, validation_data, tolerance)

    def to_onnx(self, path=None, opset=17):
        """What the model computes at inference, as an ONNX model that any runtime takes; needs the onnx package.

        ``model.freeze().to_onnx()`` writes a smaller one: batch normalisation and scalings are folded into the dense
        layers. Either takes batches of any size, and float32.

        Parameters
        ----------
        path : str or path, optional
            Also write it to this file.
        opset : int, default 17
            The version of ONNX's operators to use, from 13 on. Younger ones have more activations as one operator.

        Returns
        -------
        onnx.ModelProto
            Inputs and outputs have the names of the model's.

        Raises
        ------
        ValueError
            If a layer is called with ``training=True`` or looks up text, or onnx does not know this opset.
        ImportError
            If the onnx package is not installed: ``pip install 'fastnn[onnx]'``.
        """
        from fastnn.interop.onnx_writer import export

        names = self._heads_names() or self.output_names
        graph = self.graph.in_mode(False)
        return export(graph, path, opset, input_names=self.input_names, output_names=names, name=self.name)

    def export(self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **kwargs):
        """Write what the model computes at inference for another runtime, by Keras's name: as ONNX, see `to_onnx`.

        Parameters
        ----------
        filepath : str or path
        format : str
            "onnx". Keras's default and its other formats are those of its backends.
        verbose : bool, optional
            Say where it has been written; True by default.
        input_signature : None
            The model's inputs are those that it has, for batches of any size.
        opset_version : int, default 17

        Raises
        ------
        ValueError
            For another format, an `input_signature` or an unknown argument; and as `to_onnx` does.
        ImportError
            If the onnx package is not installed.
        """
        if format != "onnx":
            raise ValueError(
                "A fastnn model is exported as ONNX: model.export(filepath, format='onnx'). For serving without Python "
                "there are model.freeze().save('model.fnn') and model.freeze().export_c('model.c'); model.save("
                f"'model.keras') writes what Keras loads, and can export further. Received: format={format!r}"
            )
        if input_signature is not None:
            raise ValueError(
                "export: the inputs have the model's shapes, for batches of any size; leave out `input_signature`. "
                f"Received: input_signature={input_signature!r}"
            )
        opset = kwargs.pop("opset_version", 17)
        if kwargs:
            raise ValueError(
                f"export takes `opset_version` and what its signature names. Received: {', '.join(kwargs)}"
            )
        self.to_onnx(filepath, opset)
        if verbose is None or verbose:
            print(f"Saved artifact at '{filepath}'.")

    def quantize(self, mode=None, config=None, filters=None, **kwargs):
        """Refuse, and say what does it here: Keras's name for weights of fewer bits, which `freeze` makes.

        Keras changes the model, which then cannot be trained any more. Here a model stays as it is, and the predictor
        that `freeze` makes of it has such weights.

        Raises
        ------
        NotImplementedError
            Always.
        """
        if mode in ("int8", None):
            advice = "predictor = model.freeze(precision='int8', calibration_data=x)"
        else:
            advice = "model.freeze(precision=...) with 'float16', 'int8' or 'mixed', which measures on data"
        if filters is not None:
            advice += "; for some of the layers: precision={'name': 'int8'}"
        raise NotImplementedError(
            "A model of fastnn stays in float32, so that it can be trained on. Weights of fewer bits are a "
            f"predictor's: {advice}. Received: quantize({mode!r})"
        )
