"""The part of `fastnn.models.Model` by which models are saved."""

import warnings

from fastnn.saving import api
from fastnn.saving.serialization import deserialize_keras_object, serialize_keras_object


class SaveableModel:
    """What a model can besides what `Saveable` gives every layer."""

    def save(self, filepath, overwrite=True, zipped=None, **kwargs):
        """Save the model; see `fastnn.saving.save_model`."""
        api.save_model(self, filepath, overwrite, zipped, **kwargs)

    def save_weights(self, filepath, overwrite=True, max_shard_size=None):
        """Save the weights; see `fastnn.saving.save_weights`."""
        api.save_weights(self, filepath, overwrite, max_shard_size)

    def load_weights(self, filepath, skip_mismatch=False, **kwargs):
        """Load weights; see `fastnn.saving.load_weights`."""
        api.load_weights(self, filepath, skip_mismatch, **kwargs)

    def get_compile_config(self):
        """Return what the model was compiled with, as JSON can hold it; an empty dictionary if it was not."""
        if not self.compiled:
            return {}
        told = {name: getattr(self._told, name) for name in ("loss", "loss_weights", "metrics", "weighted_metrics")}
        return serialize_keras_object({"optimizer": self.optimizer, **told})

    def compile_from_config(self, config):
        """Compile the model as `get_compile_config` told.

        A model with a `compile` of its own has to override both; it is left uncompiled otherwise, with a warning.
        """
        from fastnn.training.loop import Trainer

        if type(self).compile is not Trainer.compile:
            warnings.warn(
                f"{type(self).__name__} overrides compile(), so it is not compiled on loading. Compile it yourself, or "
                "override get_compile_config() and compile_from_config(config), too.",
                stacklevel=2,
            )
            return
        self.compile(**deserialize_keras_object(config))
