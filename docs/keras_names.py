"""Compares the public names of Keras 3 with fastnn's and writes the table of docs/keras.md.

    python docs/keras_names.py --out docs

Both libraries are looked at, not remembered: a name counts as working if fastnn has it under the same path and takes
every argument that Keras takes, with the same default; a base class if it also has Keras's public methods and
properties. What is out of the domain (convolutions, sequences, images, devices) is left out by the patterns below, each
with its reason. What works but not in the same way is listed in `DIFFERS`, what is missing in `MISSING`, with
reasons. That the numbers are Keras's, too, is what tests/ are for.
"""

import argparse
import fnmatch
import importlib
import inspect
import os
from dataclasses import dataclass
from pathlib import Path

MODULES = (
    "", "activations", "backend", "callbacks", "config", "constraints", "datasets", "initializers", "layers", "losses",
    "metrics", "models", "ops", "optimizers", "optimizers.schedules", "optimizers.legacy", "random", "regularizers",
    "saving", "utils",
)  # fmt: skip

# Members of these classes are names that a user's subclass or script relies on.
MEMBERS_OF = (
    "Model", "layers.Layer", "optimizers.Optimizer", "losses.Loss", "metrics.Metric", "callbacks.Callback",
    "initializers.Initializer", "regularizers.Regularizer", "constraints.Constraint", "Variable",
    "optimizers.schedules.LearningRateSchedule",
)  # fmt: skip

