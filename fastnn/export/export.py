"""Writes the files of an exported network."""

import itertools
import math
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastnn.export import operations
from fastnn.export.writer import Writer, identifier
from fastnn.freeze.balance import balance
from fastnn.graph import Graph
from fastnn.lowering.layout import body
from fastnn.saving.files import replacing

_LIBRARY = [Path(__file__).with_name(each) for each in ("functions.h", "vectors.h", "layers.h")]
_PRECISIONS = ("float32", "float16", "int8")
_BYTES = {"float": 4, "uint16_t": 2, "int8_t": 1}
_A_LINE = {"float": 8, "uint16_t": 16, "int8_t": 20}
_RESERVED = set(
    "auto bool break case catch char class const continue default delete do double else enum export extern false float "
    "for friend goto if inline int long namespace new operator private protected public register restrict return short "
    "signed sizeof static struct switch template this throw true try typedef typename union unsigned using virtual "
    "void volatile while".split()
)

_ROUNDING = """\
/* The compiler must not fuse or reorder by itself: then bits do not depend on it. (And -ffast-math is not for this.) */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif
"""
_FMA = """\
/* Are multiply-adds fused? Only where the processor does that: elsewhere it would be a slow function. Each way has its
 * own bits. */
#ifndef NET_FMA
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define NET_FMA 1
#else
#define NET_FMA 0
#endif
#endif
#if NET_FMA && !defined(__GNUC__)
#include <math.h>
#endif
"""
_LANES = """\
/* Dense layers in vectors of so many floats, where the processor has them and speed is wanted; 0: plain C. */
#ifndef NET_LANES
#if !NET_FMA || !defined(__GNUC__) || !defined(__OPTIMIZE__) || defined(__OPTIMIZE_SIZE__) || !__STDC_HOSTED__
#define NET_LANES 0
{wide}#elif defined(__AVX2__) && defined(__FMA__)
#define NET_LANES 8
#elif defined(__aarch64__)
#define NET_LANES 4
#else
#define NET_LANES 0
#endif
#endif
#if NET_LANES
#define NET_INLINE inline __attribute__((always_inline))
#define NET_ALIGNED __attribute__((aligned(64)))
#ifndef __clang__
#pragma GCC optimize("no-thread-jumps") /* it would make a dozen instructions of a value's two bounds */
#endif
#else
#define NET_INLINE
#define NET_ALIGNED
#endif
"""
_WIDE = """\
#elif defined(__AVX512F__) && defined(__FMA__)
#define NET_LANES 16
"""
_STORAGE = """\
/* Where values are kept between the layers. `static`: one call at a time. Defined as nothing: on the stack, and any
 * number of threads may call. */
#ifndef NET_STORAGE
#define NET_STORAGE static
#endif
"""


class ExportedC(NamedTuple):
    """What `export_c` has written.

    Attributes
    ----------
    name : str
        What all the names of the C interface begin with.
    files : tuple of Path
        The source, the header, and the test if there is one.
    rom_bytes, ram_bytes : int
        Of weights and tables, and of the memory between the layers; code and stack are not counted.
    """

    name: str
    files: tuple
    rom_bytes: int
    ram_bytes: int


