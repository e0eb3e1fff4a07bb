"""`FeatureSpace`: tables as networks read them.

A feature is a column and the layer that prepares it; a cross is the combination of several. All of it becomes one
functional model, as soon as the layers know what they must learn from data: it stands alone, or before another network,
where it is trained, frozen and saved with it.
"""

import numpy as np

from fastnn import _tree, layers
from fastnn._naming import unique_name
from fastnn._suggestions import did_you_mean
from fastnn.eager import Array, is_symbolic
from fastnn.layers.categories import categories_of
from fastnn.models.functional import Functional
from fastnn.models.network import between
from fastnn.saving.serialization import deserialize_keras_object, serialize_keras_object
from fastnn.training.arguments import count


class Cross:
    """Several features together: a category for each combination of their categories, by a hash.

    Parameters
    ----------
    feature_names : sequence of str
    crossing_dim : int
        How many bins there are.
    output_mode : {"one_hot", "int"}
    """

    def __init__(self, feature_names, crossing_dim, output_mode="one_hot"):
        _one_of("output_mode", output_mode, ("int", "one_hot"))
        self.feature_names = tuple(feature_names)
        self.crossing_dim = count(crossing_dim, "crossing_dim")
        self.output_mode = output_mode

    @property
    def name(self):
        return "_X_".join(self.feature_names)

    def get_config(self):
        return {
            "feature_names": list(self.feature_names),
            "crossing_dim": self.crossing_dim,
            "output_mode": self.output_mode,
        }


class Feature:
    """A column, and what is made of it.

    Parameters
    ----------
    dtype : {"float32", "int32", "string"}
        Of the column.
    preprocessor : Layer
        What it goes through first.
    output_mode : {"float", "one_hot", "int"}
        What the preprocessor returns: "float" and "int" stay as they are; "one_hot" makes indicators of whole numbers.
    """

    def __init__(self, dtype, preprocessor, output_mode):
        _one_of("output_mode", output_mode, ("int", "one_hot", "float"))
        self.dtype = dtype
        self.preprocessor = deserialize_keras_object(preprocessor) if isinstance(preprocessor, dict) else preprocessor
        self.output_mode = output_mode

    def get_config(self):
        return {
            "dtype": self.dtype,
            "preprocessor": serialize_keras_object(self.preprocessor),
            "output_mode": self.output_mode,
        }


