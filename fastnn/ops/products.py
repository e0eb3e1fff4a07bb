"""Products, as in `keras.ops`."""

import numpy as np

from fastnn.graph import Tensor
from fastnn.operations import apply
from fastnn.ops.core import array, axis_of, is_batched, result, shape_of, symbolic, tensor
from fastnn.ops.elementwise import multiply
from fastnn.ops.reductions import sum
from fastnn.ops.shapes import expand_dims, reshape, squeeze, transpose
from fastnn.variables import Variable


def matmul(x1, x2):
    """The product of matrices: ``(..., m, k) . (..., k, n)``; vectors count as a row or a column.

    A variable that is a matrix is multiplied by the kernels of `layers.Dense`, and is from then on laid out for them
    if no model owns it yet.
    """
    if not symbolic(x1, x2):
        return result(np.matmul(array(x1), array(x2)))
    if isinstance(x2, Variable) and x2.ndim == 2 and isinstance(x1, Tensor) and is_batched(x1) and x1.ndim >= 2:
        _check(x1, x2)
        if x2.lay_out("panels"):
            return apply("dense", [x1], {"kernel": x2, "bias": None})
    x1, x2 = tensor(x1), tensor(x2)
    _check(x1, x2)
    if x2.ndim == 1:
        return squeeze(matmul(x1, expand_dims(x2, -1)), -1)
    if x1.ndim == 1:
        return squeeze(matmul(expand_dims(x1, 0), x2), -2)
    if is_batched(x1) and x1.ndim == 2 and is_batched(x2):
        raise ValueError(
            f"ops.matmul: axis 0 of {x1!r} and {x2!r} counts samples, which cannot be summed over or "
            "multiplied with each "
            "other. For a product within each sample give both (batch, m, k) and (batch, k, n), or use "
            "ops.sum(a * b, -1)."
        )
    lead1, lead2 = x1.shape[:-2], x2.shape[:-2]
    if is_batched(x2) and not is_batched(x1):
        swapped = matmul(_turned(x2), _turned(x1))
        return _turned(swapped)
    if lead2 not in ((), lead1, lead1[1:]) or (lead2 == () and not is_batched(x1) and lead1 != ()):
        raise ValueError(
            f"ops.matmul: the axes before the last two of {x1.shape} and {x2.shape} must agree, or the second "
            "has none. Use "
            "ops.broadcast_to."
        )
    return apply("matmul", [x1, x2], turned=False)


def _turned(x):
    return transpose(x, [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2])


def _check(x1, x2):
    inner = x2.shape[-2] if len(x2.shape) > 1 else x2.shape[0]
    if x1.shape[-1] != inner:
        raise ValueError(f"ops.matmul: {shape_of(x1)} and {shape_of(x2)}: {x1.shape[-1]} columns meet {inner} rows.")


def dot(x1, x2):
    """`matmul`, and a plain product with a number."""
    if not symbolic(x1, x2):
        return result(np.dot(array(x1), array(x2)))
    return multiply(x1, x2) if not shape_of(x1) or not shape_of(x2) else matmul(x1, x2)


def vdot(x1, x2):
    """The sum of the products of all values."""
    return sum(multiply(x1, x2))


def outer(x1, x2):
    """All products of the values of two vectors."""
    return multiply(expand_dims(reshape(x1, (-1,)), -1), reshape(x2, (-1,)))


def tensordot(x1, x2, axes=2):
    """Sums of products over the last so many axes of `x1` and as many first ones of `x2`, or over the axes in two
    lists."""
    if not symbolic(x1, x2):
        return result(np.tensordot(array(x1), array(x2), axes))
    shape1, shape2 = shape_of(x1), shape_of(x2)
    if isinstance(axes, int):
        axes = list(range(len(shape1) - axes, len(shape1))), list(range(axes))
    over1, over2 = ([axis_of(x, each, "tensordot") for each in np.atleast_1d(some)]
                    for x, some in zip((x1, x2), axes, strict=True))  # fmt: skip
    if [shape1[each] for each in over1] != [shape2[each] for each in over2]:
        raise ValueError(f"ops.tensordot: {shape1} and {shape2} have other sizes along the axes {over1} and {over2}.")
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    names1 = [next(letters) for _ in shape1]
    names2 = [names1[over1[over2.index(i)]] if i in over2 else next(letters) for i in range(len(shape2))]
    kept = [each for i, each in enumerate(names1) if i not in over1]
    kept += [each for i, each in enumerate(names2) if i not in over2]
    if not kept:
        return sum(multiply(x1, transpose(x2, [names2.index(each) for each in names1])))
    return einsum(f"{''.join(names1)},{''.join(names2)}->{''.join(kept)}", x1, x2)


