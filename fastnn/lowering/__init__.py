"""From a graph to a program: choose kernels, fuse, plan memory.

``builder``   emits instructions over symbolic slots; asks each node's operation for its forward and backward pass
``memory``    gives the slots addresses, so that values that never live at the same time share memory
``programs``  the three programs of a model: training step, evaluation, prediction
``cost``      estimates of work, in cycles: they choose the number of threads
"""

import fastnn.operations  # noqa: F401  (operations import from here: theirs is the order that works, whoever comes first)
