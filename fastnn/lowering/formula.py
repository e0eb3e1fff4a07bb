"""Elementwise formulas: built term by term, differentiated, and turned into the code of one ``expression``."""

import numpy as np

from fastnn.lowering.primitives import PRIMITIVES


class Formula:
    """A directed graph of terms over numbered inputs; equal terms are one.

    Attributes
    ----------
    terms : list of tuple
        ("input", number), ("constant", value) or (primitive, *numbers of earlier terms).
    """

    def __init__(self):
        self.terms = []
        self._numbers = {}

    def input(self, number):
        return self._term("input", number)

    def constant(self, value):
        return self._term("constant", float(value))

    def apply(self, primitive, *arguments):
        """The term of a primitive applied to terms or numbers, simplified where that changes no result."""
        terms = [each if isinstance(each, Term) else self.constant(each) for each in arguments]
        known = [each.known for each in terms]
        if None not in known and primitive != "stop_gradient":
            with np.errstate(all="ignore"):
                return self.constant(PRIMITIVES[primitive].on_arrays(*np.asarray(known, np.float32)))
        return _simplified(primitive, terms, known) or self._term(primitive, *(each.number for each in terms))

    def _term(self, *key):
        # 0.0 and -0.0 are equal numbers, but not equal constants.
        unique = (*key, str(key[1])) if key[0] == "constant" else key
        if unique not in self._numbers:
            self._numbers[unique] = len(self.terms)
            self.terms.append(key)
        return Term(self, self._numbers[unique])

    def gradients(self, output, gradient, inputs):
        """The gradients of some inputs, as terms, given that of a term; None for one that has no influence."""
        gradients = {output.number: gradient}
        for number in range(output.number, -1, -1):
            name, *arguments = self.terms[number]
            if number not in gradients or name in ("input", "constant"):
                continue
            terms = [Term(self, each) for each in arguments]
            parts = PRIMITIVES[name].derivative(gradients[number], Term(self, number), *terms)
            for each, part in zip(arguments, parts, strict=True):
                if part is not None:
                    gradients[each] = gradients[each] + part if each in gradients else part
        return [gradients.get(self.input(each).number) for each in inputs]

    def needed(self, outputs):
        """The numbers of the terms that some terms are computed from, themselves included, in order."""
        needed = {each.number for each in outputs}
        for number in range(max(needed), -1, -1):
            if number in needed and self.terms[number][0] in PRIMITIVES:
                needed.update(self.terms[number][1:])
        return sorted(needed)

    def cycles(self, outputs):
        """Cycles for 8 values."""
        names = [self.terms[each][0] for each in self.needed(outputs)]
        return sum(0.5 + PRIMITIVES[name].cycles for name in names if name in PRIMITIVES)

    def compile(self, outputs):
        """Registers, inputs in use, constants and steps of the machine in ``csrc/ops/expression.c``.

        Returns
        -------
        registers : int
        inputs : list of int
            The inputs that are read: the first registers, in this order.
        constants : list of float
        steps : list of (opcode, result, first, second, third)
        results : list of int
            The registers of the outputs: each has one of its own.
        """
        needed = self.needed(outputs)
        inputs = [self.terms[each][1] for each in needed if self.terms[each][0] == "input"]
        constants = [self.terms[each][1] for each in needed if self.terms[each][0] == "constant"]
        place, first_free = {}, len(inputs) + len(constants)
        of_input, of_constant = iter(range(len(inputs))), iter(range(len(inputs), first_free))
        last_use = {argument: each for each in needed for argument in self._arguments(each)}
        results, wanted = [], {}
        for output in outputs:  # an output that is an input, a constant or another output is copied
            results.append(first_free)
            if self.terms[output.number][0] in PRIMITIVES and output.number not in wanted:
                wanted[output.number] = first_free
            first_free += 1
        steps, free = [], []
        for number in needed:
            name = self.terms[number][0]
            if name == "input":
                place[number] = next(of_input)
            elif name == "constant":
                place[number] = next(of_constant)
            else:
                arguments = [place[each] for each in self._arguments(number)]
                for each in set(self._arguments(number)):
                    if last_use[each] == number and self.terms[each][0] in PRIMITIVES and each not in wanted:
                        free.append(place[each])
                if number in wanted:
                    place[number] = wanted[number]
                elif free:
                    place[number] = free.pop()
                else:
                    place[number] = first_free
                    first_free += 1
                arguments += arguments[-1:] * (3 - len(arguments))
                if name == "where":  # the condition comes last
                    arguments = [*arguments[1:], arguments[0]]
                steps.append((PRIMITIVES[name].opcode, place[number], *arguments))
        for output, register in zip(outputs, results, strict=True):
            if place[output.number] != register:
                steps.append((PRIMITIVES["copy"].opcode, register, *[place[output.number]] * 3))
        return first_free, inputs, constants, steps, results

    def _arguments(self, number):
        name, *arguments = self.terms[number]
        return arguments if name in PRIMITIVES else []


class Term:
    """One term of a formula, with Python's operators."""

    __slots__ = ("formula", "number")

    def __init__(self, formula, number):
        self.formula = formula
        self.number = number

    @property
    def known(self):
        """The value of a constant, or None."""
        name, value = self.formula.terms[self.number][:2]
        return value if name == "constant" else None

    def _apply(self, primitive, *arguments):
        return self.formula.apply(primitive, *arguments)

    def __add__(self, other):
        return self._apply("add", self, other)

    def __radd__(self, other):
        return self._apply("add", other, self)

    def __sub__(self, other):
        return self._apply("subtract", self, other)

    def __rsub__(self, other):
        return self._apply("subtract", other, self)

    def __mul__(self, other):
        return self._apply("multiply", self, other)

    def __rmul__(self, other):
        return self._apply("multiply", other, self)

    def __truediv__(self, other):
        return self._apply("divide", self, other)

    def __rtruediv__(self, other):
        return self._apply("divide", other, self)

    def __pow__(self, other):
        return self._apply("power", self, other)

    def __neg__(self):
        return self._apply("negative", self)

    def greater(self, other):
        return self._apply("less", other, self)


def _method(primitive):
    def method(self, *arguments):
        return self._apply(primitive, self, *arguments)

    return method


for _name in PRIMITIVES:
    if not hasattr(Term, _name):
        setattr(Term, _name, _method(_name))


def _simplified(primitive, terms, known):
    """An equal term that costs less, or None. Only what is exact for every value, NaN and infinity included."""
    u, v = terms[0], terms[-1]
    first, last = known[0], known[-1]
    if primitive == "multiply" and 1 in (first, last):
        return v if first == 1 else u
    if primitive == "multiply" and -1 in (first, last):
        return -v if first == -1 else -u
    if primitive == "divide" and last == 1:
        return u
    if primitive in ("add", "subtract") and last == 0:
        return u
    if primitive == "add" and first == 0:
        return v
    if primitive == "power" and last is not None:
        return _known_power(u, last)
    if primitive == "copy":
        return u
    return None


def _known_power(x, exponent):
    """Small powers as products and roots."""
    if exponent == 0:
        return x.formula.constant(1)
    if exponent == 0.5:
        return x.sqrt()
    if exponent == -0.5:
        return 1 / x.sqrt()
    if abs(exponent) > 8 or exponent != int(exponent):
        return None
    result, square, left = None, x, int(abs(exponent))
    while left:
        if left % 2:
            result = square if result is None else result * square
        left //= 2
        square = square * square if left else square
    return result if exponent > 0 else 1 / result
