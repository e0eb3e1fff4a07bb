"""The passes of folding, one file and one idea each.

``network``        what they work on: a graph that can be changed, over float64 constants
``inference``      a graph as it is at inference
``constants``      what is constant is computed; arithmetic with constants is a layer
``sharing``        equal nodes become one
``rearrangements`` transpositions and reshapes that undo each other disappear
``scalings``       scalings go into the layers around them
``linear``         dense layers that follow each other become one
``units``          units that nothing depends on, that are constant, or that are alike disappear
``rounding``       float32 variables, and operations that programs have
``evaluate``       the values of nodes, in float64
"""
