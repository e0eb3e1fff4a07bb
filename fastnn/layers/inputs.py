"""The inputs of models."""

from fastnn.backend import standardize_dtype
from fastnn.graph import Call, Tensor
from fastnn.layers.base import Layer
from fastnn.layers.core import check_axes, refuse_unsupported
from fastnn.saving.saveable import dtype_name
from fastnn.training.arguments import integer, optional_count


class InputLayer(Layer):
    """The input of a model.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample, without the batch axis.
    batch_size : int, optional
        Kept in `batch_shape`; batches of any size fit, and symbolic shapes begin with None, whatever it is.
    dtype : str or type, default "float32"
        What comes in: "int32" or "string", for example. Numbers are converted to float32, batch by batch; text is
        only read where it is said to be text.
    sparse, ragged : None
        Not here: make arrays of such data.
    batch_shape : tuple, optional
        Instead of `shape` and `batch_size`: ``(batch_size, *shape)``.
    input_tensor : Tensor, optional
        An input that is there already, which becomes that of this layer. Other arguments must fit it.
    optional : False
        Every input needs data here.
    name : str, optional
    input_shape, batch_input_shape : tuple, optional
        Older names of `shape` and `batch_shape`.

    Attributes
    ----------
    batch_shape : tuple
        The size of a batch, or None, and the shape of one sample.
    dtype : str

    Raises
    ------
    ValueError
        For arguments that do not fit together, and for a shape that is no sample's.
    """

    def __init__(
        self,
        shape=None,
        batch_size=None,
        dtype=None,
        sparse=None,
        ragged=None,
        batch_shape=None,
        input_tensor=None,
        optional=False,
        name=None,
        **kwargs,
    ):
        shape, batch_shape = kwargs.pop("input_shape", shape), kwargs.pop("batch_input_shape", batch_shape)
        super().__init__(name=name, **kwargs)
        refuse_unsupported(self, sparse=sparse or None, ragged=ragged or None)
        if optional:
            raise ValueError(
                f"Input {self.name!r}: `optional=True` lets data be None, and fastnn compiles one network, which reads "
                "all of its inputs. Make one model with this input and one without it, of the same layers, which share "
                "their weights; or give zeros where there is nothing."
            )
        if batch_shape is not None:
            if shape is not None or batch_size is not None:
                raise ValueError(
                    "You cannot pass both `batch_shape` and `shape` or `batch_size`. "
                    f"Received: batch_shape={batch_shape!r}, shape={shape!r}, batch_size={batch_size!r}"
                )
            batch_size, *shape = _checked_batch_shape(batch_shape)
        batch_size = optional_count(batch_size, "batch_size")
        dtype = None if dtype is None else _type_of_data(dtype_name(dtype))
        if input_tensor is not None:
            shape, dtype = _sizes_and_type(input_tensor, shape, dtype)
        if not isinstance(shape, (tuple, list)):
            raise ValueError(f"`shape` must be a tuple such as (784,). Received: shape={shape!r}")
        sizes = tuple(integer(size) for size in shape)
        if any(size is None or size < 1 for size in sizes):
            raise ValueError(f"Every axis of a sample must have a known, positive size. Received: shape={shape}")
        check_axes(shape, "Input")
        if not shape:
            raise ValueError("A sample needs at least one axis: use shape=(1,) for single numbers. Received: shape=()")
        self.shape = sizes
        self.batch_shape = (batch_size, *sizes)
        self.dtype = dtype or "float32"
        tensor = Tensor((None, *sizes), self.dtype, name=self.name) if input_tensor is None else input_tensor
        self._calls.append(Call(self, (), {}, tensor, 0))
        self.built = True

    @property
    def reads_text(self):
        """Is it text that comes in? For layers that read numbers as well."""
        return self.dtype == "string"

    def call(self, inputs):
        return inputs

    def get_config(self):
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": False,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        batch_shape = config.pop("batch_shape", None) or config.pop("batch_input_shape")
        return cls(batch_shape=batch_shape, **config)


def Input(
    shape=None,
    batch_size=None,
    dtype=None,
    sparse=None,
    ragged=None,
    batch_shape=None,
    name=None,
    tensor=None,
    optional=False,
):
    """A symbolic tensor to build a model from; see `InputLayer`. `tensor` is its `input_tensor`."""
    return InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name).output


def input_like(tensor, name=None):
    """A new input for what another one reads: samples of the same shape, numbers or text."""
    return Input(tensor.shape[1:], dtype=tensor.dtype, name=name)


def _checked_batch_shape(batch_shape):
    if not isinstance(batch_shape, (tuple, list)) or not batch_shape:
        raise ValueError(f"`batch_shape` must be a tuple such as (None, 784). Received: batch_shape={batch_shape!r}")
    return batch_shape


def _type_of_data(dtype):
    """The name of a type that data may have."""
    return "string" if dtype in ("string", str) else standardize_dtype(dtype)


def _sizes_and_type(tensor, shape, dtype):
    """The shape of a sample and the type of an input that is there already."""
    if not isinstance(tensor, Tensor):
        raise ValueError(f"`input_tensor` must be a symbolic tensor, as Input() returns. Received: {tensor!r:.100}")
    if tensor.node is not None:
        raise ValueError(
            f"`input_tensor` is an input that is there already, and {tensor!r} is computed by a layer. Model(inputs, "
            "outputs) takes such a tensor among its inputs as it is."
        )
    if shape is not None and tuple(shape) != tensor.shape[1:]:
        raise ValueError(f"`shape` must be that of the `input_tensor`, {tensor.shape[1:]}. Received: shape={shape!r}")
    if dtype not in (None, tensor.dtype):
        raise ValueError(f"`dtype` must be that of the `input_tensor`, {tensor.dtype!r}. Received: dtype={dtype!r}")
    return tensor.shape[1:], tensor.dtype