def einsum(subscripts, *operands):
    """Sums of products by Einstein's notation. Of more than two operands, two after the other are multiplied."""
    if not symbolic(*operands):
        return result(np.einsum(subscripts, *[array(each) for each in operands]))
    subscripts = subscripts.replace(" ", "")
    inputs, arrow, out = subscripts.partition("->")
    if not arrow:  # the letters that are there once, in their order
        out = "".join(each for each in sorted(set(inputs) - {",", "."}) if inputs.count(each) == 1)
        out = "..." * ("..." in inputs) + out
    names = inputs.split(",")
    if "..." in inputs:
        rest = max((len(shape_of(x)) - len(n) + 3 for x, n in zip(operands, names, strict=True) if "..." in n))
        letters = "ABCDEFG"[:rest]
        names, out = [each.replace("...", letters) for each in names], out.replace("...", letters)
    xs = [tensor(each) for each in operands]
    bad = len(names) != len(xs) or any(len(n) != x.ndim for n, x in zip(names, xs, strict=True))
    if bad or len(set(out)) != len(out) or set(out) - set(inputs.replace("...", "") + out * ("..." in inputs)):
        raise ValueError(
            f"ops.einsum: the equation must name each axis of each operand, and each of the output once. Received: "
            f"{subscripts!r} for shapes {[x.shape for x in xs]}"
        )
    xs, names = map(list, zip(*(_without_repeated(x, n) for x, n in zip(xs, names, strict=True)), strict=True))
    samples = "".join({name[0] for x, name in zip(xs, names, strict=True) if is_batched(x)})
    while len(xs) > 2:
        later = samples + "".join(names[2:]) + out
        kept = "".join(sorted({*names[0], *names[1]} & set(later), key=lambda each: (each not in samples, each)))
        xs, names = [_kept_product(names[:2], xs[:2], kept, samples), *xs[2:]], [kept, *names[2:]]
    return _kept_product(names, xs, out, samples)


def _kept_product(names, xs, out, samples):
    """A product in which the samples, and one axis at least, are kept; then the sum over what is too much."""
    letters = "".join(names)
    first = "".join(each for each in samples if each in letters and each not in out)
    if not first and not out and len(xs) > 1:
        first = letters[0]
    product = _product(names, xs, first + out)
    return sum(product, list(range(len(first)))) if first else product


def _without_repeated(x, name):
    """The diagonal along axes of the same letter."""
    from fastnn.ops.composed import diagonal

    for letter in dict.fromkeys(name):
        while name.count(letter) > 1:
            first = name.index(letter)
            second = name.index(letter, first + 1)
            x = diagonal(x, axis1=first, axis2=second)
            name = name[:first] + name[first + 1 : second] + name[second + 1 :] + letter
    return x, name


def _product(names, xs, out):
    """Of one or two operands, whose letters are all different."""
    names, xs = list(names), list(xs)
    for i, name in enumerate(names):  # sum over what nobody else has
        for letter in name:
            if letter not in out and not any(letter in other for j, other in enumerate(names) if j != i):
                xs[i] = sum(xs[i], names[i].index(letter))
                names[i] = names[i].replace(letter, "")
    if len(xs) == 1:
        return _ordered(xs[0], names[0], out)
    (a, b), (x, y) = names, xs
    summed = [each for each in a if each not in out]
    if not summed:  # every letter stays: a product with broadcasting
        return multiply(_spread(x, a, out), _spread(y, b, out))
    both = [each for each in out if each in a and each in b]
    left = [each for each in out if each in a and each not in b]
    right = [each for each in out if each in b and each not in a]
    sizes = {n: s for name, value in ((a, x), (b, y)) for n, s in zip(name, value.shape, strict=True) if s is not None}
    known = {**sizes, **{each: -1 for each in out if each not in sizes}}

    def product(letters):
        return int(np.prod([known[each] for each in letters], dtype=np.int64))

    if a[:1] and known[a[0]] == -1 and not both and left[:1] == [a[0]]:  # samples by a matrix
        x = reshape(_ordered(x, a, left + summed), [-1, *(known[each] for each in left[1:]), product(summed)])
        y = reshape(_ordered(y, b, summed + right), [product(summed), product(right)])
        return _ordered(reshape(matmul(x, y), [known[e] for e in left + right]), left + right, out)
    x = reshape(_ordered(x, a, both + left + summed), [*(known[e] for e in both), product(left), product(summed)])
    y = reshape(_ordered(y, b, both + summed + right), [*(known[e] for e in both), product(summed), product(right)])
    return _ordered(reshape(matmul(x, y), [known[e] for e in both + left + right]), both + left + right, out)


def _ordered(x, name, out):
    name, out = list(name), list(out)
    return x if name == out else transpose(x, [name.index(each) for each in out])


def _spread(x, name, out):
    x = _ordered(x, name, [each for each in out if each in name])
    for place, each in enumerate(out):
        if each not in name and (len(shape_of(x)) > place or is_batched(x)):
            x = expand_dims(x, place)
    return x
