"""The graph: every value of a program once, each made by one typed operation.

    in       a checked program, its parameters
    out      Graph, verified

Read first graph.py, the representation on one page, and operation_classes.py, what passes ask of an operation; then
build.py, verify.py and printer.py.
"""
