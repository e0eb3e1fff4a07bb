"""Update rules of one's own, as in Keras: traced once, and run in C."""

import contextlib

from fastnn._naming import name_scope


class OwnRule:
    """The part of `Optimizer` that a class with an `update_step` of its own is written with.

    Examples
    --------
    A rule is composed of `fastnn.ops` and of `assign`, `assign_add` and `assign_sub`; its memory is made in `build`:

    >>> class Momentum(fastnn.optimizers.Optimizer):
    ...     def build(self, variables):
    ...         super().build(variables)
    ...         self.momenta = self.add_optimizer_variables(variables, "momentum")
    ...
    ...     def update_step(self, gradient, variable, learning_rate):
    ...         m = self.momenta[self._get_variable_index(variable)]
    ...         self.assign(m, 0.9 * m - learning_rate * gradient)
    ...         self.assign_add(variable, m)
    """

    def update_step(self, gradient, variable, learning_rate):
        """Say what an update does to one variable. It is called once for each, with symbolic tensors.

        Parameters
        ----------
        gradient : Tensor
            Of the variable's shape; clipped, and the mean of those that were accumulated.
        variable : Variable
            Weight decay has acted on it already.
        learning_rate : Tensor
            One number. `self.iterations` is such a tensor here, too.

        Raises
        ------
        NotImplementedError
            For `Optimizer` itself, and those of `fastnn.optimizers`, whose rules are written in C.

        Notes
        -----
        Numbers that are attributes of the optimizer become constants of the program.
        """
        if self.is_traced:
            raise NotImplementedError(
                f"{type(self).__name__}.update_step calls that of the class it is derived from, and there is none: the "
                "rules of fastnn.optimizers are written in C. Write the whole rule out in fastnn.ops."
            )
        raise NotImplementedError(
            f"{type(self).__name__} must implement update_step(gradient, variable, learning_rate)."
        )

    @property
    def is_traced(self):
        """Has the class an `update_step` of its own?"""
        return type(self).update_step is not OwnRule.update_step

    def prepare(self, variables):
        """`build`, and once only where it makes variables of its own.

        Raises
        ------
        ValueError
            If it was built without one of them, and has a rule of its own.
        """
        if not (self.is_traced and self.built):
            self.build(list(variables))
        unknown = next((each for each in variables if each not in self.state), None)
        if unknown is not None:
            raise ValueError(
                f"Unknown variable: {unknown.path!r}. {type(self).__name__} can only update the variables that it was "
                "built with. Make a new optimizer, and call model.compile(...) with it; a `build` of one's own calls "
                "super().build(variables)."
            )

    @contextlib.contextmanager
    def counting_by(self, iterations):
        """While a rule is traced, `iterations` is a tensor."""
        self._counted = iterations
        try:
            yield
        finally:
            self._counted = None

    def _get_variable_index(self, variable):
        return list(self.state).index(variable)

    def add_variable(self, shape, initializer="zeros", dtype=None, aggregation="none", layout=None, name=None):
        """Make a variable that the optimizer remembers; it is among `variables`, and in files.

        Parameters
        ----------
        shape : tuple of int
        initializer : str or Initializer, default "zeros"
        dtype : str, optional
            Only "float32".
        aggregation, layout
            Accepted for compatibility.
        name : str, optional

        Returns
        -------
        Variable
        """
        from fastnn.variables import Variable

        if "_added" not in self.__dict__:
            raise RuntimeError(
                f"In optimizer {type(self).__name__!r}, you forgot to call `super().__init__()` as the first statement "
                "in the `__init__()` method."
            )
        with name_scope(self.name.replace("/", ">")):
            variable = Variable(initializer, tuple(shape), dtype, trainable=False, name=name)
        self._added.append(variable)
        return variable

    def add_variable_from_reference(self, reference_variable, name=None, initializer="zeros"):
        """`add_variable` of the shape of another variable, named after it.

        Parameters
        ----------
        reference_variable : Variable
        name : str, default "var"
        initializer : str or Initializer, default "zeros"
        """
        name = f"{reference_variable.path.replace('/', '_')}_{name or 'var'}"
        return self.add_variable(reference_variable.shape, initializer, name=name)

    def add_optimizer_variables(self, trainable_variables, name, initializer="zeros"):
        """`add_variable_from_reference` for each of some variables.

        Parameters
        ----------
        trainable_variables : list of Variable
        name : str or list of str
            Several: as many for each.
        initializer : str, Initializer or list of them, default "zeros"
            One for all names, or one for each.

        Returns
        -------
        list of Variable, or a tuple of such lists for several names
        """
        names = [name] if isinstance(name, str) else list(name)
        initializers = list(initializer) if isinstance(initializer, (list, tuple)) else [initializer] * len(names)
        if len(names) != len(initializers):
            raise ValueError(
                "The number of provided names must match the number of provided initializers. Received: "
                f"name={name!r}, initializer={initializer!r}"
            )
        made = tuple([] for _ in names)
        for variable in trainable_variables:
            for found, each, first in zip(made, names, initializers, strict=True):
                found.append(self.add_variable_from_reference(variable, each, first))
        return made[0] if isinstance(name, str) else made
