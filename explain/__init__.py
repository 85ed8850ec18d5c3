"""The compiler, run backwards: which program, with which real parameters, a transformer runs.

    in       a model (weights, compiled or trained, of transformers too; or a Python function), a task
    out      a verdict with its evidence: a page, a JSON, and the program as text that compiles

Read first explain.py, the whole of it in order; then families.py (what is tried), fit.py and choice.py.
"""