def export_c(predictor, path, precision=None, name=None, *, self_test=None, tolerance=None):
    """Write a frozen network as one self-contained C99 file and its header.

    The source has the weights, no heap, no double, and calls nothing: exp, tanh and all else it needs are in it. It is
    plain C; where gcc or clang compile for speed, and for AVX2, AVX-512 or NEON, dense layers are in vectors. Its
    one function computes one sample: ``void net_predict(const float *x, float *y)``, with arrays of
    ``NET_INPUT_SIZE`` and ``NET_OUTPUT_SIZE`` floats in C order that do not overlap; with several inputs or outputs,
    ``const float *x0, const float *x1, ..., float *y0, ...`` in the model's order. C++ can include the header.

    Parameters
    ----------
    predictor : Predictor, StructuredPredictor or Graph
        What `Model.freeze` returns, or a folded graph.
    path : path-like
        Of the source, ``<somewhere>/net.c``; the header becomes ``net.h`` beside it. Files that exist are replaced.
    precision : {"float32", "float16", "int8"}, optional
        Of the weights of dense layers. By default as the network has been frozen. float16 halves their size. int8
        quarters it: each layer's inputs become integers of 16 bits, by the largest of the row or by the calibrated
        range, and its sums are exact integers of 32 bits (see `fastnn.freeze.quantize`). If the network has been
        frozen in float32, its inputs are made alike first (see `fastnn.freeze.balance`).
    name : str, optional
        Begins every name in the files instead of ``net``. By default the file's, without its suffix.
    self_test : array_like, shape (samples, ...), optional
        Writes a third file, ``net_test.c``: a program whose exit status is 0 if the network answers on these samples
        as `predictor` does here, and 1 if not.
    tolerance : float, optional
        Of the self-test: ``|y - expected| <= tolerance * (1 + |expected|)``. By default 1e-5, and 1e-3 with int8
        layers: one last bit of a value before such a layer (see the notes) may make another integer of it.

    Returns
    -------
    ExportedC
        The files and what they need of read-only memory and RAM.

    Raises
    ------
    ValueError
        For a layer that has no C, by name; a precision, name or sample that does not fit.

    Notes
    -----
    Bits. Dense layers sum in ascending order from the bias, and all functions are those of the engine, operation by
    operation. Where multiply-adds are fused (``NET_FMA``, by default where the processor has them) the answers have the
    bits of the predictor on AVX2, AVX-512 and NEON; where not, those of the predictor's baseline. Four things are
    excepted. What sums over a row elsewhere than in a dense layer (softmax, layer normalisation, sums, products of two
    tensors) adds in another order than vectors do: two such sums of n values differ by at most n 2^-23 of the sum of
    magnitudes, and the answers of a softmax, relatively, by at most (n + 4) 2^-23. So does a float32 dense layer of one
    output in vectors, unless compiled with ``-DNET_LANES=0``, which makes all layers plain C. Numbers below 2^-126 are
    kept, where the engine takes them for 0. And sin and cos of more than 8192 are not numbers. int8 layers have the
    same bits everywhere if they read the same; a value that differs in its last bit may be rounded to another integer.

    It takes ``int`` of 32 bits, and IEEE floats without excess precision (not the x87). The errors in ulp of exp and
    the others are stated beside them in the source: at most 3, but for the lower tail of gelu.
    """
    graph = predictor if isinstance(predictor, Graph) else predictor.graph
    graph = graph.in_mode(False)
    if precision not in (None, *_PRECISIONS):
        raise ValueError(f"`precision` must be one of {', '.join(_PRECISIONS)}, or None. Received: {precision!r}")
    path = Path(path)
    if path.suffix != ".c":
        raise ValueError(f"`path` names the C source and must end with .c. Received: {str(path)!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(path.parent)!r} to export to.")
    name = _checked_name(path.stem if name is None else name, given=name is not None)
    if precision == "int8":
        graph = balance(graph)
    writer = Writer(graph, precision)
    lines = writer.run(operations.EMITTERS, operations.group)
    rom = sum(_BYTES[each.type] * each.values.size for each in writer.constants)
    ram = 4 * writer.floats + 2 * writer.integers
    texts = {path: _source(writer, lines, path, rom, ram), path.with_suffix(".h"): _header(writer, path, rom, ram)}
    if self_test is not None:
        texts[path.with_name(f"{path.stem}_test.c")] = _test(writer, predictor, precision, path, self_test, tolerance)
    for each, text in texts.items():
        with replacing(each) as file:
            file.write(_renamed(text, name).encode("ascii"))
    return ExportedC(name, tuple(texts), rom, ram)


def _checked_name(text, given):
    name = identifier(text)
    if given and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", text):
        raise ValueError(
            f"`name` must be an identifier of C: letters, digits and _, a letter first. Received: {text!r}"
        )
    if given and text in _RESERVED:
        raise ValueError(f"`name` must not be a word of C or C++ itself. Received: {text!r}")
    if given:
        return text
    return name if name[0].isalpha() else f"net_{name}"


