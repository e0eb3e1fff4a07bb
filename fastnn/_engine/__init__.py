"""The only door between Python and C: Cython modules that check, own and bind buffers, and run programs on them.

``runtime``   instruction set, threads, memory, data sources; links the C engine
``kernels``   one operation on NumPy arrays: for tests, benchmarks and eager calls
``program``   a program of many instructions, run for many batches in one call without the GIL
``predictor`` a frozen network, called with the least overhead
"""
