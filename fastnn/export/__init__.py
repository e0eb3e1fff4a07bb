"""A frozen network as C source of its own, for machines without Python, an operating system or a heap.

``export``     the files: names, the header, what is said at their heads
``writer``     the graph, node by node: where values lie, loops and constants
``operations`` what each operation is in C
``functions.h``, ``layers.h``  what exported networks call: each file gets of them what it needs
``vectors.h``  float32 dense layers where the processor has vectors: what ``layers.h`` has in plain C
"""

from fastnn.export.export import ExportedC, export_c

__all__ = ["ExportedC", "export_c"]