# Reason -> paths that do not concern dense networks on one CPU. A star stands for any letters; what each pattern leaves
# out is listed at the end of the page.
ELSEWHERE = {
    "convolutions, pooling, upsampling": """
        layers.Conv* layers.DepthwiseConv* layers.SeparableConv* layers.*Pooling[123]D layers.*Pool[123]D
        layers.Cropping* layers.ZeroPadding* layers.UpSampling* layers.SpatialDropout* ops.conv ops.conv_transpose
        ops.depthwise_conv ops.separable_conv ops.average_pool ops.max_pool ops.adaptive_*_pool ops.fold ops.unfold
        ops.depth_to_space ops.space_to_depth layers.SpectralNormalization
    """.split(),
    "sequences, attention, masks": """
        layers.*RNN layers.*RNNCell* layers.StackedRNNCells layers.LSTM* layers.GRU* layers.*Attention
        layers.Bidirectional layers.TimeDistributed layers.Masking layers.ReversibleEmbedding
        config.*flash_attention* ops.dot_product_attention losses.CTC losses.ctc ops.ctc_* utils.pad_sequences
        utils.timeseries_dataset_from_array ops.associative_scan ops.extract_sequences *.compute_mask
        *.supports_masking
    """.split(),
    "images (beyond the augmentations of rows), sound and text": """
        layers.RandomColor* layers.RandomPerspective layers.RandomErasing layers.RandomCrop
        layers.RandomElasticTransform layers.RandomGaussianBlur layers.RandomGrayscale
        layers.RandomHue layers.RandomInvert
        layers.RandomPosterization layers.RandomSaturation layers.RandomSharpness layers.RandomShear layers.RandAugment
        layers.AugMix layers.AutoContrast layers.CutMix layers.Equalization
        layers.ContrastLimitedAdaptiveHistogramEqualization layers.Resizing layers.CenterCrop layers.Solarization
        layers.MaxNumBoundingBoxes layers.*Spectrogram layers.TextVectorization utils.array_to_img utils.img_to_array
        utils.load_img utils.save_img utils.*_dataset_from_directory ops.psnr initializers.STFT*
        initializers.stft datasets.imdb.* datasets.reuters.* datasets.cifar10*
    """.split(),
    "other frameworks, devices and precisions; programs as functions of their state": """
        layers.JaxLayer layers.FlaxLayer layers.TorchModuleWrapper layers.TFSMLayer
        *DTypePolicy *.dtype_policy *.set_dtype_policy *.compute_dtype *.variable_dtype *.input_dtype
        *.quantize *.quantized_* *.quantization_mode *.get_quantization_layer_structure Quantizer
        optimizers.LossScaleOptimizer *.overwrite_with_gradient device remat RematScope *.rematerialized_call
        StatelessScope SymbolicScope *.stateless_* *.symbolic_call *.jax_state_sync *.compute_loss_and_updates
        *.get_state_tree *.set_state_tree *.jit_compile *.make_train_function *.make_test_function
        *.make_predict_function config.is_nnx_enabled config.set_backend
        config.*_traceback_filtering config.is_traceback_filtering_enabled callbacks.OrbaxCheckpoint
        Variable.aggregation Variable.synchronization
    """.split(),
    "Keras's own limits and newest experiments": """
        config.max_epochs config.set_max_epochs config.max_steps_per_epoch config.set_max_steps_per_epoch
        optimizers.MultiOptimizer optimizers.OptimizerMap optimizers.ScheduleFree* layers.Pipeline ops.polar
    """.split(),
    "operations on complex numbers, bits, spectra and matrices (decompositions, solvers)": """
        ops.fft* ops.ifft* ops.rfft ops.irfft ops.stft ops.istft ops.bartlett ops.blackman ops.hamming ops.hanning
        ops.kaiser ops.bitwise_* ops.left_shift ops.right_shift ops.gcd ops.lcm ops.angle ops.conj ops.conjugate
        ops.imag ops.real ops.isreal ops.view* ops.cholesky* ops.det ops.eig ops.eigh ops.inv ops.jvp ops.lstsq
        ops.lu_factor ops.matrix_rank ops.pinv ops.qr ops.slogdet ops.logdet ops.solve* ops.svd
        ops.nextafter ops.ldexp ops.i0
    """.split(),
    "operations on arrays whose result has no fixed shape or no gradient: NumPy's, before or after the network": """
        ops.segment_* ops.scatter* ops.slice_update ops.unique ops.nonzero ops.percentile ops.quantile ops.median
        ops.nanpercentile ops.nanquantile ops.nanmedian ops.nanargmax ops.nanargmin ops.nancumsum ops.nancumprod
        ops.histogram ops.bincount ops.searchsorted ops.digitize ops.sort ops.argsort ops.argpartition ops.corrcoef
        ops.correlate ops.geomspace ops.logspace ops.vander ops.kron ops.cross ops.unravel_index ops.isin
        ops.meshgrid ops.rot90 ops.cdist ops.diag ops.diagflat ops.trapezoid
    """.split(),
    "control flow and transformations of programs": """
        ops.cond ops.fori_loop ops.map ops.scan ops.switch ops.while_loop ops.vectorize ops.vectorized_map
        Function Operation
    """.split(),
    "names that Keras itself only has in order to refuse them": "*.add_metric".split(),
}  # fmt: skip

# What fastnn has all the same, as far as it has a meaning here.
HERE_THOUGH_LEFT_OUT = {"Model.quantize", "layers.Layer.quantize"}  # they say who does it

# Arguments whose subject is one of the above: other types, devices and frameworks; images; sequences.
ARGUMENTS_ELSEWHERE = {
    "lora_rank", "lora_alpha", "quantization_config", "autocast", "aggregation", "synchronization", "layout",
    "overwrite_with_gradient", "sparse", "ragged", "data_format", "mask", "preferred_backend", "bounding_box_format",
}  # fmt: skip

