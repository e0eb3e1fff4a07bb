"""The base class of callbacks."""


def default(method):
    """Mark a hook as one that does nothing, so that nobody need call it.

    Keras sets the same mark, which lets its callbacks be used here.
    """
    method._is_default = True
    return method


class Callback:
    """Base class of callbacks: override the hooks of interest.

    Attributes
    ----------
    model : Model
        The model being trained, evaluated or predicted with.
    params : dict
        Settings of the call: "verbose", "epochs", "steps".

    Notes
    -----
    `logs` are dictionaries of floats: the loss and metrics so far in this epoch, those of
    validation prefixed with "val_". Setting ``self.model.stop_training = True`` ends `fit` after
    the current epoch, or after the current batch where a batch hook does so.
    """

    def __init__(self):
        self.params = None
        self._model = None

    def set_params(self, params):
        """Called before anything else, with the settings of the call."""
        self.params = params

    def set_model(self, model):
        """Called before anything else, with the model."""
        self._model = model

    @property
    def model(self):
        return self._model

    @default
    def on_batch_begin(self, batch, logs=None):
        """An older name of `on_train_batch_begin`."""

    @default
    def on_batch_end(self, batch, logs=None):
        """An older name of `on_train_batch_end`."""

    @default
    def on_epoch_begin(self, epoch, logs=None):
        """Called at the start of an epoch of `fit`."""

    @default
    def on_epoch_end(self, epoch, logs=None):
        """Called at the end of an epoch of `fit`, after validation."""

    @default
    def on_train_batch_begin(self, batch, logs=None):
        """Called before each training step."""
        self.on_batch_begin(batch, logs=logs)

    @default
    def on_train_batch_end(self, batch, logs=None):
        """Called after each training step."""
        self.on_batch_end(batch, logs=logs)

    @default
    def on_test_batch_begin(self, batch, logs=None):
        """Called before each batch of `evaluate`, and of validation in `fit`."""

    @default
    def on_test_batch_end(self, batch, logs=None):
        """Called after each batch of `evaluate`, and of validation in `fit`."""

    @default
    def on_predict_batch_begin(self, batch, logs=None):
        """Called before each batch of `predict`."""

    @default
    def on_predict_batch_end(self, batch, logs=None):
        """Called after each batch of `predict`."""

    @default
    def on_train_begin(self, logs=None):
        """Called at the start of `fit`."""

    @default
    def on_train_end(self, logs=None):
        """Called at the end of `fit`."""

    @default
    def on_test_begin(self, logs=None):
        """Called at the start of `evaluate`, and of validation in `fit`."""

    @default
    def on_test_end(self, logs=None):
        """Called at the end of `evaluate`, and of validation in `fit`."""

    @default
    def on_predict_begin(self, logs=None):
        """Called at the start of `predict`."""

    @default
    def on_predict_end(self, logs=None):
        """Called at the end of `predict`."""
