"""What differs between training and inference: the result of a `call` that branches on `training`."""

from fastnn.operations.base import Operation


class ByMode(Operation):
    """Of two inputs the first in training, the second in inference. `Graph.in_mode` puts the right one in its place
    before a program is made, so that the other branch is not computed."""

    name = "by_mode"