# What is there but not the same, and why.
DIFFERS = {
    "Model.train_step": "takes `(x, y)` and trains on it; can be called, but a subclass that overrides it is refused "
    "by `compile`, as a step is compiled as a whole (Keras's own signature depends on the backend)",
    "Model.test_step": "as `train_step`",
    "Model.predict_step": "as `train_step`",
    "Model.compute_loss": "can be called, but not overridden",
    "Model.compute_metrics": "can be called, but not overridden; gives the compiled metrics without the loss",
    "activations.sparsemax": "as in its paper: rows sum to 1; on JAX those of Keras need not",
    "ops.sparsemax": "as in its paper: rows sum to 1; on JAX those of Keras need not",
    "Model.export": "as ONNX only",
    "Model.run_eagerly": "always False: everything is compiled",
    "metrics.Metric.variables": "a metric that adds up more than a sum and a count has all of it in one variable, and "
    "none before its first data",
    "random.dropout": "on arrays only; inside a network `layers.Dropout` draws the numbers",
    "callbacks.ProgbarLogger": "`fit` draws its own progress, at most ten times a second",
    **dict.fromkeys(
        ("Input", "layers.Input", "layers.InputLayer"),
        "`optional=True` is refused: every input needs data; `batch_size` is kept for `get_config`, but symbolic "
        "shapes begin with None",
    ),
    "layers.Lambda": "the function is traced, so it must be composed of `fastnn.ops` and layers; it is saved by "
    "name, so a lambda is not",
    "layers.Embedding": "without mask: no layer here would read it",
    "layers.MixUp": "stands first in a model, and `fit` mixes the targets, too",
    "Model.metrics_names": "names each metric",
    "config.set_floatx": 'only "float32"',
    "config.set_epsilon": "only 1e-7",
    "backend.set_floatx": 'only "float32"',
    "backend.set_epsilon": "only 1e-7",
    "config.set_image_data_format": 'only "channels_last"',
    "backend.set_image_data_format": 'only "channels_last"',
}

# What is not here, and why.
MISSING = {
    "saving.KerasFileEditor": "files are JSON and safetensors or HDF5, which other tools edit",
}


@dataclass(frozen=True)
class Entry:
    """One public name: where it is, how it stands, and what there is to say."""

    path: str
    status: str  # "works", "differs" or "not here"
    remark: str = ""


def names(keras):
    """Paths of every public name of Keras in `MODULES` and of the members of `MEMBERS_OF`, without modules."""
    found = []
    for module in MODULES:
        found += [_joined(module, name) for name in _public(lookup(keras, module)) if _is_name(keras, module, name)]
        if module == "datasets":
            found += [f"datasets.{name}.load_data" for name in _public(keras.datasets)]
    for owner in MEMBERS_OF:
        found += [f"{owner}.{name}" for name in _public(lookup(keras, owner))]
    return sorted(dict.fromkeys(found))


def elsewhere(path):
    """Why a path does not concern dense networks; None if it does."""
    for reason, patterns in ELSEWHERE.items():
        if any(matches(path, pattern) for pattern in patterns):
            return reason
    return None


def matches(path, pattern):
    """Does a pattern of `ELSEWHERE` mean this path?"""
    return fnmatch.fnmatchcase(path, pattern)


def compare(path, keras, fastnn):
    """The `Entry` of one path."""
    if not exists(fastnn, path):
        return Entry(path, "not here", MISSING.get(path, ""))
    if path in DIFFERS:
        return Entry(path, "differs", DIFFERS[path])
    # What only an object of the class has, but not the class, has no arguments.
    found = differences(lookup(keras, path), lookup(fastnn, path, None))
    return Entry(path, "differs", "; ".join(found)) if found else Entry(path, "works")


def exists(library, path):
    """Does the library have this name, or an object of its class this member?"""
    if lookup(library, path, None) is not None:
        return True
    owner, _, name = path.rpartition(".")
    examples = {"Variable": lambda: library.Variable(0.0), "layers.Layer": library.layers.Layer, "Model": library.Model}
    return hasattr(examples[owner](), name) if owner in examples else hasattr(lookup(library, owner, None), name)