class FeatureSpace(Functional):
    """Prepares and encodes the columns of a table.

    Parameters
    ----------
    features : dict of str to str or Feature
        For each column: "float", "float_normalized", "float_rescaled", "float_discretized", "integer_categorical",
        "string_categorical", "integer_hashed" or "string_hashed"; or what the class method of that name returns, which
        takes arguments; or ``FeatureSpace.feature(dtype, preprocessor, output_mode)`` with a layer of one's own choice.
    output_mode : {"concat", "dict"}
        One matrix: features in the order of their names, then crosses; or a dictionary by their names.
    crosses : list of sequences of str, or of `FeatureSpace.cross`, optional
        Features whose combinations are categories of their own: categorical, hashed or discretized ones.
    crossing_dim : int, default 32
        Bins of each cross that does not say it.
    hashing_dim : int, default 32
        Bins of features "integer_hashed" and "string_hashed".
    num_discretization_bins : int, default 32
        Bins of features "float_discretized".
    name : str, optional

    Attributes
    ----------
    features, preprocessors, crossers : dict
        `Feature`, its layer, and `HashedCrossing`, by name.

    Notes
    -----
    In Keras it works on arrays through TensorFlow; here it is a model, whatever stands behind it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.utils import FeatureSpace
    >>> table = {"age": np.array([20.0, 40.0, 60.0]), "town": np.array(["Rom", "Ulm", "Rom"])}
    >>> space = FeatureSpace({"age": "float_normalized", "town": "string_categorical"})
    >>> space.adapt(table)
    >>> space(table).shape
    (3, 4)
    """

    def __init__(
        self,
        features,
        output_mode="concat",
        crosses=None,
        crossing_dim=32,
        hashing_dim=32,
        num_discretization_bins=32,
        name=None,
    ):
        super().__init__(name=name)
        if not features:
            raise ValueError("The `features` argument cannot be None or empty.")
        self.crossing_dim = crossing_dim
        self.hashing_dim = hashing_dim
        self.num_discretization_bins = num_discretization_bins
        self.features = {key: self._as_feature(key, value) for key, value in features.items()}
        self.crosses = [self._as_cross(each) for each in crosses or ()]
        self.output_mode = _one_of("output_mode", output_mode, ("dict", "concat"))
        self.crossers = {each.name: layers.HashedCrossing(each.crossing_dim, name=each.name) for each in self.crosses}
        self._columns = {
            key: layers.Input((1,), dtype=feature.dtype, name=key) for key, feature in self.features.items()
        }
        self._encoded = None
        self._learns = bool(self._adaptable())
        if not self._learns:
            self._build_network()

    # ---- what features there are -------------------------------------------------------------------------------------

    @classmethod
    def cross(cls, feature_names, crossing_dim, output_mode="one_hot"):
        """Several features together; see `Cross`."""
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def feature(cls, dtype, preprocessor, output_mode):
        """A column that goes through a layer of one's own choice; see `Feature`."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name=None):
        """Numbers as they are."""
        return Feature("float32", layers.Identity(name=_name(name, "float")), "float")

    @classmethod
    def float_rescaled(cls, scale=1.0, offset=0.0, name=None):
        """Numbers times `scale` plus `offset`."""
        return Feature("float32", layers.Rescaling(scale, offset, name=_name(name, "float_rescaled")), "float")

    @classmethod
    def float_normalized(cls, name=None):
        """Numbers of mean 0 and variance 1, by `adapt`."""
        return Feature("float32", layers.Normalization(name=_name(name, "float_normalized")), "float")

    @classmethod
    def float_discretized(cls, num_bins, bin_boundaries=None, output_mode="one_hot", name=None):
        """The bin of a number: between the given boundaries, or of `num_bins` that `adapt` finds."""
        num_bins = num_bins if bin_boundaries is None else None
        layer = layers.Discretization(bin_boundaries, num_bins, name=_name(name, "float_discretized"))
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(cls, max_tokens=None, num_oov_indices=1, output_mode="one_hot", name=None):
        """The index of an integer among those that `adapt` has met."""
        layer = layers.IntegerLookup(max_tokens, num_oov_indices, name=_name(name, "integer_categorical"))
        return Feature("int32", layer, output_mode)

    @classmethod
    def string_categorical(cls, max_tokens=None, num_oov_indices=1, output_mode="one_hot", name=None):
        """The index of a text among those that `adapt` has met."""
        layer = layers.StringLookup(max_tokens, num_oov_indices, name=_name(name, "string_categorical"))
        return Feature("string", layer, output_mode)

    @classmethod
    def string_hashed(cls, num_bins, output_mode="one_hot", name=None):
        """The bin of a text, by a hash."""
        return Feature("string", layers.Hashing(num_bins, name=_name(name, "string_hashed")), output_mode)

    @classmethod
    def integer_hashed(cls, num_bins, output_mode="one_hot", name=None):
        """The bin of an integer, by a hash."""
        return Feature("int32", layers.Hashing(num_bins, name=_name(name, "integer_hashed")), output_mode)

    def _as_feature(self, name, feature):
        if isinstance(feature, Feature):
            return feature
        if isinstance(feature, dict):
            return Feature(**feature.get("config", feature))
        of_bins = {
            "float_discretized": self.num_discretization_bins,
            "integer_hashed": self.hashing_dim,
            "string_hashed": self.hashing_dim,
        }
        kinds = ("float", "float_normalized", "float_rescaled", "integer_categorical", "string_categorical", *of_bins)
        if feature not in kinds:
            hint = did_you_mean(feature, kinds) if isinstance(feature, str) else ""
            raise ValueError(f"Invalid feature type: {feature!r} of feature {name!r}.{hint} Known: {', '.join(kinds)}.")
        arguments = [of_bins[feature]] if feature in of_bins else []
        return getattr(type(self), feature)(*arguments, name=name)

    def _as_cross(self, cross):
        if isinstance(cross, dict):
            cross = Cross(**cross.get("config", cross))
        elif not isinstance(cross, Cross):
            cross = Cross(cross, self.crossing_dim)
        unknown = [each for each in cross.feature_names if each not in self.features]
        if unknown:
            hint = did_you_mean(unknown[0], self.features)
            raise ValueError(
                f"All features referenced in the `crosses` argument should be present in the `features` dict.{hint} "
                f"Received unknown features: {unknown}"
            )
        return cross

    @property
    def preprocessors(self):
        return {name: feature.preprocessor for name, feature in self.features.items()}

    # ---- learning from data ------------------------------------------------------------------------------------------

    def _adaptable(self):
        """Names of features whose layers need data, and have had none."""
        return [name for name, layer in self.preprocessors.items() if _lacks_data(layer)]

    def adapt(self, dataset):
        """Let the layers that learn from data see each its column.

        Parameters
        ----------
        dataset : dict of array_like, data frame, or iterable of dicts
            A table, or its rows or batches of rows.
        """
        if not self._learns:
            return
        if self._encoded is not None:
            raise ValueError(
                f"FeatureSpace {self.name!r} has been adapted: the width of what it returns is known, and networks may "
                "depend on it. Make a new one for other data."
            )
        table = self._table(dataset)
        for name in self._adaptable():
            self.preprocessors[name].adapt(table[name].reshape(-1, 1))
        self._build_network()

    def _table(self, dataset):
        if not hasattr(dataset, "keys"):
            parts = list(dataset) if hasattr(dataset, "__iter__") and not isinstance(dataset, (str, np.ndarray)) else []
            if not parts or not all(isinstance(each, dict) for each in parts):
                raise ValueError(
                    "`adapt()` can only be called on a dict of arrays/lists, a data frame, or an iterable of dicts. "
                    f"Received instead: {dataset!r:.200} (of type {type(dataset)})"
                )
            dataset = {
                name: np.concatenate([_text(np.asarray(each[name]).reshape(-1)) for each in parts])
                for name in self.features
                if all(name in each for each in parts)
            }
        missing = [name for name in self.features if name not in dataset]
        if missing:
            raise ValueError(
                f"FeatureSpace {self.name!r} reads the columns {list(self.features)}. Received a table without "
                f"{missing}: {list(dataset.keys())}"
            )
        return {name: _text(np.asarray(dataset[name])) for name in self.features}

    # ---- the model ---------------------------------------------------------------------------------------------------

    def _build_network(self):
        prepared = {name: self.preprocessors[name](self._columns[name]) for name in self.features}
        found, whole = {}, set()
        for name in sorted(self.features):
            feature = self.features[name]
            found[name], is_whole = self._encode(name, prepared[name], feature.output_mode, feature.preprocessor)
            whole |= {name} if is_whole else set()
        for cross in sorted(self.crosses, key=lambda each: each.name):
            bins = self.crossers[cross.name]([prepared[each] for each in cross.feature_names])
            found[cross.name], is_whole = self._encode(cross.name, bins, cross.output_mode, self.crossers[cross.name])
            whole |= {cross.name} if is_whole else set()
        self._whole_numbers = whole
        if self.output_mode == "concat":
            if whole:
                raise ValueError(
                    f"Cannot concatenate features because feature {min(whole)!r} has not been encoded. Consider using "
                    "`output_mode='dict'`."
                )
            found = layers.Concatenate()(list(found.values())) if len(found) > 1 else next(iter(found.values()))
        self._encoded = found
        self._network = between(self._columns, found)
        self._sublayers = list(self._network.layers)
        self.built = True

    def _encode(self, name, tensor, output_mode, layer):
        """What becomes of a prepared feature, and is it a whole number?"""
        size = categories_of(layer)
        if output_mode != "one_hot":
            return tensor, size is not None
        if size is None:
            raise ValueError(
                f"Feature {name!r} has `output_mode='one_hot'`. However it isn't a standard feature and the "
                "dimensionality of its output space is not known, thus it cannot be one-hot encoded. Try using "
                "`output_mode='int'`."
            )
        return layers.CategoryEncoding(size, output_mode="multi_hot", name=f"{name}_encoding")(tensor), False

    def get_inputs(self):
        """The model's inputs, a dictionary of symbolic tensors."""
        self._require_adapted()
        return dict(self._columns)

    def get_encoded_features(self):
        """The model's output: a symbolic tensor, or a dictionary of some."""
        self._require_adapted()
        return self._encoded

    def _require_adapted(self):
        if self._encoded is None:
            raise ValueError(
                f"You need to call `.adapt(dataset)` on FeatureSpace {self.name!r} before you can start using it: the "
                f"features {self._adaptable()} learn from data."
            )

    def __call__(self, data, training=None):
        """Encode a table: a dictionary of columns (or of single values: a row), a data frame, or symbolic tensors.

        Returns
        -------
        ndarray, or dict of ndarray, or symbolic tensors
        """
        self._require_adapted()
        if not hasattr(data, "keys"):
            raise ValueError(
                f"A FeatureSpace can only be called with a dict. Received: data={data!r:.200} (of type {type(data)})"
            )
        if any(is_symbolic(data[each]) for each in data.keys()):  # noqa: SIM118  (a data frame iterates otherwise)
            return super().__call__({name: data[name] for name in self.features}, training=training)
        table = self._table(data)
        is_row = all(each.ndim == 0 for each in table.values())
        found = super().__call__({name: each.reshape(-1, 1) for name, each in table.items()}, training=training)
        found = _tree.map_structure(lambda each: each[0], found) if is_row else found
        if isinstance(found, dict):  # what are indices, are integers, as the layers return them
            found = {
                key: each.astype(np.int64).view(Array) if key in self._whole_numbers else each
                for key, each in found.items()
            }
        return found

    # ---- files -------------------------------------------------------------------------------------------------------

    def get_config(self):
        """The features with what their layers have learnt of categories."""
        return {
            "features": {name: feature.get_config() for name, feature in self.features.items()},
            "output_mode": self.output_mode,
            "crosses": [each.get_config() for each in self.crosses],
            "crossing_dim": self.crossing_dim,
            "hashing_dim": self.hashing_dim,
            "num_discretization_bins": self.num_discretization_bins,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Make one from what `get_config` returned."""
        return cls(**config)

    def get_build_config(self):
        return None if self._encoded is None else {"adapted": True}

    def build_from_config(self, config):
        """Build the model of one that had been adapted; the numbers that were learnt come with the weights."""
        if self._encoded is None and config.get("adapted"):
            self._build_network()


def _lacks_data(layer):
    """Is it a layer that learns from data, and has not?"""
    if isinstance(layer, layers.Normalization):
        return layer.input_mean is None and not (layer.built and float(layer.count))  # built, but not adapted, in files
    if isinstance(layer, layers.Discretization):
        return layer.bin_boundaries is None
    if isinstance(layer, (layers.IntegerLookup, layers.StringLookup)):
        return not layer.get_vocabulary(include_special_tokens=False)
    return hasattr(layer, "adapt") and not layer.built


def _name(name, kind):
    return f"{name or unique_name(kind)}_preprocessor"


def _text(array):
    """An array of Python strings as one of text."""
    return array.astype(str) if array.dtype == object and array.size and isinstance(array.flat[0], str) else array


def _one_of(name, value, known):
    if value not in known:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected one of {list(known)}. Received: {name}={value!r}"
        )
    return value
