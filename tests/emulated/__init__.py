"""The C kernels without Python: on processors that are not at hand, and under sanitizers."""