def _renamed(text, name):
    """What is called `net_...` and `NET_...` here, called by the network's name; but not the names of files."""
    upper = name.upper()
    return re.sub(r"\b(net|NET)(?=_(?!\w*\.[ch]\b))", lambda found: name if found[0] == "net" else upper, text)


# ---- the files -------------------------------------------------------------------------------------------------------


def _header(writer, path, rom, ram):
    macros = []
    for kind, tensors in (("INPUT", writer.graph.inputs), ("OUTPUT", writer.graph.outputs)):
        for number, tensor in enumerate(tensors):
            which = f"{kind}{number}" if len(tensors) > 1 else kind
            shape = body(tensor.shape)
            macros.append(f"#define NET_{which}_SIZE {math.prod(shape)} /* shape {shape} */")
    guard = f"FASTNN_{identifier(path.stem).upper()}_H"
    return "\n".join(
        [
            *_head(path.with_suffix(".h")),
            f"#ifndef {guard}",
            f"#define {guard}",
            "",
            *macros,
            f"#define NET_ROM_BYTES {rom} /* of weights and tables */",
            f"#define NET_RAM_BYTES {ram} /* between the layers */",
            "",
            "#ifdef __cplusplus",
            'extern "C" {',
            "#endif",
            "",
            "/* The answer for one sample. The arrays are in C order and do not overlap. */",
            f"{_prototype(writer)};",
            "",
            "#ifdef __cplusplus",
            "}",
            "#endif",
            "",
            "#endif",
            "",
        ]
    )


def _source(writer, lines, path, rom, ram):
    code = "\n".join(lines)
    library = _library(code)
    vectors = "NET_LANES" in library
    aligned = "NET_ALIGNED " if vectors else ""
    constants = "\n\n".join(_table(each, aligned) for each in writer.constants)
    memory = [f"    NET_STORAGE {aligned}float memory[{writer.floats}];"] if writer.floats else []
    memory += [f"    NET_STORAGE int16_t integers[{writer.integers}];"] if writer.integers else []
    parts = _head(path, f"ROM: {rom} bytes of weights and tables. RAM: {ram} bytes between the layers. "
                  "Besides: the code, and its stack.")  # fmt: skip
    text = "\n".join([*parts, f'#include "{path.stem}.h"', "", "#include <stdint.h>", "", _ROUNDING.rstrip()])
    if "NET_FMA" in library:
        text += f"\n\n{_FMA.rstrip()}"
    if vectors:
        text += "\n\n" + _LANES.format(wide=_WIDE if operations.nothing_but_vectors(writer.graph) else "").rstrip()
    if re.search(r"\b(INFINITY|NAN)\b", code + constants):
        text += "\n#include <math.h>"
    text += "\n\n" + "\n\n".join(each for each in (constants, library) if each)
    if memory:
        text += "\n\n" + _STORAGE
    return "\n".join([text.rstrip("\n"), "", f"{_prototype(writer)} {{", *memory, *_wrapped(lines), "}", ""])


