"""Networks to and from other libraries. Each of these is imported when it is used.

``onnx_writer``     graphs as ONNX models; what an operation is there, it says itself (`Operation.to_onnx`)
``onnx_reader``     ONNX models as functional models: of known layers (``onnx_layers``), and of one that applies any
                    other operator (``onnx_operators``)
``keras_models``    models of real Keras, from memory or from a file
``torch_modules``   modules of PyTorch: of ``torch_layers``, with ``torch_functions`` between them
"""

import importlib

# Public names, and where they are.
_ROOMS = {
    "OnnxOperator": "onnx_operators",
    "from_keras": "keras_models",
    "from_onnx": "onnx_reader",
    "from_torch": "torch_modules",
}


def __getattr__(name):
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)


__all__ = sorted(_ROOMS)


def __dir__():
    return sorted({*globals(), *__all__})
