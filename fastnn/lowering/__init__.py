"""From a graph to a program: choose kernels, fuse, plan memory.

What operations are built on, and which knows none of them:

``primitives``  the elementwise functions that formulas are made of
``formula``     formulas: built, differentiated, turned into instructions
``layout``      how tensors of any shape lie in memory, and what moves them
``cost``        estimates of work, in cycles: they choose the number of threads
``sharing``     what threads share by rows, in which order instructions run, and which of them wait for the others
``memory``      gives slots addresses, so that values that never live at the same time share memory

And what asks operations for their instructions:

``builder``     emits instructions over symbolic slots; asks each node's operation for its forward and backward pass
``halves``      gradients that are computed in two halves of the rows
``fusion``      groups elementwise nodes that read each other
``programs``    the programs of a model: training step, evaluation, prediction
"""