def _test(writer, predictor, precision, path, x, tolerance):
    graph = writer.graph
    if len(graph.inputs) > 1 or len(graph.outputs) > 1 or isinstance(predictor, Graph):
        raise ValueError("`self_test` is for predictors of one input and one output.")
    frozen_at = {node.attributes.get("precision", "float32") for node in graph.nodes if "dense" in node.operation.name}
    if precision is not None and frozen_at - {precision}:
        raise ValueError(
            f"`self_test` compares with the predictor, whose precision is {', '.join(sorted(frozen_at))}: freeze the "
            f"model with precision={precision!r} instead of exporting with it."
        )
    if tolerance is None:
        tolerance = 1e-3 if precision == "int8" or "int8" in frozen_at else 1e-5
    x = np.asarray(x, np.float32)
    expected = predictor(x)
    if expected.ndim < graph.outputs[0].ndim:  # of a lone sample
        x, expected = x[None], expected[None]
    arrays = []
    for kind, values in (("x", x), ("expected", expected)):
        rows = values.reshape(len(x), -1)
        body_ = ",\n".join("    {\n" + _numbers("float", row, "        ") + "\n    }" for row in rows)
        arrays.append(f"static const float {kind}[{len(x)}][{rows.shape[1]}] = {{\n{body_}\n}};")
    return "\n".join(
        [
            *_head(path.with_name(f"{path.stem}_test.c"), "Returns 0 if the network answers as it did when exported."),
            f'#include "{path.stem}.h"',
            "",
            *(["#include <math.h>", ""] if not (np.isfinite(x).all() and np.isfinite(expected).all()) else []),
            *arrays,
            "",
            "int main(void) {",
            "    static float y[NET_OUTPUT_SIZE];",
            f"    for (int i = 0; i < {len(x)}; i++) {{",
            "        net_predict(x[i], y);",
            "        for (int j = 0; j < NET_OUTPUT_SIZE; j++) {",
            "            const float wanted = expected[i][j], difference = y[j] - wanted;",
            "            const float magnitude = wanted < 0.0f ? -wanted : wanted;",
            f"            const float allowed = {operations.literal(tolerance)} * (1.0f + magnitude);",
            "            if (!(difference <= allowed && -difference <= allowed)) return 1;",
            "        }",
            "    }",
            "    return 0;",
            "}",
            "",
        ]
    )


def _head(path, more=""):
    from fastnn import __version__

    first = f"/* {path.name}, written by fastnn {__version__}."
    return [first + (f"\n * {more}" if more else "") + " */", ""]


def _wrapped(lines):
    """The body's lines, indented and no longer than 120 columns."""
    for line in lines:
        text = line.lstrip()
        indent = " " * (4 + len(line) - len(text))
        yield from textwrap.wrap(text, 120, initial_indent=indent, subsequent_indent=indent + "    ")


def _prototype(writer):
    arguments = [f"const float *{each}" for each in writer.inputs] + [f"float *{each}" for each in writer.outputs]
    return f"void net_predict({', '.join(arguments)})"


def _table(constant, aligned):
    type_ = constant.type
    return (
        f"/* {constant.comment} */\nstatic const {aligned}{type_} {constant.name}[{constant.values.size}] = {{\n"
        f"{_numbers(type_, constant.values, '    ')}\n}};"
    )


def _numbers(type_, values, indent):
    if type_ != "float":
        texts = map(str, values.tolist())
    elif np.isfinite(values).all():
        texts = (f"{each}f" for each in map(str, values))
    else:
        texts = map(operations.literal, values)
    lines = iter(lambda: list(itertools.islice(texts, _A_LINE[type_])), [])
    return "\n".join(f"{indent}{', '.join(line)}," for line in lines)[:-1]


def _library(code):
    """The functions of the library that some code calls, and those that they call, in the library's order."""
    functions = {}
    for path in _LIBRARY:
        text = path.read_text()
        functions.update(_functions(text) if path.name != "vectors.h" else {"net_dense_row": text.rstrip()})
    needed, new = set(), _called(code, functions)
    while new:
        needed |= new
        new = set().union(*(_called(functions[each], functions) for each in new)) - needed
    return "\n\n".join(text for name, text in functions.items() if name in needed)


def _functions(text):
    """Those of a file by name, with the comments in front of them."""
    functions, comment, lines = {}, [], iter(text.splitlines())
    for line in lines:
        if line.startswith("static"):
            text = [*comment, line]
            while text[-1] != "}" and not (line.endswith("}") and len(text) == len(comment) + 1):
                text.append(next(lines))
            functions[re.search(r"(net_\w+)\(", line)[1]] = "\n".join(text)
            comment = []
        elif line.startswith(("/*", " *")):
            comment.append(line)
        else:
            comment = []
    return functions


def _called(text, functions):
    return set(re.findall(r"\bnet_\w+(?=\()", text)) & set(functions)
