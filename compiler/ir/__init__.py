"""The graph: every value of a program once, each made by one typed operation.

    in       a checked program, its parameters
    out      Graph, verified

Read first graph.py, the whole representation on one page; then build.py, verify.py and printer.py.
"""