def page(entries, left_out, versions):
    """The Markdown page."""
    counts = {status: sum(each.status == status for each in entries) for status in ("works", "differs", "not here")}
    lines = [
        "# Keras's names\n",
        f"Made by `python docs/keras_names.py --out docs` from Keras {versions[0]} and fastnn {versions[1]}; not "
        "edited by hand.\n",
        "A name works if fastnn has it under the same path and takes every argument that Keras takes, with the same "
        'default; `tests/` compare what comes of it. Everywhere: numbers are float32, so `dtype` may say "float32" and '
        f"nothing else; the arguments {', '.join(f'`{each}`' for each in sorted(ARGUMENTS_ELSEWHERE))} are about other "
        "types, devices or kinds of data and were not asked for.\n",
        f"Of the {len(entries)} public names of Keras 3 that concern dense networks, **{counts['works']} "
        f"({counts['works'] / len(entries):.1%}) work**: they are here and do the same. "
        f"{counts['differs']} differ, {counts['not here']} are not here. A further {len(left_out)} are about something "
        "else; the last section says what.\n",
    ]
    for status, title in (("not here", "Not here"), ("differs", "Differs")):
        chosen = [each for each in entries if each.status == status]
        lines.append(f"## {title}\n")
        lines += [f"- `keras.{each.path}`{': ' + each.remark if each.remark else ''}" for each in chosen] or [
            "Nothing."
        ]
        lines.append("")
    lines.append("## Works\n")
    for module in dict.fromkeys(_section(each.path) for each in entries):
        working = [each.path for each in entries if each.status == "works" and _section(each.path) == module]
        if working:
            lines.append(f"- `keras.{module}`: " + ", ".join(path.removeprefix(f"{module}.") for path in working))
    lines.append("\n## About something else\n")
    for reason in ELSEWHERE:
        lines.append(f"- {reason}: " + ", ".join(path for path in left_out if elsewhere(path) == reason))
    return "\n".join(lines) + "\n"


def survey():
    """(entries, paths left out, versions) of the installed libraries."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras, fastnn = importlib.import_module("keras"), importlib.import_module("fastnn")
    paths = names(keras)
    entries = [compare(path, keras, fastnn) for path in paths if elsewhere(path) is None]
    return entries, [path for path in paths if elsewhere(path)], (keras.__version__, fastnn.__version__)


def _section(path):
    owner = path.rpartition(".")[0]
    return owner or "*"


def _public(owner):
    return [name for name in dir(owner) if not name.startswith("_") and name not in dir(object)]


def _is_name(keras, module, name):
    return not inspect.ismodule(getattr(lookup(keras, module), name))


def _joined(module, name):
    return f"{module}.{name}" if module else name


def lookup(library, path, *default):
    """What is found at a path; if nothing is, the default, if there is one."""
    found = library
    for name in filter(None, path.split(".")):
        found = getattr(found, name, *default)
    return found


def differences(theirs, ours):
    """What differs in the arguments: those that are missing, and those with another default."""
    try:
        wanted, known = _parameters(theirs), _parameters(ours, inherited=True)
    except (TypeError, ValueError):
        return []
    named = [each for each in wanted.values() if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]
    named = [each for each in named if each.name not in ARGUMENTS_ELSEWHERE | {"self"}]
    open_ended = any(each.kind is each.VAR_KEYWORD for each in known.values())
    missing = [f"`{each.name}`" for each in named if each.name not in known and not open_ended]
    defaults = [
        f"`{each.name}` is {known[each.name].default!r} by default"
        if known[each.name].default is not each.empty
        else f"`{each.name}` must be given"
        for each in named
        if each.name in known and each.default is not each.empty and not _same(each.default, known[each.name].default)
    ]
    return ([f"does not take {', '.join(missing)}"] if missing else []) + defaults


def _same(theirs, ours):
    return ours == theirs or repr(ours) == repr(theirs)


def _parameters(value, inherited=False):
    """The arguments of something callable; of a class, if `inherited`, also those that it hands on to its base class as
    ``**kwargs``."""
    if not callable(value):
        return {}
    if not inspect.isclass(value) or not inherited:
        return dict(inspect.signature(value.__init__ if inspect.isclass(value) else value).parameters)
    found = {}
    for each in value.__mro__:
        if "__init__" in vars(each) and each is not object:
            own = inspect.signature(each.__init__).parameters
            # What arrives as ``**unknown`` is refused, by name.
            handed_on = [name for name, one in own.items() if one.kind is one.VAR_KEYWORD and name != "unknown"]
            found = {**{name: one for name, one in own.items() if name not in found}, **found}
            if not handed_on:
                return {name: one for name, one in found.items() if one.kind is not one.VAR_KEYWORD}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for keras.md; without it the page is printed")
    options = parser.parse_args()
    text = page(*survey())
    if options.out:
        (options.out / "keras.md").write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
