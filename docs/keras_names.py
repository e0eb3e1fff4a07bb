"""Compares the public names of Keras 3 with fastnn's and writes the table of docs/keras.md.

    python docs/keras_names.py --out docs

Both libraries are looked at, not remembered: a name counts as working if fastnn has it under the same path and takes
every argument that Keras takes; a base class if it also has Keras's public methods and properties. What is out of the
domain (convolutions, sequences, images, other devices) is left out by the patterns below, each with its reason. What
works but not in the same way is listed in `DIFFERS`. That the numbers are Keras's, too, is what tests/ are for.
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

# Reason -> patterns of paths that do not concern dense networks on one CPU.
ELSEWHERE = {
    "convolutions, pooling, upsampling": """
        layers.*Conv* layers.*Pool* layers.Cropping* layers.ZeroPadding* layers.UpSampling*
        layers.SpatialDropout* ops.conv ops.conv_transpose ops.*_conv ops.*pool* ops.fold ops.unfold
        ops.depth_to_space ops.space_to_depth ops.rearrange *image_data_format
    """.split(),
    "sequences, attention, masks": """
        layers.*RNN* layers.*LSTM* layers.*GRU* layers.*Attention* layers.Bidirectional layers.TimeDistributed
        layers.Masking layers.ReversibleEmbedding *attention* *ctc* *CTC* utils.pad_sequences utils.timeseries*
        ops.associative_scan ops.extract_sequences *mask*
    """.split(),
    "images, sound and text": """
        layers.Random[BCEGHIPS]*[!t] layers.RandomColor* layers.RandomPerspective layers.RandAugment layers.Aug*
        layers.Auto* layers.CutMix layers.*quali* layers.Resizing layers.CenterCrop layers.Solarization
        layers.MaxNumBoundingBoxes layers.*Spectrogram layers.TextVectorization layers.RandomErasing
        layers.RandomCrop utils.*img* utils.*image* utils.audio* utils.text* ops.psnr ops.polar *spectral*
        layers.SpectralNormalization initializers.*STFT* initializers.stft ops.image layers.Pipeline
        layers.EinsumDense layers.HashedCrossing datasets.imdb* datasets.reuters* datasets.cifar*
    """.split(),
    "other frameworks, devices, precisions, compilers": """
        layers.Jax* layers.Flax* layers.Torch* layers.TFSM* *DTypePolicy* *dtype_policy* *uantize* *LossScale*
        *RematScope* *StatelessScope* *SymbolicScope* device remat config.*flash* config.*nnx*
        config.set_backend *.stateless_* *_lora* callbacks.OrbaxCheckpoint optimizers.MultiOptimizer
        optimizers.OptimizerMap optimizers.ScheduleFree* *.jit_compile *.rematerialize* *.symbolic_call
        *.compute_dtype *.variable_dtype *.input_dtype *.autocast *.overwrite_with_gradient *.make_*_function
        *.*_function *traceback_filtering* config.*max_* layers.Layer.path Function layers.GroupQueryAttention
        Operation *.quantization_mode *supports_jit* *.build_from_config *tree* *.get_build_config
        *.distribute_* *.export
    """.split(),
    "arrays without networks: NumPy has them": """
        ops.*fft* ops.*stft ops.bartlett ops.blackman ops.hamming ops.hanning ops.kaiser ops.bitwise_*
        ops.left_shift ops.right_shift ops.gcd ops.lcm ops.angle ops.conj* ops.imag ops.real ops.isreal
        ops.*complex* ops.view* ops.cholesky* ops.det ops.eig* ops.inv ops.jvp ops.lstsq ops.lu_factor
        ops.matrix_rank ops.pinv ops.qr ops.slogdet ops.logdet ops.solve* ops.svd ops.linalg ops.segment_*
        ops.scatter* ops.slice_update ops.unique ops.nonzero ops.nan*[!m] ops.nancumsum ops.nanmedian ops.nansum
        ops.nanmean ops.nan[mpqsv]* ops.percentile ops.quantile ops.median ops.histogram ops.bincount
        ops.searchsorted ops.digitize ops.sort ops.argsort ops.argpartition ops.corrcoef ops.correlate
        ops.geomspace ops.logspace ops.vander ops.kron ops.cross ops.trapezoid ops.unravel_index ops.isin
        ops.nextafter ops.ldexp ops.i0 ops.heaviside ops.meshgrid ops.diag* ops.tri* ops.trace ops.rot90
        ops.array_split ops.[hvd]split ops.[hvd]stack ops.cdist ops.erfinv ops.select ops.unstack
    """.split(),
    "control flow and transformations of programs": """
        ops.cond ops.fori_loop ops.map ops.scan ops.switch ops.while_loop ops.vectorize* ops.custom_gradient
        ops.nn ops.numpy
    """.split(),
}  # fmt: skip

DIFFERS = {}


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
        found += [_joined(module, name) for name in _public(_lookup(keras, module)) if _is_name(keras, module, name)]
        if module == "datasets":
            found += [f"datasets.{name}.load_data" for name in _public(keras.datasets)]
    for owner in MEMBERS_OF:
        found += [f"{owner}.{name}" for name in _public(_lookup(keras, owner))]
    return sorted(dict.fromkeys(found))


def elsewhere(path):
    """Why a path does not concern dense networks; None if it does."""
    for reason, patterns in ELSEWHERE.items():
        if any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns):
            return reason
    return None


def compare(path, keras, fastnn):
    """The `Entry` of one path."""
    theirs = _lookup(keras, path)
    try:
        ours = _lookup(fastnn, path)
    except AttributeError:
        return Entry(path, "not here", DIFFERS.get(path, ""))
    if path in DIFFERS:
        return Entry(path, "differs", DIFFERS[path])
    missing = _missing_arguments(theirs, ours)
    if missing:
        return Entry(path, "differs", f"does not take {', '.join(f'`{each}`' for each in missing)}")
    return Entry(path, "works")


def page(entries, left_out, versions):
    """The Markdown page."""
    counts = {status: sum(each.status == status for each in entries) for status in ("works", "differs", "not here")}
    lines = [
        "# Keras's names\n",
        f"Made by `python docs/keras_names.py --out docs` from Keras {versions[0]} and fastnn {versions[1]}; not "
        "edited by hand.\n",
        f"Of the {len(entries)} public names of Keras 3 that concern dense networks, **{counts['works']} "
        f"({counts['works'] / len(entries):.1%}) work**: fastnn has the name and takes every argument. "
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
    return not inspect.ismodule(getattr(_lookup(keras, module), name))


def _joined(module, name):
    return f"{module}.{name}" if module else name


def _lookup(library, path):
    found = library
    for name in filter(None, path.split(".")):
        found = getattr(found, name)
    return found


def _missing_arguments(theirs, ours):
    """Names of the arguments that Keras's takes and ours does not."""
    try:
        wanted, known = _parameters(theirs), _parameters(ours)
    except (TypeError, ValueError):
        return []
    if any(each.kind is each.VAR_KEYWORD for each in known.values()):
        return []
    named = (each for each in wanted.values() if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL))
    return [each.name for each in named if each.name not in known and each.name != "self"]


def _parameters(value):
    if not callable(value):
        return {}
    return inspect.signature(value.__init__ if inspect.isclass(value) else value).parameters


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
